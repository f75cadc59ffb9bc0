"""Rollouts in the status: what is written can be read again, and what is broken begins anew."""

from dataclasses import replace

from gpupool.api import v1alpha1 as api
from gpupool.api.rollouts import read, written
from gpupool.api.v1alpha1.inferenceslo_rollout import RolloutSpec
from gpupool.model.rollout import GuardMode, Rollout, Verdict
from gpupool.planner.rollouts import Guarded
from gpupool.runtime.memo import memo
from support.rollouts import NEW, OLD, a_release, beside, history, seen


def a_rollout() -> Guarded:
    watched = seen([*history(), *beside(6, new=(15, 50))])
    return Guarded(watched, a_release(), action="Paused")


def test_both_revisions_are_shown_with_their_numbers() -> None:
    found = written(a_rollout())
    assert found is not None
    api.InferenceSLOStatus.model_validate({"rollout": found})
    assert (found["verdict"], found["reason"], found["action"]) == ("Bad", "Worse", "Paused")
    stable, candidate = found["stable"], found["candidate"]
    assert (stable["name"], stable["pods"], stable["ready"]) == (OLD, 2, 2)
    assert (candidate["name"], candidate["pods"], candidate["startup"]) == (NEW, 1, "30s")
    row = candidate["results"][0]
    assert (row["objective"], row["good"], row["total"], row["attainment"]) == ("ttft <= 0.5s", 210, 300, 70)
    assert row["low"] < 30 < row["high"]
    assert stable["results"][0]["beside"]["total"] == 250


def test_what_is_written_is_read_again() -> None:
    found = a_rollout()
    again = read({"rollout": written(found)})
    memory = found.memory
    assert again.stable is not None
    assert memory.stable is not None
    assert again.stable.tallies == memory.stable.tallies
    assert again.stable.beside == memory.stable.beside
    assert replace(again, stable=None, candidate=None) == replace(memory, stable=None, candidate=None)
    alone = Guarded(seen(history()), a_release(OLD, new=0))
    shown = written(alone)
    assert shown is not None
    assert {"verdict", "since", "candidate"}.isdisjoint(shown)
    assert read({"rollout": shown}).candidate is None


def test_nothing_is_shown_of_nothing_and_what_is_broken_begins_anew() -> None:
    assert written(None) is None
    assert written(Guarded()) is None
    assert read({"rollout": {"verdict": "Splendid"}}) == Rollout()
    assert read({}) == Rollout()


def test_numbers_that_move_are_written_at_a_pace_of_their_own() -> None:
    found = written(a_rollout())
    more = written(Guarded(seen([*history(), *beside(7, new=(15, 50))]), a_release(), action="Paused"))
    assert found is not None
    assert more is not None
    one, other = memo({"rollout": found}), memo({"rollout": more | {"since": found["since"]}})
    assert one.whole != other.whole
    assert one.decided == other.decided
    turned = memo({"rollout": found | {"verdict": Verdict.WAIT.value}})
    assert turned.decided != one.decided


def test_guard_is_observe_unless_it_is_said() -> None:
    assert GuardMode(RolloutSpec().guard) is GuardMode.OBSERVE

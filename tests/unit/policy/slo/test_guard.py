"""A new revision beside the old one: Promote, Wait or Bad, and which of them is the one to go back to."""

from dataclasses import replace

import pytest

from gpupool.model.rollout import Population, Release, Rollout, Verdict
from gpupool.model.slo import HOUR, Objective, Reading, Sli, SloState
from gpupool.policy.slo.guard import Watched
from gpupool.policy.slo.revisions import Seen, promised
from support.rollouts import NEW, OLD, TTFT, a_look, a_release, beside, history, ok, results, seen

ITL = Objective(Sli.ITL, 95, 0.05)
NEXT = "9e8d"


def said(found: Watched) -> tuple[Verdict | None, str]:
    return found.memory.verdict, found.memory.reason


def test_one_revision_alone_has_no_verdict() -> None:
    found = seen(history())
    assert said(found) == (None, "")
    assert found.memory.stable is not None
    assert found.memory.stable.tallies[0].total == 1000


def test_without_a_revision_nothing_is_remembered() -> None:
    assert seen([a_look(Release())]).memory == Rollout()


def test_a_good_revision_is_promoted() -> None:
    found = seen([*history(), *beside(20)])
    assert said(found) == (Verdict.PROMOTE, "NoWorse")
    assert "ttft <= 0.5s: 0 of 1000 bad at revision 7d9f" in found.memory.message
    assert "with 99 % confidence; 1 % may be" in found.memory.message
    assert not found.memory.settled, "the old one serves still"
    done = seen([a_look(a_release(old=0), new=(0, 50))], found.memory)
    assert done.memory.settled


def test_a_bad_one_is_told_with_the_budget_that_it_would_burn() -> None:
    found = seen([*history(), *beside(6, new=(15, 50))])
    assert said(found) == (Verdict.BAD, "Worse")
    assert found.fresh
    message = found.memory.message
    assert "ttft <= 0.5s: 90 of 300 bad at revision 7d9f" in message
    assert "would burn 3000 % of the error budget in a window of it, at least" in message
    assert "the 85 % that are left in 19.0 h" in message
    assert results(found)["ttft <= 0.5s"] == pytest.approx(30.0)


def test_a_budget_that_is_gone_is_said_to_be() -> None:
    found = seen([*history(), *beside(6, new=(15, 50), left=-20.0)])
    assert "and none of it is left" in found.memory.message


def test_few_events_say_nothing() -> None:
    found = seen([*history(), *beside(1, new=(50, 50))])
    assert said(found) == (Verdict.WAIT, "TooFewEvents")
    assert "50 events of" in found.memory.message
    assert "spec.minEvents asks for 100 of both" in found.memory.message


def test_nor_do_few_of_the_old_one() -> None:
    found = seen(beside(6, old=(0, 1), new=(50, 50)))
    assert said(found) == (Verdict.WAIT, "TooFewEvents")


def test_nobody_asks_it() -> None:
    found = seen([*history(), *beside(6, new=(0, 0))])
    assert said(found) == (Verdict.WAIT, "NoTraffic")


def test_what_may_be_chance_waits() -> None:
    found = seen([*history(), *beside(3, new=(1, 50))])
    assert said(found) == (Verdict.WAIT, "Undecided")
    assert "It is good enough below 2 %" in found.memory.message


def test_an_endpoint_that_was_bad_before_is_not_blamed_on_its_new_revision() -> None:
    found = seen([*history(old=(30, 100)), *beside(20, old=(15, 50), new=(15, 50))])
    assert found.memory.verdict is not Verdict.BAD


def test_the_old_revision_is_measured_beside_the_new_one_where_that_is_enough() -> None:
    """A flood that comes with the rollout is bad for both."""
    found = seen([*history(), *beside(20, old=(15, 50), new=(15, 50))])
    assert found.memory.verdict is not Verdict.BAD
    few = seen([*history(), *beside(20, old=(0, 1), new=(15, 50))])
    assert few.memory.verdict is Verdict.BAD, "20 events beside it are too few: the hour before counts"


@pytest.mark.parametrize("state", [SloState.STALE, SloState.MISSING, SloState.PARTIAL, SloState.INVALID])
def test_data_that_is_not_good_counts_nothing_and_waits(state: SloState) -> None:
    blind = a_look(old=(0, 50), new=Reading(state, 0, 50, 15.0, message="see"))
    found = seen([*history(), *[blind] * 20])
    assert said(found) == (Verdict.WAIT, "DataUnknown")
    assert f"ttft <= 0.5s of revision 7d9f is {state.value}: see" in found.memory.message
    assert not found.comparisons[0].new.total


def test_a_verdict_stays_while_nothing_is_known_and_lets_nobody_act() -> None:
    bad = seen([*history(), *beside(6, new=(15, 50))])
    found = seen([a_look(old=(0, 50), new=Reading(SloState.STALE))], bad.memory)
    assert said(found) == (Verdict.BAD, "FoundBadBefore")
    assert "It was found bad before." in found.memory.message
    assert not found.fresh
    assert found.memory.at == bad.memory.at


def test_what_the_engine_does_not_tell_is_not_waited_for() -> None:
    unsupported = (ok(0, 50), Reading(SloState.UNSUPPORTED))
    found = seen([*history(), *[a_look(old=(0, 50), new=unsupported)] * 20])
    assert found.memory.verdict is Verdict.WAIT, "the old one told of errors, the new one does not"
    both = [a_look(old=unsupported, new=unsupported)] * 20
    alone = a_look(a_release(OLD, new=0), old=unsupported)
    assert seen([*[alone] * 20, *both]).memory.verdict is Verdict.PROMOTE


def test_errors_count_where_availability_is_not_promised() -> None:
    failing = (ok(0, 50), ok(10, 50))
    found = seen([*history(), *[a_look(old=(0, 50), new=failing)] * 10])
    assert said(found) == (Verdict.BAD, "Worse")
    assert found.memory.message.startswith("errors: 100 of 500")


def test_what_is_compared() -> None:
    minutes = Objective(Sli.THROUGHPUT, 90, tokens_per_second=100)
    available = Objective(Sli.AVAILABILITY, 99.9)
    rows = promised([TTFT, minutes, ITL], [1.0, 2.0, 3.0])
    assert [(r.what, r.left) for r in rows] == [("ttft <= 0.5s", 1.0), ("itl <= 0.05s", 3.0), ("errors", 1.0)]
    assert [r.what for r in promised([available], [None])] == ["availability"]
    assert promised([minutes], [None]) == ()


def test_pods_that_never_serve_are_bad_once_the_deadline_is_over() -> None:
    stuck = Population(2, 1, 0)
    waiting = Release(NEW, {OLD: Population(2, 2, 2), NEW: stuck})
    found = seen([*history(), a_look(waiting, old=(0, 50), new=Reading(SloState.MISSING))])
    assert said(found) == (Verdict.WAIT, "DataUnknown")
    over = replace(waiting, failed=True)
    found = seen([a_look(over, old=(0, 50))], found.memory)
    assert said(found) == (Verdict.BAD, "NotReady")
    assert "1 of 1 pods of revision 7d9f that have a node are not Ready" in found.memory.message
    nowhere = Release(NEW, {OLD: Population(2, 2, 2), NEW: Population(2, 0, 0)}, failed=True)
    found = seen([*history(), a_look(nowhere, old=(0, 50))])
    assert said(found) == (Verdict.WAIT, "DataUnknown"), "pods without a node are not the revision's fault"


def test_a_ready_pod_of_which_nothing_was_read_yet_waits() -> None:
    found = seen([*history(), a_look(old=(0, 50))])
    assert "Nothing was read of revision 7d9f yet" in found.memory.message


def hanging(seconds: float = 15.0, old: tuple[float, float] = (0, 50)) -> Seen:
    """A look at a revision that is asked and answers nothing."""
    nothing = (Reading(SloState.OK, 0, 0, seconds), ok(0, 0))
    return a_look(old=old, new=nothing)


def test_a_revision_that_answers_nothing_is_bad_once_the_old_one_would_have() -> None:
    first = seen([*history(), hanging()])
    assert said(first) == (Verdict.WAIT, "NoAnswers")
    assert "For 15 s nothing has come of requests that are under way" in first.memory.message
    found = seen([hanging()] * 4, first.memory)
    assert said(found) == (Verdict.BAD, "NoAnswers")
    assert "for 1.2 min requests have been under way at revision 7d9f" in found.memory.message
    assert "had about 125" in found.memory.message
    assert found.fresh
    answering = seen(beside(1), seen([hanging()] * 3, first.memory).memory)
    assert answering.comparisons[0].new.silent == 0
    unasked = seen([a_look(old=(0, 50), new=(0, 0))] * 20, first.memory)
    assert said(unasked) == (Verdict.WAIT, "NoTraffic")


def test_of_an_old_one_that_did_nothing_nothing_follows() -> None:
    found = seen([hanging(old=(0, 0))] * 20)
    assert found.memory.verdict is Verdict.WAIT


# ------------------------------------------------------------------ one after the other


def test_after_a_promotion_the_next_one_is_compared_with_it() -> None:
    done = seen([*history(), *beside(20), a_look(a_release(old=0), new=(0, 50))])
    kept = seen([a_look(a_release(old=0), new=(0, 50))], done.memory)
    assert kept.memory.settled
    assert not kept.comparisons
    release = Release(NEXT, {NEW: Population(2, 2, 2), NEXT: Population(1, 1, 0)})
    found = seen([a_look(release, new=(0, 50))], kept.memory)
    assert found.memory.stable is not None
    assert found.memory.candidate is not None
    assert (found.memory.stable.name, found.memory.candidate.name) == (NEW, NEXT)
    assert found.memory.verdict is Verdict.WAIT


def test_one_that_was_never_promoted_is_left_out() -> None:
    waiting = seen([*history(), *beside(1)])
    release = Release(NEXT, {OLD: Population(1, 1, 1), NEXT: Population(1, 1, 1)})
    found = seen([a_look(release, old=(0, 50))], waiting.memory)
    assert found.memory.stable is not None
    assert found.memory.stable.name == OLD


def test_a_bad_one_that_is_gone_stays_told_and_one_that_was_not_judged_is_forgotten() -> None:
    bad = seen([*history(), *beside(6, new=(15, 50))])
    back = a_look(a_release(OLD), old=(0, 50))
    assert said(seen([back], bad.memory)) == (Verdict.BAD, "Withdrawn")
    waiting = seen([*history(), *beside(1)])
    found = seen([back], waiting.memory)
    assert (found.memory.candidate, found.memory.verdict) == (None, None)


def test_seen_for_the_first_time_in_the_middle_of_a_rollout_the_older_one_is_the_good_one() -> None:
    found = seen(beside(1))
    assert found.memory.stable is not None
    assert found.memory.stable.name == OLD


def test_what_a_revision_did_alone_fades_after_an_hour() -> None:
    alone = [a_look(a_release(OLD, new=0), old=(ok(0, 100, HOUR / 4), ok(0, 100, HOUR / 4)))]
    found = seen(alone * 40)
    assert found.memory.stable is not None
    assert found.memory.stable.tallies[0].total < 800
    short = a_look(a_release(OLD, new=0), old=(0, 100), window=30.0)
    found = seen([short] * 40)
    assert found.memory.stable is not None
    assert found.memory.stable.tallies[0].total < 500, "a short window remembers less"


@pytest.mark.parametrize(
    ("window", "text"), [(86400.0 * 280, "7.9 d"), (86400.0, "40.8 min"), (600.0, "17 s")]
)
def test_spans_are_told_in_their_largest_unit(window: float, text: str) -> None:
    found = seen([*history(), *beside(6, new=(15, 50), window=window)])
    assert f"left in {text}" in found.memory.message

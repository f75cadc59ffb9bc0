"""What a profile learns, from what it does not, and when it begins anew."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.profile import ColdStart, Profile, Stat
from gpupool.model.signals import Signals, Started, Starting
from gpupool.model.slo import SloState
from gpupool.model.traits import Trait
from gpupool.policy.slo.diagnosis.situation import Judged, Situation
from gpupool.policy.slo.profile import MOST_MODELS, MOST_STARTS, learn, of_gpu
from support.signals import ITL, TTFT, a_pod, judged, seen, situation

NOW = 1_000_000.0
WINDOW = 300.0


def learned(profiles: tuple[Profile, ...] = (), signals: Signals | None = None, now: float = NOW) -> Profile:
    return learn(profiles, situation(signals or seen(recipe="r1")), now)[0]


def test_it_learns_what_a_replica_carried_with_the_objectives_met() -> None:
    found = learned()
    assert (found.gpu, found.recipe, found.since) == ("H100", "r1", NOW)
    assert found.requests is not None
    assert (found.requests.value, found.requests.samples, found.requests.at) == (4, 1, NOW)
    values = [s.value for s in (found.tokens, found.batch, found.kv, found.memory, found.cache) if s]
    assert values == [1000, 14, 0.03, 70_000, 0.1]


def test_the_most_is_kept_and_the_cache_is_a_mean() -> None:
    first = learned()
    less = seen(a_pod(requests=2, known=0, looked_up=4000), recipe="r1")
    second = learned((first,), less, NOW + WINDOW)
    assert second.requests is not None
    assert (second.requests.value, second.requests.samples) == (4, 2)
    assert second.cache is not None
    assert second.cache.value == pytest.approx(0.05)
    unseen = seen(a_pod(known=None, memory=None), recipe="r1")
    third = learned((second,), unseen, NOW + 2 * WINDOW)
    assert (third.cache, third.memory) == (second.cache, second.memory)


def test_one_sample_a_window() -> None:
    first = learned()
    assert learned((first,), now=NOW + WINDOW / 2) == first


@pytest.mark.parametrize(
    "it",
    [
        situation(seen(recipe="r1"), judged(TTFT, 0.5), judged(ITL)),
        situation(seen(recipe="r1"), judged(TTFT, state=SloState.PARTIAL)),
        situation(seen(recipe="r1"), judged(TTFT, total=3)),
        situation(seen(recipe="r1"), judged(TTFT), judged(ITL, state=SloState.MISSING)),
        situation(seen(recipe="r1", starting=(Starting("new", 5),))),
        situation(seen(a_pod(requests=None), recipe="r1")),
        situation(seen(a_pod(running=None), recipe="r1")),
    ],
)
def test_nothing_is_learned_from_what_is_not_good(it: Situation) -> None:
    (found,) = learn((), it, NOW)
    assert found.requests is None


def test_a_miss_is_remembered_and_not_what_is_not_known() -> None:
    first = learned()
    (bad,) = learn((first,), situation(seen(recipe="r1"), judged(TTFT, 0.5), judged(ITL)), NOW + 1)
    assert bad.missed == Stat(4, 1, NOW + 1)
    assert bad.requests == first.requests
    (blind,) = learn((first,), situation(seen(recipe="r1"), judged(TTFT, state=SloState.PARTIAL)), NOW + 1)
    assert blind.missed is None
    worse = judged(TTFT, 0.5, state=SloState.PARTIAL)
    (partly,) = learn((first,), situation(seen(recipe="r1"), worse), NOW + 1)
    assert partly.missed is not None, "what is seen in part was missed all the same"


def test_a_new_recipe_begins_anew() -> None:
    first = replace(learned(), cold_start=ColdStart((60.0,), NOW))
    found = learned((first,), seen(recipe="r2"), NOW + WINDOW)
    assert (found.recipe, found.since, found.cold_start) == ("r2", NOW + WINDOW, ColdStart())


def test_requests_of_another_shape_begin_anew_and_keep_the_start_ups() -> None:
    profile = replace(learned(), cold_start=ColdStart((60.0,), NOW), requests=Stat(4, 5, NOW))
    longer = seen(a_pod(prompt=2000), recipe="r1")
    odd = learned((profile,), seen(a_pod(prompt=1500), recipe="r1"), NOW + WINDOW)
    assert odd.since == NOW, "one odd window resets nothing"
    found = learned((odd,), longer, NOW + 2 * WINDOW)
    assert found.since == NOW + 2 * WINDOW
    assert found.requests is not None
    assert (found.requests.samples, found.cold_start) == (1, profile.cold_start)
    assert found.shape is not None
    assert found.shape.prompt == found.shape.recent_prompt > 1200


def test_a_shape_settles_before_another_one_is_another() -> None:
    found = learned((learned(),), seen(a_pod(prompt=3000), recipe="r1"), NOW + WINDOW)
    assert found.since == NOW
    assert found.shape is not None
    assert found.shape.prompt == found.shape.recent_prompt == pytest.approx(1600)


def test_without_lengths_there_is_no_shape() -> None:
    assert learned((), seen(a_pod(prompt=None), recipe="r1")).shape is None


def test_start_ups_are_counted_once_and_few_are_kept() -> None:
    signals = seen(recipe="r1", started=(Started(NOW - 10, 70.0), Started(NOW - 20, 50.0)))
    found = learned((), signals)
    assert (found.cold_start.seconds, found.cold_start.until) == ((50.0, 70.0), NOW - 10)
    assert (found.cold_start.p50, found.cold_start.p90) == (50.0, 70.0)
    assert learned((found,), signals, NOW + WINDOW).cold_start == found.cold_start
    many = tuple(Started(NOW + n, float(n)) for n in range(50))
    assert len(learned((found,), seen(recipe="r1", started=many)).cold_start.seconds) == MOST_STARTS
    assert (ColdStart().p50, ColdStart().p90) == (None, None)


def test_the_first_token_counts_where_somebody_asked_soon_enough() -> None:
    pods = (a_pod("a"), a_pod("b", output_tokens=0, requests=0))
    started = (Started(NOW - 9000, 60.0, "a"), Started(NOW - 20, 50.0, "a"), Started(NOW - 10, 70.0, "b"))
    found = learned((), seen(*pods, recipe="r1", started=started)).first_token
    assert (found.seconds, found.until) == ((70.0,), NOW - 20), "b is waited for"
    again = learned((learned((), seen(*pods, recipe="r1", started=started)),), seen(*pods, recipe="r1"))
    assert again.first_token == found


def test_each_gpu_model_has_its_own_and_the_newest_are_kept() -> None:
    pods = (a_pod(model="H100", requests=4), a_pod("b", model="A100", requests=2))
    found = learn((), situation(seen(*pods, recipe="r1", started=(Started(NOW, 9.0),))), NOW)
    rates = {p.gpu: p.requests.value for p in found if p.requests}
    assert rates == {"H100": 4, "A100": 2}
    assert all(not p.cold_start.seconds for p in found), "nobody knows whose start-up it was"
    old = tuple(Profile(f"old-{n}", "r1", float(n)) for n in range(6))
    kept = [p.gpu for p in learn(old, situation(seen(recipe="r1")), NOW)]
    assert (len(kept), kept[:2]) == (MOST_MODELS, ["H100", "old-5"])


def test_what_was_learned_before_the_model_had_a_name_is_forgotten() -> None:
    unnamed = learn((), situation(seen(a_pod(model=""), recipe="r1")), NOW)
    assert [p.gpu for p in unnamed] == [""]
    assert [p.gpu for p in learn(unnamed, situation(seen(recipe="r1")), NOW)] == ["H100"]


def test_which_profile_speaks_for_an_endpoint() -> None:
    profiles = (Profile("A100", "r1", 0.0), Profile("H100", "r1", 0.0))
    assert of_gpu(profiles, seen()) == profiles[1]
    assert of_gpu(profiles, Signals(300)) == profiles[0]
    assert of_gpu((), seen()) is None
    assert of_gpu((), Signals(300)) is None


@pytest.mark.parametrize(
    ("given", "missed"),
    [
        ({"bad": 0.5}, True),
        ({"bad": 0.06}, False),
        ({"bad": 0.2, "total": 25.0}, True),
        ({"bad": 0.12, "total": 25.0}, False),
        ({"bad": 1.0, "total": 10.0}, False),
    ],
)
def test_an_objective_is_missed_by_a_margin_that_is_no_chance(given: dict[str, Any], missed: bool) -> None:
    found: Judged = judged(TTFT, **given)
    assert found.missed == missed


def test_a_cache_that_knows_another_part_begins_anew() -> None:
    first = learned()
    warm = replace(
        first,
        cache=Stat(0.7, 20, NOW),
        requests=Stat(4, 9, NOW),
        traits=(Trait("cache hits", 0.7, 0.5, 9, NOW),),
    )
    found = learned((warm,), now=NOW + WINDOW)
    assert found.since == NOW + WINDOW
    assert found.requests is not None
    assert found.requests.samples == 1

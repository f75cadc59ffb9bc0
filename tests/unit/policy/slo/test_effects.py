"""What became of advice: seen from what moved, measured when nothing from before is left, and kept."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.diagnosis import Advice
from gpupool.model.effects import Effect, Forecast, Lever, Measure
from gpupool.model.signals import PodSignals, Starting
from gpupool.model.slo import SloState
from gpupool.policy.slo.diagnosis.situation import Situation
from gpupool.policy.slo.effects import MOST, OPEN, follow, told
from support.signals import TTFT, a_pod, judged, seen, situation

NOW = 1_000_000.0
WINDOW = 300.0
QUANTIZE = Forecast(Measure.ITL, 33.0, 22.0, Lever.RECIPE, recipe="r1")


def advice(forecast: Forecast | None = QUANTIZE, kind: str = "Quantization") -> Advice:
    return Advice(kind, "because", "expect", forecast)


def an_effect(forecast: Forecast = QUANTIZE, **more: Any) -> Effect:
    return Effect("Quantization", forecast, NOW, **more)


def a_situation(*pods: PodSignals, recipe: str = "r1", **more: Any) -> Situation:
    return situation(seen(*pods, recipe=recipe, **more))


def test_advice_is_remembered_with_its_newest_numbers() -> None:
    (first,) = follow((), a_situation(), [advice(), advice(None, "Other")], NOW)
    assert first == an_effect()
    newer = replace(QUANTIZE, before=40.0)
    (again,) = follow((first,), a_situation(), [advice(newer)], NOW + 60)
    assert (again.forecast, again.given, again.since) == (newer, NOW + 60, 0)


def test_advice_that_is_given_no_more_is_waited_for_a_day() -> None:
    assert follow((an_effect(),), a_situation(), [], NOW + OPEN) == (an_effect(),)
    assert follow((an_effect(),), a_situation(), [], NOW + OPEN + 1) == ()


@pytest.mark.parametrize(
    ("forecast", "pods", "recipe", "followed"),
    [
        (QUANTIZE, (), "r2", True),
        (QUANTIZE, (), "r1", False),
        (QUANTIZE, (), "", False),
        (Forecast(Measure.RUNNING, 2, 4, Lever.REPLICAS, level=2), (a_pod(),), "r1", True),
        (Forecast(Measure.RUNNING, 2, 4, Lever.REPLICAS, level=2), (), "r1", False),
        (Forecast(Measure.TTFT, 900, 500, Lever.CACHE_HITS, level=0.1), (a_pod(known=2000),), "r1", True),
        (Forecast(Measure.TTFT, 900, 500, Lever.CACHE_HITS, level=0.1), (a_pod(known=500),), "r1", False),
        (Forecast(Measure.TTFT, 900, 500, Lever.CACHE_HITS, level=0.1), (a_pod(known=None),), "r1", False),
        (Forecast(Measure.FULLEST, 20, 10, Lever.SPREAD, level=20), (a_pod(waiting=9),), "r1", True),
        (Forecast(Measure.FULLEST, 20, 10, Lever.SPREAD, level=20), (a_pod(waiting=11),), "r1", False),
        (Forecast(Measure.FULLEST, 20, 10, Lever.SPREAD, level=20), (a_pod(waiting=None),), "r1", False),
    ],
)
def test_it_is_seen_from_what_moved(
    forecast: Forecast, pods: tuple[PodSignals, ...], recipe: str, followed: bool
) -> None:
    (found,) = follow((an_effect(forecast),), a_situation(*pods, recipe=recipe), [], NOW + 60)
    assert found.since == (NOW + 60 if followed else 0)


def test_it_is_measured_once_nothing_from_before_is_in_the_window() -> None:
    moved = an_effect(since=NOW)
    it = a_situation(a_pod(itl=0.024), recipe="r2")
    assert follow((moved,), it, [], NOW + 2 * WINDOW - 1) == (moved,)
    (found,) = follow((moved,), it, [], NOW + 2 * WINDOW)
    assert (found.real, found.at) == (24.0, NOW + 2 * WINDOW)
    assert told(found) == (
        "Quantization was followed: ms between tokens 33 before, 22 predicted, 24 measured."
    )
    assert follow((found,), it, [], NOW + OPEN * 9) == (found,), "it stays"


@pytest.mark.parametrize(
    "it",
    [
        a_situation(a_pod(itl=None), recipe="r2"),
        a_situation(recipe="r2", starting=(Starting("new", 5.0),)),
        situation(seen(recipe="r2"), judged(TTFT, state=SloState.STALE)),
    ],
)
def test_what_is_not_known_is_waited_for(it: Situation) -> None:
    moved = an_effect(since=NOW)
    assert follow((moved,), it, [], NOW + 9 * WINDOW) == (moved,)


@pytest.mark.parametrize(
    ("measure", "real"),
    [
        (Measure.TTFT, 60.0),
        (Measure.RUNNING, 14.0),
        (Measure.FULLEST, 0.0),
        (Measure.FITS, pytest.approx(466.7, abs=0.1)),
    ],
)
def test_every_measure_has_its_number(measure: Measure, real: float) -> None:
    moved = an_effect(replace(QUANTIZE, measure=measure), since=NOW)
    (found,) = follow((moved,), a_situation(recipe="r2"), [], NOW + 2 * WINDOW)
    assert found.real == real


def test_the_same_advice_again_is_another_one_and_only_some_are_kept() -> None:
    done = an_effect(since=NOW, real=24.0, at=NOW)
    found = follow((done,), a_situation(), [advice()], NOW + 60)
    assert [e.real for e in found] == [24.0, None]
    many = [replace(done, at=NOW + n, kind=f"k{n}") for n in range(MOST + 3)]
    kept = follow(many, a_situation(), [advice()], NOW + 60)
    assert len(kept) == MOST
    assert kept[-1].real is None

"""Attainment, budget and burn rates, as a table and by their laws."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.model.slo import Objective, Reading, Sli, SloState, Sums
from gpupool.policy.slo.budget import Alarm, alarms, budget
from gpupool.policy.slo.sums import fold

START = 86_400_000.0
DAYS28 = timedelta(days=28)
TTFT = Objective(Sli.TTFT, 99, 0.5)


def measured(*parts: tuple[int, float, float], window: timedelta = DAYS28) -> tuple[Sums, float]:
    """So many minutes of good and bad requests a minute, one after the other."""
    sums, now = Sums(until=START), START
    for minutes, good, bad in parts:
        for _ in range(minutes):
            now += 60
            sums = fold(sums, Reading(SloState.OK, good, good + bad, 60.0), now, window, 60)
    return sums, now


@pytest.mark.parametrize(
    ("good", "bad", "attainment", "remaining"),
    [(100, 0, 100, 100), (99, 1, 99, 0), (199, 1, 99.5, 50), (90, 10, 90, -900), (0, 10, 0, -9900)],
)
def test_the_budget_is_what_bad_events_left_of_it(
    good: float, bad: float, attainment: float, remaining: float
) -> None:
    sums, now = measured((10, good, bad))
    found = budget(TTFT, sums, now, DAYS28, 60)
    assert found.attainment == pytest.approx(attainment)
    assert found.remaining == pytest.approx(remaining)
    assert found.events == 10 * (good + bad)
    assert found.coverage == pytest.approx(100 * 600 / DAYS28.total_seconds())


def test_without_events_there_is_no_number() -> None:
    found = budget(TTFT, Sums(until=START), START, DAYS28, 60)
    assert (found.attainment, found.remaining, found.coverage, found.events) == (None, None, 0, 0)
    assert [(b.long_rate, b.burning) for b in found.burns] == [(None, False)] * 3
    assert not found.burning


def test_a_quiet_night_heals_nothing() -> None:
    busy, now = measured((60, 90, 10))
    quiet, later = measured((60, 90, 10), (600, 0.1, 0))
    before, after = (
        budget(TTFT, s, at, DAYS28, 60).remaining or 0 for s, at in ((busy, now), (quiet, later))
    )
    assert after == pytest.approx(before, rel=0.02)


def test_an_alarm_needs_both_windows_and_ends_soon_after_the_cause() -> None:
    burning, now = measured((120, 50, 50))
    assert [b.burning for b in budget(TTFT, burning, now, DAYS28, 60).burns] == [True, True, True]
    mended, later = measured((120, 50, 50), (10, 100, 0))
    fast = budget(TTFT, mended, later, DAYS28, 60).burns[0]
    assert fast.long_rate is not None
    assert fast.long_rate > fast.alarm.factor
    assert (fast.short_rate, fast.burning) == (0, False)


@pytest.mark.parametrize(
    ("percent", "window", "interval", "pairs"),
    [
        (99.9, DAYS28, 15, [(3360, 280, 14.4), (20160, 1680, 6), (241920, 20160, 1)]),
        (90, DAYS28, 15, [(3360, 280, 9), (20160, 1680, 6), (241920, 20160, 1)]),
        (50, DAYS28, 15, [(3360, 280, 1.8), (20160, 1680, 1.8), (241920, 20160, 1)]),
        (99, timedelta(days=1), 15, [(720, 120, 2.4), (8640, 720, 1)]),
        (99, timedelta(minutes=10), 1, [(60, 10, 1)]),
    ],
)
def test_the_windows_scale_and_what_can_never_be_reached_is_lowered(
    percent: float, window: timedelta, interval: float, pairs: list[tuple[float, float, float]]
) -> None:
    found = alarms(Objective(Sli.TTFT, percent, 0.5), window, interval)
    assert [(a.long, round(a.short, 3), round(a.factor, 3)) for a in found] == pairs


@given(st.floats(1, 99.999), st.integers(300, 2_592_000), st.floats(1, 60))
def test_every_alarm_can_be_reached_and_its_windows_hold_slices(
    percent: float, seconds: int, interval: float
) -> None:
    objective = Objective(Sli.E2E, percent, 1.0)
    found = alarms(objective, timedelta(seconds=seconds), interval)
    assert found
    for alarm in found:
        assert alarm.factor < 1 / objective.error_budget
        assert 0 < alarm.short <= alarm.long
    assert isinstance(found[0], Alarm)

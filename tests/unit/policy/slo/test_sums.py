"""What a bounded memory of events must keep: nothing lost, nothing counted twice, never too much."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.model.slo import DAY, HOUR, Reading, Slice, SloState, Sums
from gpupool.policy.slo.sums import fold, over, slice_seconds

START = 1_000 * DAY
MONTH = timedelta(days=30)


def ok(good: float, total: float, seconds: float = 15.0) -> Reading:
    return Reading(SloState.OK, good, total, seconds)


def run(readings: list[Reading], window: timedelta = MONTH, step: float = 15.0) -> Sums:
    """One reading after the other, `step` seconds apart."""
    sums = Sums(until=START)
    for number, reading in enumerate(readings, 1):
        sums = fold(sums, reading, START + number * step, window, step)
    return sums


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60), st.integers(1, 7200)
)
def test_events_are_counted_once_whatever_the_pace(raw: list[tuple[int, int]], step: int) -> None:
    readings = [ok(good, good + bad, step) for good, bad in raw]
    sums = run(readings, step=step)
    now = START + step * len(raw)
    found = over(sums, now, 29 * DAY)
    assert found.total == pytest.approx(sum(g + b for g, b in raw))
    assert found.good == pytest.approx(sum(g for g, _ in raw))
    assert found.covered <= step * len(raw) + 1e-6


@given(st.lists(st.integers(0, 40), min_size=1, max_size=100))
def test_a_month_of_any_rhythm_needs_sixty_stretches_at_most(gaps: list[int]) -> None:
    sums, now = Sums(until=START), START
    for gap in gaps:
        now += HOUR * (gap + 1)
        sums = fold(sums, ok(1, 1), now, MONTH, 15)
        assert len(sums.hours) + len(sums.days) <= 60
        assert [s.start for s in (*sums.days, *sums.hours)] == sorted(
            s.start for s in (*sums.days, *sums.hours)
        )


def test_what_is_older_than_the_window_is_forgotten() -> None:
    sums = run([ok(0, 10)], timedelta(hours=2))
    later = fold(sums, ok(5, 5), START + 5 * HOUR, timedelta(hours=2), 15)
    assert over(later, START + 5 * HOUR, 2 * HOUR).total == 5
    assert len(later.hours) == 1


def test_an_old_day_is_put_together_and_six_whole_hours_stay() -> None:
    sums = Sums(until=START)
    for hour in range(60):
        sums = fold(sums, ok(1, 2), START + hour * HOUR + 60, MONTH, 15)
    assert [(d.start - START) / DAY for d in sums.days] == [0, 1]
    assert [d.total for d in sums.days] == [48, 48]
    assert sums.hours[0].start == START + 2 * DAY
    assert over(sums, START + 60 * HOUR, 29 * DAY).total == 120


@pytest.mark.parametrize("state", [SloState.MISSING, SloState.STALE, SloState.INVALID, SloState.UNSUPPORTED])
def test_time_without_knowledge_stays_uncovered(state: SloState) -> None:
    sums = run([ok(1, 1), Reading(state, seconds=15.0), ok(1, 1)])
    assert over(sums, START + 45, 45).covered == 30


@pytest.mark.parametrize("state", [SloState.NO_TRAFFIC, SloState.PARTIAL])
def test_time_in_which_something_was_known_is_covered(state: SloState) -> None:
    assert over(run([Reading(state, 0, 0, 15.0)]), START + 15, 15).covered == 15


def test_a_reading_covers_no_more_than_the_time_since_the_one_before() -> None:
    assert over(run([ok(1, 1, seconds=900)]), START + 15, HOUR).covered == 15


def test_a_reading_that_comes_twice_counts_once() -> None:
    sums = run([ok(3, 4)])
    assert fold(sums, ok(3, 4), START + 15, MONTH, 15) == sums


def test_a_first_reading_without_a_before_adds_no_time() -> None:
    found = fold(Sums(until=START), replace(ok(0, 0), seconds=0.0), START + 1, MONTH, 15)
    assert (found.fine, found.until) == ((), START + 1)


def test_a_stretch_at_the_edge_counts_in_part() -> None:
    sums = Sums(until=START, hours=(Slice(START - HOUR, HOUR, 30, 60, HOUR),))
    assert over(sums, START, 2 * HOUR).total == 60
    found = over(sums, START + HOUR / 2, HOUR * 1.01)
    assert found.total == pytest.approx(60 * 0.51)


@pytest.mark.parametrize(
    ("window", "interval", "seconds"), [(MONTH, 15, 60), (timedelta(minutes=10), 1, 5), (MONTH, 90, 90)]
)
def test_slices_are_as_long_as_the_window_asks_and_the_pace_allows(
    window: timedelta, interval: float, seconds: float
) -> None:
    assert slice_seconds(window, interval) == seconds

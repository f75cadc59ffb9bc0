"""Arrivals from counters: nothing is lost, nothing is made up, and a gap is no burst."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.policy.slo.arrivals import (
    MOST_PEAKS,
    STEP,
    STEPS,
    Count,
    Record,
    arrivals,
    begun,
    fold,
    paced,
    tempo,
    with_peaks,
)
from gpupool.policy.slo.demand import Peak, Tuning

PLAIN = Tuning()
NOBODY: Mapping[str, float] = {}


def folded(
    *moments: Mapping[str, Count], record: Record | None = None, born: Mapping[str, float] = NOBODY
) -> Record:
    """A record from moment 1000 on, one moment after the other."""
    found = begun(STEP, 1000) if record is None else record
    for counts in moments:
        found = fold(found, found.asked + 1, counts, born, PLAIN)
    return found


def rates(record: Record, interval: float = 15.0) -> tuple[float, ...]:
    return arrivals(record, record.asked * STEP, interval).rates


def one(requests: float, running: float = 0.0, waiting: float = 0.0) -> dict[str, Count]:
    return {"a": Count(requests, running, waiting)}


def test_the_first_sight_of_a_pod_counts_from_then_on() -> None:
    assert rates(folded(one(5000))) == ()
    assert rates(folded(one(5000), one(5300), one(5900))) == (10.0, 20.0)


def test_what_is_under_way_has_come_too() -> None:
    assert rates(folded(one(0), one(0, 60, 240), one(300))) == (10.0, 0.0)


def test_an_engine_that_counts_what_comes_is_not_counted_twice() -> None:
    before, after = Count(0, coming=True), Count(300, 60, 240, coming=True)
    record = folded({"a": before}, {"a": after})
    assert rates(record) == (10.0,)
    assert (record.running, record.waiting) == (60, 240)


def test_a_counter_that_fell_began_anew() -> None:
    assert rates(folded(one(5000), one(30, 0, 30))) == (2.0,)


def test_what_a_dying_pod_had_under_way_did_come() -> None:
    both = {"a": Count(0, 30), "b": Count(0)}
    assert rates(folded({"a": Count(0), "b": Count(0)}, both, {"b": Count(60)})) == (1.0, 2.0)


def test_a_pod_that_began_to_serve_under_our_eyes_counts_whole() -> None:
    born = {"new": 1002 * STEP + 10, "old": 900 * STEP}
    record = folded(one(0), one(0), born=born)
    record = fold(record, 1004, one(0) | {"new": Count(60), "old": Count(9000)}, born, PLAIN)
    assert rates(record) == (0.0, 1.0, 1.0)


def test_a_gap_is_no_burst() -> None:
    record = folded(one(0), one(300), {}, {}, one(1200))
    assert rates(record) == (10.0,) * 4


def test_what_is_not_seen_grows_old_and_an_endpoint_without_pods_gets_nothing() -> None:
    record = folded(one(0), one(300), {}, {})
    assert rates(record) == (10.0,)
    assert arrivals(record, record.asked * STEP, 15.0).age == 2 * STEP
    empty = fold(record, record.asked + 1, {}, NOBODY, PLAIN, empty=True)
    assert rates(empty) == (10.0, 0.0, 0.0, 0.0)
    assert arrivals(empty, empty.asked * STEP, 15.0).age == 0
    assert rates(begun(STEP, 7)) == ()


def test_a_moment_counts_once() -> None:
    record = folded(one(0), one(300))
    assert fold(record, record.asked, one(900), NOBODY, PLAIN) is record


@pytest.mark.parametrize(
    ("interval", "step", "found"),
    [(0, 30, (0.0, 20.0, 0.0, 20.0)), (32, 30, (0.0, 20.0, 0.0, 20.0)), (60, 60, (10.0, 10.0))],
)
def test_steps_are_no_shorter_than_scrapes(interval: float, step: float, found: tuple[float, ...]) -> None:
    record = folded(one(0), one(0), one(600), one(600), one(1200))
    made = arrivals(record, record.asked * STEP, interval)
    assert (made.step, made.rates) == (step, found)


def test_a_mean_over_nothing_is_no_rate() -> None:
    assert rates(folded(one(10, 50), one(20, 0))) == (0.0,), "gauge and counter are of two moments"


def test_an_hour_is_kept_step_by_step_and_four_hours_as_peaks() -> None:
    record = begun(STEP, 1000)
    for number in range(1, 1200):
        record = fold(record, 1000 + number, one(number * 30.0), NOBODY, PLAIN)
    found = arrivals(record, record.asked * STEP, 15.0)
    assert found.rates == (1.0,) * STEPS
    assert len(record.requests) <= STEPS + 20
    assert {round(p.rate, 6) for p in found.peaks} == {1.0}
    ages = [record.asked * STEP - p.ended for p in found.peaks]
    assert (min(ages) >= 3600, max(ages) < 4 * 3600, len(ages)) == (True, True, 18)


def test_pods_that_are_long_gone_are_forgotten() -> None:
    record = folded(one(0), *({"b": Count(0)} for _ in range(STEPS + 1)))
    assert set(record.last) == {"b"}


def test_peaks_of_before_are_put_in_front_and_are_few() -> None:
    before = [Peak(float(n), 1.0) for n in range(99)]
    record = with_peaks(replace(begun(STEP, 1), peaks=(Peak(100.0, 2.0),)), before)
    assert (len(record.peaks), record.peaks[-1]) == (MOST_PEAKS, Peak(100.0, 2.0))


def test_a_shorter_evaluation_window_shortens_the_times_and_a_longer_one_does_not() -> None:
    assert (tempo(300), tempo(3600)) == (1.0, 1.0)
    quick = paced(PLAIN, tempo(10))
    assert [quick.hold, quick.near, quick.peak_over] == pytest.approx([8, 1, 20])
    assert (quick.spread, quick.learned, quick.stale) == (PLAIN.spread, PLAIN.learned, PLAIN.stale)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 500), st.integers(0, 50)), min_size=1, max_size=60))
def test_whatever_is_missed_meanwhile_every_request_counts_once(
    story: list[tuple[bool, int, int]],
) -> None:
    """A pod that counts, unseen now and then: what came in the end is what is told, step by step."""
    record, ended, came = folded(one(0)), 0, 0
    for seen, more, under_way in (*story, (True, 0, 0)):
        came = ended + more
        ended = came - min(under_way, more)
        record = fold(record, record.asked + 1, one(ended, came - ended) if seen else {}, NOBODY, PLAIN)
    assert sum(record.requests.values()) == pytest.approx(came)
    assert len(rates(record)) == len(story) + 1

"""Replicas that an SLO needs: tables of single terms, the words, and what holds for every endpoint."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.policy.slo.demand import Arrivals, Bounds, Budget, Demand, Need, Peak, Profile, Term, Tuning
from gpupool.policy.slo.sizing import backlog, burn, recent_peak, remembered, size, slope, spread

PLAIN = Tuning(spread=0.0, trend=0.0, peak_hold=0.0, drain=60.0)
"""Only the rate counts."""
MINUTE = 60.0
NOW = 100_000.0


def demand(*rates: float, **more: Any) -> Demand:
    """Ten requests/s a replica, two minutes to start, steps of 30 s, 1 to 64 replicas, two present."""
    profile = Profile(more.pop("rate", 10.0), more.pop("samples", 500), more.pop("startup", 120.0))
    arrivals = Arrivals(30.0, rates, more.pop("age", 0.0), more.pop("peaks", ()))
    bounds = Bounds(more.pop("low", 1), more.pop("high", 64), more.pop("saved", 0))
    budget = more.pop("budget", Budget())
    return Demand(NOW, profile, arrivals, budget, bounds, more.pop("present", 2), **more)


BURNT = Budget(good=9_000, total=10_000)
"""A tenth is bad, a hundredth is allowed."""
RICH = Budget(good=10_000, total=10_000)
JUMPS = (20.0, 40.0) * 10


@pytest.mark.parametrize(
    ("rates", "floor", "term"),
    [
        ((0.0,), 1, Term.LOWEST),
        ((10.0,), 1, Term.RATE),
        ((10.1,), 2, Term.RATE),
        ((95.0,), 10, Term.RATE),
        ((95.0, 35.0), 4, Term.RATE),
        ((640.0,), 64, Term.RATE),
        ((641.0,), 64, Term.HIGHEST),
    ],
)
def test_the_rate_of_now_over_what_a_replica_carries(
    rates: tuple[float, ...], floor: int, term: Term
) -> None:
    found = size(demand(*rates), PLAIN)
    assert (found.floor, found.term) == (floor, term)


@pytest.mark.parametrize(
    ("budget", "floor"), [(RICH, 5), (Budget(), 8), (BURNT, 11)], ids=["rich", "new", "burnt"]
)
def test_jumps_count_as_much_as_the_budget_is_short(budget: Budget, floor: int) -> None:
    tuning = replace(PLAIN, spread=2.2, spread_most=2.0)
    found = size(demand(*JUMPS, budget=budget), tuning)
    assert found.term is Term.SPREAD
    assert found.floor == floor


def test_a_slow_rise_is_no_spread_but_a_trend() -> None:
    rising = tuple(10.0 + n for n in range(20))
    assert spread(Arrivals(30.0, rising), 600) == pytest.approx(0.707, abs=0.001)
    assert slope(Arrivals(30.0, rising), 300) == pytest.approx(1 / 30)
    found = size(demand(*rising, startup=300.0), replace(PLAIN, trend=1.0))
    assert (found.floor, found.term) == (4, Term.TREND)
    assert found.message.startswith("4 replicas for the rate that is coming: 29 requests/s now")


@pytest.mark.parametrize("rates", [(50.0,) * 30, (50.0,) * 19, tuple(90.0 - n for n in range(30))])
def test_without_a_rise_or_the_history_for_one_there_is_no_trend(rates: tuple[float, ...]) -> None:
    assert slope(Arrivals(30.0, rates), 300) == 0


@pytest.mark.parametrize(
    ("since", "startup", "floor"),
    [(0, 120, 7), (359, 120, 7), (360, 120, 2), (360, 300, 7), (540, 300, 2)],
)
def test_a_need_outlives_itself_by_a_start_and_four_minutes(since: int, startup: int, floor: int) -> None:
    before = (Need(NOW - since, 7),)
    found = size(demand(20.0, needs=before, startup=float(startup)), PLAIN)
    assert found.floor == floor
    assert found.term is (Term.HOLD if floor == 7 else Term.RATE)


def test_only_needs_that_can_still_count_are_remembered() -> None:
    before = (Need(NOW - 400, 9), Need(NOW - 200, 8), Need(NOW - 100, 5), Need(NOW - 50, 3))
    kept = remembered(demand(50.0, needs=before), 4, 300)
    assert kept == (Need(NOW - 200, 8), Need(NOW - 100, 5), Need(NOW, 4))


PEAK_AN_HOUR_AGO = (Peak(NOW - 30 * MINUTE, 20.0), Peak(NOW - 60 * MINUTE, 80.0))


@pytest.mark.parametrize(
    ("budget", "floor"), [(RICH, 1), (Budget(), 1), (BURNT, 8)], ids=["rich", "new", "burnt"]
)
def test_recent_peaks_are_kept_where_the_budget_burns(budget: Budget, floor: int) -> None:
    found = size(demand(*(5.0,) * 20, budget=budget, peaks=PEAK_AN_HOUR_AGO), Tuning())
    assert found.floor == floor
    if floor > 1:
        assert found.term is Term.PEAK
        assert "may return before replicas start" in found.message


def test_no_peak_is_kept_for_longer_than_four_hours() -> None:
    old = (Peak(NOW - 241 * MINUTE, 80.0),)
    spent = Budget(good=0, total=1_000_000)
    assert size(demand(5.0, budget=spent, peaks=old), Tuning()).floor == 1


@pytest.mark.parametrize(
    ("back", "over", "highest"),
    [(0, 60, 0.0), (30, 30, 10.0), (60, 60, 45.0), (120, 30, 60.0), (600, 60, 45.0), (600, 600, 27.5)],
)
def test_a_peak_is_the_highest_mean_of_so_many_seconds(back: float, over: float, highest: float) -> None:
    assert recent_peak(Arrivals(30.0, (10.0, 30.0, 60.0, 10.0)), NOW, back, over) == highest


@pytest.mark.parametrize(
    ("ready", "waiting", "queue", "floor"),
    [
        (1, 0.0, 0.0, 5),
        (1, 300.0, 6_300.0, 16),
        (4, 300.0, 1_800.0, 8),
        (8, 300.0, 0.0, 5),
        (2, 9_000.0, 13_500.0, 28),
    ],
    ids=["nobody waits", "behind", "nearly enough", "catching up", "long queue"],
)
def test_a_queue_is_drained_within_a_minute_of_the_next_start(
    ready: int, waiting: float, queue: float, floor: int
) -> None:
    found = demand(50.0, ready=ready, waiting=waiting)
    assert backlog(found, 50.0, 150) == queue
    answer = size(found, PLAIN)
    assert answer.floor == floor
    assert (answer.term is Term.BACKLOG) == (floor > 5)


# ------------------------------------------------------------------ budget


@pytest.mark.parametrize(
    ("good", "total", "pace"),
    [(0, 0, 1.0), (60_000, 60_000, 0.01), (59_400, 60_000, 1.0), (54_000, 60_000, 9.9), (0, 6, 1.99)],
)
def test_the_budgets_pace_starts_as_planned_and_follows_many_requests(
    good: float, total: float, pace: float
) -> None:
    assert burn(Budget(good, total), 99.0) == pytest.approx(pace, rel=0.02)


def test_an_objective_of_all_requests_has_no_budget_and_still_a_number() -> None:
    assert burn(Budget(99, 100), 100.0) > 1_000
    assert size(demand(*JUMPS, objective=100.0, budget=Budget(99, 100))).floor > 8


# ------------------------------------------------------------------ what is not known


@pytest.mark.parametrize(("low", "saved", "floor"), [(1, 0, 1), (1, 4, 4), (5, 4, 5)])
@pytest.mark.parametrize("more", [{"samples": 9}, {"rate": 0.0}])
def test_until_the_profile_is_learned_the_minimums_count(
    low: int, saved: int, floor: int, more: dict[str, Any]
) -> None:
    found = size(demand(500.0, low=low, saved=saved, **more))
    assert (found.floor, found.term) == (floor, Term.UNLEARNED)
    assert "not learned yet" in found.message


@pytest.mark.parametrize(
    ("rates", "age", "said"), [((), 0, "is unknown"), ((5.0,), 121, "is 121s old")], ids=["none", "old"]
)
def test_without_a_rate_of_now_nothing_moves(rates: tuple[float, ...], age: float, said: str) -> None:
    before = (Need(NOW - 10, 9),)
    found = size(demand(*rates, age=age, present=5, needs=before))
    assert (found.floor, found.term, found.needs) == (5, Term.UNKNOWN, before)
    assert found.message.startswith("5 replicas stay: the arrival rate")
    assert said in found.message


def test_the_arithmetic_is_told() -> None:
    found = size(demand(*JUMPS))
    assert found.message == (
        "7 replicas for the rate and its jumps: 40 requests/s now, 1.8 x 14.1 for its jumps, 10 a replica,"
        " budget spent at 1 of its pace."
    )
    assert dict(found.parts) == {
        Term.RATE: 4,
        Term.SPREAD: 7,
        Term.TREND: 4,
        Term.BACKLOG: 0,
        Term.PEAK: 0,
        Term.HOLD: 7,
    }


def test_every_term_that_counts_is_told() -> None:
    rising = tuple(10.0 + n * n / 10 for n in range(20))
    found = size(demand(*rising, budget=BURNT, peaks=PEAK_AN_HOUR_AGO, ready=1, waiting=10.0))
    for words in (
        "more within 150s at this trend",
        "waiting by then",
        "a peak of 80 in the last 240 minutes",
    ):
        assert words in found.message


# ------------------------------------------------------------------ for every endpoint

RATES = st.lists(st.floats(0, 500, allow_nan=False), min_size=1, max_size=120)
COUNTS = st.integers(0, 100_000)
NEEDS = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 70)), max_size=8)


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    """Any endpoint with a profile and a rate."""
    total = draw(COUNTS)
    low = draw(st.integers(0, 10))
    needs: tuple[Need, ...] = ()
    for age, replicas in sorted(draw(NEEDS), reverse=True):
        needs = remembered(replace(demand(0.0), now=NOW - age, needs=needs), replicas, 300)
    peaks = tuple(Peak(NOW - age, rate) for age, rate in draw(st.lists(st.tuples(COUNTS, st.floats(0, 500)))))
    return replace(
        demand(*draw(RATES), low=low, high=low + draw(st.integers(0, 60)), peaks=peaks, needs=needs),
        budget=Budget(draw(st.integers(0, total)), total),
        objective=draw(st.floats(50, 100)),
        present=draw(st.integers(0, 80)),
        ready=draw(st.integers(0, 80)),
        waiting=draw(st.floats(0, 1_000)),
    )


@given(demands())
def test_never_outside_the_bounds_and_always_with_words(found: Demand) -> None:
    for asked in (found, replace(found, arrivals=Arrivals(30.0, ()))):
        answer = size(asked)
        assert found.bounds.low <= answer.floor <= found.bounds.high
        assert answer.message.endswith(".")


@given(demands(), st.floats(1, 3), st.floats(0, 100))
def test_more_load_never_needs_fewer_replicas(found: Demand, factor: float, more: float) -> None:
    """More by a factor, or by as many requests/s in every step; other shapes may jump less."""
    rates = tuple(r * factor + more for r in found.arrivals.rates)
    heavier = replace(found, arrivals=replace(found.arrivals, rates=rates))
    assert size(heavier).floor >= size(found).floor


@given(demands(), COUNTS)
def test_a_shorter_budget_never_needs_fewer_replicas(found: Demand, bad: int) -> None:
    poorer = replace(found.budget, good=max(0, found.budget.good - bad))
    assert size(replace(found, budget=poorer)).floor >= size(found).floor


@given(demands())
def test_a_faster_replica_never_needs_more_of_them(found: Demand) -> None:
    faster = replace(found.profile, rate=found.profile.rate * 1.5)
    assert size(replace(found, profile=faster)).floor <= size(found).floor


@given(demands())
def test_what_is_remembered_falls_and_stays_short(found: Demand) -> None:
    needs = size(found).needs
    assert all(a.replicas > b.replicas for a, b in pairwise(needs))
    assert len(needs) <= len(found.needs) + 1

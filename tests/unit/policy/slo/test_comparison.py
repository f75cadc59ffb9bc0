"""Bounds that hold at every look: as wide as few events make them, never surer than they say."""

from random import Random

import pytest

from gpupool.model.rollout import Tally
from gpupool.policy.slo.comparison import Bounds, bounds, compare, dispersion


def a_tally(bad: float, total: float, looks: float = 10, square: float | None = None) -> Tally:
    even = bad * bad / total if total else 0.0
    return Tally("ttft", total - bad, total, looks, even if square is None else square)


def test_nothing_is_known_without_events() -> None:
    assert bounds(a_tally(0, 0), 0.005) == Bounds(0.0, 1.0)
    assert a_tally(0, 0).ratio is None


@pytest.mark.parametrize(
    ("bad", "total", "low", "high"),
    [
        (0, 100, 0.0, 0.0785),
        (2, 500, 0.0, 0.0289),
        (25, 100, 0.109, 0.4407),
        (100, 100, 0.9215, 1.0),
        (60, 240, 0.1492, 0.3732),
    ],
)
def test_bounds_close_in_as_events_come(bad: float, total: float, low: float, high: float) -> None:
    found = bounds(a_tally(bad, total), 0.005)
    assert found.low == pytest.approx(low, abs=1e-3)
    assert found.high == pytest.approx(high, abs=1e-3)


def test_who_looks_at_every_tenth_event_is_not_wrong_more_often_than_is_said() -> None:
    wrong, runs, risk, truth = 0, 100, 0.1, 0.05
    for seed in range(runs):
        draw, bad = Random(seed), 0  # noqa: S311 - requests, not secrets
        for n in range(1, 801):
            bad += draw.random() < truth
            if n % 10 == 0:
                found = bounds(a_tally(bad, n, looks=1), risk)
                if not found.low <= truth <= found.high:
                    wrong += 1
                    break
    assert wrong / runs <= risk


def test_bad_events_that_come_together_count_as_fewer() -> None:
    # ten looks of 100 events: all 100 bad ones in one look, or ten in each
    together, even = a_tally(100, 1000, square=100.0), a_tally(100, 1000, square=10.0)
    assert dispersion(even) == 1.0
    assert dispersion(together) == pytest.approx(1000 / 9)
    assert bounds(together, 0.005).low < 1e-3 < bounds(even, 0.005).low
    assert dispersion(a_tally(100, 1000, looks=4, square=100.0)) == 1.0, "too few looks to tell"
    assert dispersion(a_tally(100, 100)) == 1.0, "all are bad alike"


@pytest.mark.parametrize(
    ("new", "old", "worse", "fine"),
    [
        ((50, 200), (1, 1000), True, False),
        ((0, 2000), (0, 2000), False, True),
        ((50, 200), (250, 1000), False, False),  # no worse than the old one, as far as is known
        ((500, 9000), (500, 9000), False, True),
        ((0, 100), (0, 100), False, False),  # too few to tell one bad of fifty
        ((1, 100), (0, 1000), False, False),
    ],
)
def test_worse_is_worse_than_promised_and_than_before(
    new: tuple[float, float], old: tuple[float, float], worse: bool, fine: bool
) -> None:
    found = compare(a_tally(*new), a_tally(*old), 0.01, 1)
    assert (found.worse, found.fine) == (worse, fine)


def test_the_budget_that_it_would_burn_is_said_with_its_least() -> None:
    found = compare(a_tally(50, 200), a_tally(1, 1000), 0.01, 2)
    assert found.burn == pytest.approx(25.0)
    assert 10 < found.least_burn < 25
    alone = compare(a_tally(50, 200), a_tally(1, 1000), 0.01, 1)
    assert alone.least_burn > found.least_burn, "of several objectives each is told apart less surely"

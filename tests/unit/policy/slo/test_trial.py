"""One replica fewer: where losing all requests meanwhile would alarm nobody, and something is learned."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.profile import Profile as Learned
from gpupool.model.profile import Stat
from gpupool.model.slo import DAY, Objective, Sli
from gpupool.policy.slo.budget import Alarm, Budget, Burn
from gpupool.policy.slo.demand import Arrivals, Bounds, Demand, Peak, Profile, Sizing, Term, Tuning
from gpupool.policy.slo.demand import Budget as Spent
from gpupool.policy.slo.sizing import size
from gpupool.policy.slo.trial import LONGEST, affordable, due, fewer, missed

WEEKS = 28 * DAY
TUNING = Tuning()
PROFILE = Learned("H100", "r", 0.0)


def objective(percent: float = 99.0) -> Objective:
    return Objective(Sli.TTFT, percent, threshold=0.5)


def budget(remaining: float | None = 100.0, long: float = 0.0, short: float = 0.0) -> Budget:
    """Of 28 days, with the alarms that those have."""
    alarms = (Alarm(3360.0, 280.0, 14.4), Alarm(20_160.0, 1680.0, 6.0), Alarm(241_920.0, 20_160.0, 1.0))
    return Budget(100.0, remaining, 50.0, 1e6, tuple(Burn(a, long, short) for a in alarms))


@pytest.mark.parametrize(
    ("percent", "found", "window", "startup", "bears"),
    [
        (99.0, budget(), WEEKS, 120.0, True),
        (99.0, budget(51.0), WEEKS, 120.0, True),
        (99.0, budget(50.0), WEEKS, 120.0, False),
        (99.0, budget(None), WEEKS, 120.0, False),
        (99.0, budget(-10.0), WEEKS, 120.0, False),
        # All of 3 minutes lost burn an hour's budget 5 times as fast as planned, and 14.4 times is an alarm.
        (99.0, budget(), WEEKS, 350.0, True),
        (99.0, budget(), WEEKS, 500.0, False),
        (99.9, budget(), WEEKS, 120.0, False),
        (95.0, budget(), WEEKS, 600.0, True),
        (99.0, budget(short=1.1), WEEKS, 120.0, False),
        (99.0, budget(long=1.1), WEEKS, 120.0, False),
        # Three minutes are more than half of what ten minutes may lose.
        (99.0, Budget(100.0, 100.0, 50.0, 1e6), 600.0, 120.0, False),
        (99.0, Budget(100.0, 100.0, 50.0, 1e6), 36_000.0, 120.0, True),
    ],
)
def test_it_must_be_affordable(
    percent: float, found: Budget, window: float, startup: float, *, bears: bool
) -> None:
    assert affordable([(objective(percent), found)], window, startup) is bears


def test_every_objective_must_bear_it_and_there_must_be_one() -> None:
    well, badly = (objective(), budget()), (objective(), budget(10.0))
    assert affordable([well, well], WEEKS, 60.0)
    assert not affordable([well, badly], WEEKS, 60.0)
    assert not affordable([], WEEKS, 60.0)


def test_after_each_miss_it_waits_longer() -> None:
    assert due(None, 0.0)
    first = missed(None, 9.0, 1000.0)
    assert first == Stat(9.0, 1, 1000.0)
    assert [due(first, 1000.0 + days * DAY) for days in (0.9, 1.0)] == [False, True]
    going_on = missed(first, 8.0, 1100.0)
    assert going_on == Stat(8.0, 1, 1100.0), "one miss that lasts"
    second = missed(going_on, 9.0, 1100.0 + DAY)
    assert second.samples == 2
    assert [due(second, second.at + days * DAY) for days in (1.9, 2.0)] == [False, True]
    assert due(replace(second, samples=50), second.at + LONGEST)


def demand(rate: float, **more: Any) -> Demand:
    """A steady rate on replicas that carried 10 requests/s each so far."""
    plain: dict[str, Any] = {
        "now": 0.0,
        "profile": Profile(10.0, 100, 60.0),
        "arrivals": Arrivals(30.0, (rate,) * 60),
        "budget": Spent(1e6, 1e6),
        "bounds": Bounds(1, 100),
        "present": 4,
        "ready": 4,
    }
    return Demand(**{**plain, **more})


def tried(given: Demand, profile: Learned = PROFILE) -> Sizing:
    return fewer(size(given), given, profile, TUNING)


def test_one_of_four_is_spared_where_the_others_would_carry_more_than_ever() -> None:
    answer = tried(demand(36.0))
    assert (answer.floor, answer.term) == (3, Term.TRIAL)
    assert answer.message.startswith(
        "3 replicas are tried at 12 requests/s each, where 10 were carried at most so far: the budget is"
        " rich. Otherwise 4 replicas for the rate: 36 requests/s now"
    )
    assert answer.needs == size(demand(36.0)).needs, "what was needed is remembered as it was"


@pytest.mark.parametrize(
    ("rate", "ready", "floor"),
    [
        (400.0, 40, 39),
        (80.0, 8, 7),
        (75.0, 8, 7),
        (31.0, 4, 3),
        (36.0, 3, 3),
        (12.0, 2, 1),
        # As many as are ready go on where the others would only be asked for by caution.
        (42.0, 4, 4),
    ],
)
def test_the_most_replicas_are_tried_of_which_something_is_learned(
    rate: float, ready: int, floor: int
) -> None:
    answer = tried(demand(rate, ready=ready))
    assert (answer.floor, answer.term) == (floor, Term.TRIAL)


def test_where_its_owner_allows_no_more_fewer_are_tried_all_the_same() -> None:
    jumping = Arrivals(30.0, (30.0, 42.0) * 30)
    given = demand(36.0, arrivals=jumping, bounds=Bounds(1, 4))
    assert size(given).term is Term.HIGHEST
    assert tried(given).floor == 3


NOTHING: dict[str, tuple[Demand, Learned]] = {
    "one replica": (demand(10.0, ready=1), PROFILE),
    "it would be too much at once": (demand(39.0), PROFILE),
    "the load grew by more than is tried": (demand(60.0), PROFILE),
    "its owner asks for so many": (demand(36.0, bounds=Bounds(4, 100)), PROFILE),
    "three would carry no more than before": (demand(30.4), PROFILE),
    "they are not there yet": (demand(36.0, ready=2), PROFILE),
    "its cache would be full": (demand(36.0), replace(PROFILE, kv=Stat(0.75, 9, 0.0))),
    "somebody waits": (demand(36.0, waiting=500.0), PROFILE),
    "somebody waits, and its owner allows no more": (
        demand(36.0, waiting=500.0, bounds=Bounds(1, 4)),
        PROFILE,
    ),
    "the load jumps": (demand(36.0, arrivals=Arrivals(30.0, (36.0,) * 59 + (80.0,))), PROFILE),
    "the load rises": (
        demand(36.0, arrivals=Arrivals(30.0, tuple(30.0 + n / 3 for n in range(60)))),
        PROFILE,
    ),
    "a peak may come back": (
        demand(
            36.0,
            budget=Spent(9e5, 1e6),
            arrivals=Arrivals(30.0, (36.0,) * 60, peaks=(Peak(-4000.0, 70.0),)),
            bounds=Bounds(1, 4),
        ),
        PROFILE,
    ),
    "no rate is known": (demand(36.0, arrivals=Arrivals(30.0, ())), PROFILE),
    "nothing is learned": (demand(36.0, profile=Profile(0.0, 0, 60.0)), PROFILE),
}


@pytest.mark.parametrize("why", NOTHING)
def test_nothing_is_tried_where(why: str) -> None:
    given, profile = NOTHING[why]
    assert fewer(size(given), given, profile, TUNING) == size(given)


def test_a_cache_with_room_lets_it_try() -> None:
    assert tried(demand(36.0), replace(PROFILE, kv=Stat(0.5, 9, 0.0))).term is Term.TRIAL

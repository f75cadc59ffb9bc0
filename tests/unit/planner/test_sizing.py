"""What an endpoint needs: the words of its status put to the rule, and what is not known lets nothing go."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.profile import ColdStart, Profile, Stat
from gpupool.model.slo import DAY, HOUR, Objective, Reading, Sli, Slice, SloState, Sums
from gpupool.model.steering import Need as Tried
from gpupool.model.steering import Needed, Scaling, Wake
from gpupool.planner.diagnosing import Findings
from gpupool.planner.endpoints import ObjectiveFound, SloStatus
from gpupool.planner.sizing import MOST, STARTUP, SizingScene, needed, size_endpoint
from gpupool.policy.slo.budget import Budget
from gpupool.policy.slo.demand import Arrivals, Need, Sizing, Term, Tuning
from support.builders import NOW
from unit.planner.test_steering import KEY, TTFT

AT = NOW.timestamp()
TEN = Profile("H100", "r", 0.0, requests=Stat(10.0, 500, AT), cold_start=ColdStart((60.0,) * 9 + (90.0,)))
STEADY = Arrivals(30.0, (40.0,) * 60)


def found(
    objective: Objective = TTFT, good: float = 0, total: float = 0, state: SloState = SloState.OK
) -> ObjectiveFound:
    hour = Slice(AT - HOUR, HOUR, good, total, HOUR)
    return ObjectiveFound(objective, Reading(state), Sums(AT, hours=(hour,)), Budget(None, None, 0.0, total))


def scene(*objectives: ObjectiveFound, profile: Profile | None = TEN, **more: Any) -> SizingScene:
    profiles = () if profile is None else (profile,)
    status = SloStatus(
        *(KEY, "uid", 1, "vLLM", 4, 4, objectives or (found(),), ()), findings=Findings(profiles=profiles)
    )
    return SizingScene(
        **{"status": status, "scaling": Scaling(1, 64), "arrivals": STEADY, "needs": (), **more}
    )


def sized(given: SizingScene) -> Sizing:
    return size_endpoint(given, NOW, Tuning())


def test_the_rate_over_what_a_replica_carried() -> None:
    answer = sized(scene())
    assert (answer.floor, answer.term) == (4, Term.RATE)
    assert needed(answer) == Needed(
        4, "4 replicas for the rate: 40 requests/s now, 10 a replica, budget spent at 1 of its pace", "Rate"
    )


def test_until_the_profile_is_learned_nothing_is_needed() -> None:
    assert needed(sized(scene(profile=None))) is None
    assert needed(sized(scene(profile=replace(TEN, requests=None)))) is None
    few = replace(TEN, requests=Stat(10.0, 9, AT))
    assert needed(sized(scene(profile=few))) is None


def test_the_owners_bounds_hold_and_the_grant_is_another_matter() -> None:
    assert sized(scene(scaling=Scaling(6, 64))).floor == 6
    assert sized(scene(scaling=Scaling(1, 3))).floor == 3
    huge = replace(STEADY, rates=(5_000.0,) * 60)
    assert sized(scene(scaling=Scaling(1), arrivals=huge)).floor == 500
    assert sized(scene(scaling=Scaling(1), arrivals=replace(STEADY, rates=(1e9,)))).floor == MOST


def test_the_objective_whose_budget_goes_fastest_counts_and_minutes_are_no_requests() -> None:
    well, badly = found(good=10_000, total=10_000), found(good=5_000, total=10_000)
    minutes = found(Objective(Sli.THROUGHPUT, 99, tokens_per_second=1), good=0, total=1_000_000)
    assert sized(scene(well)).burn < 0.1
    assert sized(scene(well, badly)).burn > 40
    assert sized(scene(well, minutes)).burn < 0.1
    assert sized(scene(minutes)).burn == 1.0


def test_only_the_last_day_is_looked_at() -> None:
    old = Slice(AT - 9 * DAY, DAY, 0, 1_000_000, DAY)
    before = replace(found(), sums=Sums(AT, days=(old,)))
    assert sized(scene(before)).burn == 1.0


def test_what_was_needed_a_few_minutes_ago_is_held_and_forgotten_at_last() -> None:
    fallen = replace(STEADY, rates=(40.0,) * 50 + (20.0,) * 10)
    held = sized(scene(arrivals=fallen, needs=(Need(AT - 290, 9),)))
    assert (held.floor, held.term) == (9, Term.HOLD)
    assert sized(scene(arrivals=fallen, needs=(Need(AT - 300, 9),))).floor < 9


def test_after_a_restart_what_was_needed_is_worked_out_from_the_arrivals() -> None:
    fallen = replace(STEADY, rates=(90.0,) * 55 + (20.0,) * 5)
    answer = sized(scene(arrivals=fallen, needs=None))
    assert (answer.floor, answer.term) == (9, Term.HOLD)
    assert sized(scene(arrivals=replace(STEADY, rates=()), needs=None)).term is Term.UNKNOWN
    assert sized(scene(arrivals=replace(STEADY, rates=(40.0,)), needs=None)).floor == 4


def test_before_a_start_was_seen_it_takes_two_minutes() -> None:
    rising = replace(STEADY, rates=tuple(20.0 + n for n in range(60)))
    slow = sized(scene(arrivals=rising, profile=replace(TEN, cold_start=ColdStart())))
    assert f"{STARTUP + 30:.0f}s at this trend" in slow.message
    assert "90s at this trend" in sized(scene(arrivals=rising)).message, "60 to start, and a step"


def test_without_a_rate_of_now_or_with_users_unseen_nothing_goes() -> None:
    old = replace(STEADY, age=500.0)
    assert (sized(scene(arrivals=old, replicas=7)).floor, sized(scene(arrivals=old)).floor) == (7, 4)
    stale = sized(scene(found(state=SloState.STALE), replicas=7))
    assert (stale.floor, stale.term) == (7, Term.UNKNOWN)
    assert stale.message == "7 replicas stay: what users feel is not known, the data is Stale."
    assert sized(scene(found(state=SloState.STALE), replicas=7, scaling=Scaling(1, 5))).floor == 5


def test_with_users_partly_seen_more_may_come() -> None:
    partial = sized(scene(found(state=SloState.PARTIAL), replicas=2))
    assert (partial.floor, partial.term) == (4, Term.RATE)
    assert needed(sized(scene(found(state=SloState.STALE), profile=None, replicas=7))) is None


SLEEPY = Scaling(0, 64, wake="queue")
SILENT = replace(STEADY, rates=(0.0,) * 60)
QUIET = Wake("queue", False, quiet=True)


IDLE = found(state=SloState.NO_TRAFFIC)


def test_nobody_asks_and_nothing_is_needed() -> None:
    answer = sized(scene(IDLE, scaling=SLEEPY, arrivals=SILENT, wake=QUIET))
    assert (answer.floor, answer.term) == (0, Term.RATE)
    assert sized(scene(IDLE, scaling=Scaling(1), arrivals=SILENT, wake=QUIET)).floor == 1
    assert sized(scene(scaling=SLEEPY, arrivals=STEADY, wake=QUIET)).floor == 4
    busy = scene(scaling=SLEEPY, arrivals=SILENT, wake=QUIET)
    assert sized(busy).floor == 1, "at this very look somebody was there"
    held = scene(IDLE, scaling=SLEEPY, arrivals=SILENT, wake=QUIET, needs=(Need(AT - 200, 1),))
    assert (sized(held).floor, sized(held).term) == (1, Term.HOLD)


@pytest.mark.parametrize(
    "more",
    [
        {"wake": Wake("queue", True)},
        {"wake": QUIET, "woken": True},
        {"wake": QUIET, "running": 1.0},
        {"wake": QUIET, "waiting": 1.0},
    ],
)
def test_somebody_asks_at_the_door_at_a_pod_or_by_hand(more: dict[str, Any]) -> None:
    answer = sized(scene(scaling=SLEEPY, arrivals=SILENT, **more))
    assert answer.floor == 1
    assert answer.needs == (Need(AT, 1),), "and it is held for a while"
    asleep = scene(scaling=SLEEPY, arrivals=replace(SILENT, age=500.0), replicas=0, **more)
    assert sized(asleep).floor == 1, "also where nothing is known of its pods"


def test_for_somebody_who_asks_is_a_reason() -> None:
    answer = sized(scene(scaling=SLEEPY, arrivals=SILENT, wake=Wake("queue", True)))
    assert answer.term is Term.WAKE
    assert answer.message.startswith("1 replicas for somebody who asks")


LOST = Wake("queue", None, 60.0, quiet=True, problem="p", reason="NotRead")


@pytest.mark.parametrize(
    ("wake", "replicas", "floor"),
    [
        (LOST, 1, 1),
        (LOST, 0, 0),
        (replace(LOST, age=121.0), 0, 1),
        (replace(LOST, quiet=False), 0, 1),
        (None, 1, 1),
    ],
    ids=["stays awake", "sleeps on for two minutes", "wakes", "never known", "never asked"],
)
def test_who_cannot_be_seen_asking_is_not_taken_for_nobody(
    wake: Wake | None, replicas: int, floor: int
) -> None:
    given = scene(IDLE, scaling=SLEEPY, arrivals=SILENT, wake=wake, replicas=replicas)
    assert sized(given).floor == floor


def test_nobody_falls_asleep_unseen() -> None:
    for state in (SloState.STALE, SloState.PARTIAL, SloState.MISSING):
        given = scene(found(state=state), scaling=SLEEPY, arrivals=SILENT, wake=QUIET, replicas=2)
        assert sized(given).floor == 2
    old = scene(IDLE, scaling=SLEEPY, arrivals=replace(SILENT, age=500.0), wake=QUIET, replicas=2)
    assert sized(old).floor == 2
    assert needed(sized(scene(IDLE, scaling=SLEEPY, arrivals=SILENT, wake=QUIET, profile=None))) is None


def test_who_waits_is_served() -> None:
    answer = sized(scene(waiting=500.0))
    assert answer.term is Term.BACKLOG
    assert answer.floor > 4


RICH = replace(found(), budget=Budget(100.0, 100.0, 50.0, 1e6))
WEEKS = 28 * DAY
LESS = Arrivals(30.0, (36.0,) * 60)


def test_one_fewer_is_tried_where_the_budget_is_rich() -> None:
    answer = sized(scene(RICH, window=WEEKS, arrivals=LESS))
    assert (answer.floor, answer.term) == (3, Term.TRIAL)
    told = needed(answer)
    assert told is not None
    assert told.term == "Trial"


MISSED = replace(TEN, missed=Stat(9.0, 1, AT - DAY / 2))
UNTRIED: dict[str, dict[str, Any]] = {
    "the window is short": {"window": HOUR},
    "objectives were missed half a day ago": {"profile": MISSED, "window": WEEKS},
    "users are not seen": {"state": SloState.STALE, "window": WEEKS},
}


@pytest.mark.parametrize("why", UNTRIED)
def test_nothing_is_tried_where(why: str) -> None:
    more = dict(UNTRIED[why])
    state = more.pop("state", SloState.OK)
    answer = sized(scene(replace(RICH, reading=Reading(state)), arrivals=LESS, **more))
    assert answer.floor == 4
    assert answer.term is not Term.TRIAL


def test_few_events_are_no_rich_budget() -> None:
    given = scene(RICH, window=WEEKS, arrivals=LESS)
    few = replace(given, status=replace(given.status, min_events=2_000_000))
    assert sized(few).floor == 4


def test_where_the_profile_is_in_doubt_and_users_miss_one_more_is_tried() -> None:
    def tried(replicas: int, **more: Any) -> Sizing:
        given = scene(**more)
        findings = replace(given.status.findings, pressed=Tried(replicas, "answers grew"))
        return sized(replace(given, status=replace(given.status, findings=findings)))

    found = tried(6)
    assert (found.floor, found.term) == (6, Term.MISSED)
    assert found.message.startswith("6 replicas are tried: answers grew. Otherwise 4 replicas for the rate")
    assert tried(3).term is Term.RATE, "the rate asks for more already"
    assert tried(6, scaling=Scaling(1, 5)).floor == 5
    assert tried(6, profile=None).term is Term.UNLEARNED

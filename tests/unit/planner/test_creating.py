"""An HPA that we make: when, with what limits, what is in its way, and when it goes."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Key
from gpupool.model.scalerwrites import Adopt, Make, Remove
from gpupool.model.slo import SloState
from gpupool.model.steering import HpaMode, Limits, Originals, Pace, Scaler, Scaling
from gpupool.planner.steering import SteeringPlan
from gpupool.policy.slo.grant import booked
from gpupool.policy.slo.pace import behaviour
from support.builders import NOW
from unit.planner.test_steering import (
    HPA,
    KEY,
    LAB,
    OBSERVED,
    OTHER,
    REF,
    SLO,
    a_status,
    asks,
    condition,
    decided,
    planned,
)

CREATE = asks(HpaMode.CREATE)
STEADY = Limits(1, 4, behaviour(Pace.STEADY, ""))
NOTE = Originals(STEADY, STEADY)
OURS = Scaler(
    Key("vision", "gpupool-chat"), "our-uid", "9", REF, STEADY, originals=NOTE, made="uid", exact=True
)


def creating(*, metric: bool = True, **given: Any) -> SteeringPlan:
    made = given.get("made")
    adopted = () if made is None else (made,)
    snapshot = {"metric": metric, "adopted": adopted, **given.pop("snapshot", {})}
    return planned(**{"slo": CREATE, "scalers": (), "snapshot": snapshot, **given})


def steering(plan: SteeringPlan) -> tuple[str, str]:
    found = condition(plan, "Steering")
    assert found is not None
    assert (found.status == "True") is (found.reason == "Created")
    return found.reason, found.message


def test_where_its_metric_is_served_it_is_made_with_the_limits_that_were_decided() -> None:
    plan = creating()
    assert plan.writes == (Make(KEY, "uid", OURS.key, REF, NOTE),)
    assert steering(plan) == (
        "Created",
        "HPA gpupool-chat on gpupool_required_replicas: minReplicas 1, maxReplicas 4.",
    )


def test_in_a_pool_the_grant_bounds_it_also_without_a_maximum() -> None:
    unbounded = replace(SLO, scaling=Scaling(1, None, HpaMode.CREATE))
    (write,) = creating(slo=unbounded, place=LAB).writes
    assert isinstance(write, Make)
    assert (write.note.written.low, write.note.written.high) == (1, 7)


def test_what_stands_is_left_and_a_change_is_written_whatever_its_version() -> None:
    assert creating(made=OURS).writes == ()
    (write,) = creating(made=OURS, needed=3).writes
    assert isinstance(write, Adopt)
    assert (write.limits.low, write.force, write.version, write.made) == (3, True, "", True)


def test_its_own_limits_are_no_wish_of_its_owner() -> None:
    high = replace(STEADY, low=4)
    stands = replace(OURS, limits=high, originals=Originals(high, high))
    plan = creating(made=stands)
    assert decided(plan)[:2] == (1, 4), "what once was needed is no floor for ever"


def test_users_that_are_not_seen_keep_what_stands() -> None:
    high = replace(STEADY, low=3)
    stands = replace(OURS, limits=high, originals=Originals(high, high))
    plan = creating(made=stands, status=a_status(SloState.STALE))
    (write,) = plan.writes
    assert isinstance(write, Adopt)
    assert write.limits == Limits(3, 4, behaviour(Pace.HOLD, ""))


def test_an_api_server_without_tolerance_is_told() -> None:
    _, message = steering(creating(made=replace(OURS, exact=False)))
    assert "knows no tolerance" in message


def test_while_the_metric_is_not_served_what_stands_stays_and_is_bounded_further() -> None:
    plan = creating(metric=False, made=OURS, needed=3, snapshot={"unserved": "The port is taken."})
    assert len(plan.writes) == 1
    reason, message = steering(plan)
    assert reason == "NoMetricSource"
    assert "It holds: No metrics API serves gpupool_required_replicas now" in message
    assert "The port is taken." in message


def test_without_a_metrics_api_nothing_is_made_and_the_ways_out_are_named() -> None:
    plan = creating(metric=False)
    reason, message = steering(plan)
    assert (plan.writes, reason) == ((), "NoMetricSource")
    assert "metricsApi.enabled" in message
    assert "scaling.hpa: Adopt" in message


# ------------------------------------------------------------------ what is in the way

GONE: list[tuple[str, dict[str, Any]]] = [
    ("ForeignHpa", {"scalers": (HPA,)}),
    ("ForeignHpa", {"scalers": (replace(HPA, keda="chat"), replace(HPA, key=Key("vision", "b")))}),
    ("NameTaken", {"taken": True}),
    ("NameTooLong", {"slo": replace(CREATE, key=Key("vision", "c" * 64))}),
    ("PoolNotEnforced", {"place": OBSERVED}),
    ("SameTarget", {"status": a_status(SloState.OK, 50.0, OTHER)}),
    ("Advise", {"slo": asks(HpaMode.ADVISE)}),
    ("NoHpa", {"slo": asks(HpaMode.ADOPT)}),
]
STAYS: list[tuple[str, dict[str, Any]]] = [
    ("NoMaximum", {"slo": replace(SLO, scaling=Scaling(1, None, HpaMode.CREATE))}),
    ("NoTarget", {"target": None}),
    ("NotKnown", {"snapshot": {"blind": "pods cannot be read now"}}),
    ("NotKnown", {"snapshot": {"disputed": frozenset({"vision"})}}),
    ("NoRequest", {"place": replace(LAB, booked=booked((), ()))}),
]


@pytest.mark.parametrize(("why", "given"), [*GONE, *STAYS])
def test_what_is_in_the_way_is_named_and_nothing_is_made(why: str, given: dict[str, Any]) -> None:
    plan = creating(**given)
    assert (plan.writes, steering(plan)[0]) == ((), why)


@pytest.mark.parametrize("given", [given for _, given in GONE])
def test_what_is_not_wanted_any_more_is_removed(given: dict[str, Any]) -> None:
    assert creating(**given, made=OURS).writes == (Remove(OURS.key, "our-uid"),)


@pytest.mark.parametrize("given", [given for _, given in STAYS])
def test_while_something_is_missing_it_stays(given: dict[str, Any]) -> None:
    assert creating(**given, made=OURS).writes == ()


def test_a_foreign_hpa_is_never_doubled_and_the_ways_out_are_named() -> None:
    _, message = steering(creating(scalers=(HPA,)))
    assert "HPA hpa scales" in message
    assert "delete it, or set scaling.hpa: Adopt" in message


def test_who_rewrites_it_twice_wins() -> None:
    fought = replace(OURS, limits=Limits(1, 9), originals=Originals(STEADY, STEADY, (NOW,)))
    plan = creating(made=fought)
    assert (plan.writes, steering(plan)[0], decided(plan)[2]) == ((), "Conflict", "Conflict")

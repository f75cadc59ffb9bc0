"""What every HPA should say: consent, pool and mode first; then what is missing; then the write."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.model.hpanote import HIGH, LOW
from gpupool.model.objects import Key, Loan, ObjectRef
from gpupool.model.plan import Condition
from gpupool.model.pool import Mode
from gpupool.model.scalerwrites import Adopt, GiveBack
from gpupool.model.slo import Objective, Reading, Sli, Slo, SloState, Sums
from gpupool.model.steering import HpaMode, Limits, Originals, Pace, Scaler, ScalerKind, Scaling, Target
from gpupool.planner.endpoints import ObjectiveFound, SloStatus
from gpupool.planner.scenes import Scene, SteeringSnapshot
from gpupool.planner.steering import SteeringPlan, plan_steering
from gpupool.policy.slo.budget import Alarm, Budget, Burn
from gpupool.policy.slo.grant import Place, booked
from gpupool.policy.slo.pace import behaviour
from support.builders import GPU, MINUTE, NOW, a_pool, a_quota, a_request, a_share, granted

KEY = Key("vision", "chat")
REF = ObjectRef("apps/v1", "Deployment", "chat")
TTFT = Objective(Sli.TTFT, 99, 0.5)
SLO = Slo(KEY, "uid", 1, NOW, REF, (TTFT,), timedelta(days=1), 100, scaling=Scaling(1, 4, HpaMode.ADOPT))
TARGET = Target(KEY, REF, 2, 2, {GPU: 1}, {"app": "chat"}, surge="1", unavailable="0")
HPA = Scaler(Key("vision", "hpa"), "hpa-uid", "7", REF, Limits(1, 9))
KEDA = replace(HPA, kind=ScalerKind.SCALED_OBJECT, limits=Limits(0, 100, unsaid=frozenset({LOW, HIGH})))
STEADY, HOLD = behaviour(Pace.STEADY, ""), behaviour(Pace.HOLD, "")
LAB = Place(a_pool(a_share("vision")), Mode.ENFORCE, a_quota(8, 2), booked([granted("chat", 8)], ()))


def a_status(state: SloState = SloState.OK, events: float = 50.0, *conditions: Condition) -> SloStatus:
    burning = (Burn(Alarm(3600, 300, 14.4), 20.0, 20.0),)
    found = ObjectiveFound(TTFT, Reading(state), Sums(), Budget(90.0, -900.0, 100.0, events, burning))
    return SloStatus(KEY, "uid", 1, "vLLM", 2, 2, (found,), conditions, min_events=100)


def planned(
    status: SloStatus | None = None, *, slo: Slo = SLO, snapshot: dict[str, Any] | None = None, **scene: Any
) -> SteeringPlan:
    scene = {"target": TARGET, "scalers": (HPA,), "kept": 2, **scene}
    made = SteeringSnapshot(NOW, {KEY: Scene(slo, **scene)}, **(snapshot or {}))
    return plan_steering(made, (status or a_status(),))


def condition(plan: SteeringPlan, type_: str) -> Condition | None:
    return next((c for c in plan.statuses[0].conditions if c.type == type_), None)


def reason(plan: SteeringPlan) -> str:
    found = condition(plan, "Steering")
    assert found is not None
    assert (found.status == "True") is (found.reason == "Adopted")
    return found.reason


def decided(plan: SteeringPlan) -> tuple[int, int, str]:
    found = plan.statuses[0].decision
    assert found is not None
    return found.floor, found.ceiling, found.reason


def asks(mode: HpaMode) -> Slo:
    return replace(SLO, scaling=replace(SLO.scaling, hpa=mode))


def test_an_adopted_hpa_is_written() -> None:
    plan = planned()
    (write,) = plan.writes
    assert isinstance(write, Adopt)
    assert write.limits == Limits(1, 4, STEADY)
    assert (write.force, write.note.theirs) == (True, HPA.limits)
    assert (reason(plan), decided(plan)) == ("Adopted", (1, 4, "MaxReplicas"))


def test_what_stands_is_not_written_again() -> None:
    wanted = Limits(1, 4, STEADY)
    stands = replace(HPA, limits=wanted, originals=Originals(HPA.limits, wanted))
    plan = planned(scalers=(stands,), snapshot={"adopted": (stands,)})
    assert (plan.writes, reason(plan)) == ((), "Adopted")


def test_a_budget_that_is_used_up_counts_with_enough_events() -> None:
    (write,) = planned(a_status(events=100.0)).writes
    assert isinstance(write, Adopt)
    assert write.limits.behavior == behaviour(Pace.PROTECT, "")


def test_users_that_are_not_seen_hold() -> None:
    plan = planned(a_status(SloState.STALE))
    (write,) = plan.writes
    assert isinstance(write, Adopt)
    assert write.limits.behavior == HOLD
    assert decided(plan)[2] == "DataUnknown"


def test_in_a_pool_the_grant_bounds_it() -> None:
    plan = planned(place=LAB, slo=replace(SLO, scaling=Scaling(1, None, HpaMode.ADOPT)))
    assert (reason(plan), decided(plan)) == ("Adopted", (1, 7, "GrantLimits"))
    assert condition(plan, "WantsMoreGPUs") is None


def test_what_it_needs_may_be_handed_in() -> None:
    assert decided(planned(needed=3, why="arithmetic"))[0] == 3


# ------------------------------------------------------------------ why nothing is written

OTHER = Condition("Conflict", "True", "SameTarget")  # type: ignore[arg-type] # a status of its text
OBSERVED = replace(LAB, mode=Mode.OBSERVE)
NOT_CONSENTED: list[tuple[str, dict[str, Any]]] = [
    ("Advise", {"slo": asks(HpaMode.ADVISE)}),
    ("SameTarget", {"status": a_status(SloState.OK, 50.0, OTHER)}),
    ("PoolNotEnforced", {"place": OBSERVED}),
    ("NoMetricSource", {"slo": asks(HpaMode.CREATE)}),
]
MISSING: list[tuple[str, dict[str, Any]]] = [
    ("NotKnown", {"snapshot": {"blind": "pods cannot be read now"}}),
    ("NotKnown", {"snapshot": {"disputed": frozenset({"vision"})}}),
    ("NoTarget", {"target": None}),
    ("SeveralHpas", {"scalers": (HPA, replace(HPA, key=Key("vision", "second")))}),
    ("Paused", {"scalers": (replace(KEDA, paused="autoscaling.keda.sh/paused"),)}),
    ("NoScaledObject", {"scalers": (replace(HPA, keda="chat"),)}),
    ("NotKnown", {"scalers": (replace(HPA, keda="chat"),), "snapshot": {"keda": False}}),
    ("IdleReplicas", {"scalers": (replace(KEDA, idle=4),)}),
    ("NoRequest", {"place": replace(LAB, booked=booked((), ()))}),
    ("NotDecided", {"place": replace(LAB, booked=booked([a_request("chat", 8)], ()))}),
    ("NoWall", {"place": replace(LAB, quota=None)}),
]


@pytest.mark.parametrize(("why", "given"), [*NOT_CONSENTED, *MISSING])
def test_what_is_in_the_way_is_named_and_nothing_is_written(why: str, given: dict[str, Any]) -> None:
    plan = planned(**given)
    assert (plan.writes, reason(plan)) == ((), why)
    floor, ceiling, found = decided(plan)
    assert found == (why if why != "Advise" else "MaxReplicas"), "where it was consented to, it is the reason"
    assert 0 <= floor <= ceiling


def test_an_endpoint_without_an_hpa_says_so() -> None:
    plan = planned(scalers=())
    assert (plan.writes, reason(plan)) == ((), "NoHpa")


ADOPTED = replace(HPA, limits=Limits(2, 4), originals=Originals(Limits(1, 9), Limits(2, 4)))


@pytest.mark.parametrize("given", [given for _, given in NOT_CONSENTED])
def test_without_consent_its_owner_gets_it_back(given: dict[str, Any]) -> None:
    plan = planned(**{**given, "scalers": (ADOPTED,), "snapshot": {"adopted": (ADOPTED,)}})
    assert plan.writes == (GiveBack(HPA.key, HPA.uid, Limits(1, 9), ADOPTED.originals),)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [given for _, given in MISSING])
def test_while_something_is_missing_it_stays_as_it_is(given: dict[str, Any]) -> None:
    first, *rest = given.get("scalers", (ADOPTED,))
    adopted = replace(first, limits=ADOPTED.limits, originals=ADOPTED.originals)
    snapshot = {**given.get("snapshot", {}), "adopted": (adopted,)}
    assert planned(**{**given, "scalers": (adopted, *rest), "snapshot": snapshot}).writes == ()


def test_a_scaled_object_is_written_as_its_owner_lets_it_sleep() -> None:
    plan = planned(scalers=(KEDA,))
    (write,) = plan.writes
    assert isinstance(write, Adopt)
    assert (write.kind, write.limits) == (ScalerKind.SCALED_OBJECT, Limits(0, 4, STEADY))
    told = condition(plan, "Steering")
    assert told is not None
    assert told.message.startswith("ScaledObject hpa: minReplicaCount 0, maxReplicaCount 4. While nothing")
    unbounded = planned(scalers=(KEDA,), slo=replace(SLO, scaling=Scaling(1, None, HpaMode.ADOPT)))
    found = unbounded.statuses[0].decision
    assert found is not None
    assert "the ScaledObject's own maxReplicaCount 100" in found.message


def test_while_it_is_paused_a_scaled_object_is_not_even_given_back() -> None:
    adopted = replace(KEDA, originals=ADOPTED.originals, paused="autoscaling.keda.sh/paused")
    assert plan_steering(SteeringSnapshot(NOW, adopted=(adopted,)), ()).writes == ()
    (write,) = plan_steering(SteeringSnapshot(NOW, adopted=(replace(adopted, paused=""),)), ()).writes
    assert isinstance(write, GiveBack)
    assert write.kind is ScalerKind.SCALED_OBJECT


def test_an_hpa_whose_promise_is_gone_is_given_back() -> None:
    other = replace(ADOPTED, originals=None)
    plan = plan_steering(SteeringSnapshot(NOW, adopted=(ADOPTED, other)), ())
    assert [w.scaler for w in plan.writes if isinstance(w, GiveBack)] == [HPA.key]
    blind = SteeringSnapshot(NOW, adopted=(ADOPTED,), blind="a pool cannot be read")
    assert plan_steering(blind, ()).writes == ()
    assert plan_steering(replace(blind, blind="", unread=True), ()).writes == ()


def test_a_status_without_a_scene_is_left_as_it_is() -> None:
    status = a_status()
    assert plan_steering(SteeringSnapshot(NOW), (status,)) == SteeringPlan((status,))


# ------------------------------------------------------------------ conditions


def test_a_second_rewrite_is_a_conflict_and_is_left_alone() -> None:
    note = Originals(Limits(1, 9), Limits(1, 4, STEADY), (NOW,))
    fought = replace(HPA, limits=Limits(1, 9), originals=note, writers=("argocd",))
    plan = planned(scalers=(fought,), snapshot={"adopted": (fought,)})
    assert (plan.writes, reason(plan), decided(plan)[2]) == ((), "Conflict", "Conflict")
    found = condition(plan, "Conflict")
    assert found is not None
    assert (found.reason, "ignoreDifferences" in found.message) == ("Rewritten", True)


def test_at_full_grant_a_rollout_that_cannot_begin_is_said_before() -> None:
    full = replace(LAB, quota=a_quota(2, 2), booked=booked([granted("chat", 2)], ()))
    plan = planned(place=full, slo=replace(SLO, scaling=Scaling(5, None, HpaMode.ADOPT)))
    (write,) = plan.writes
    assert isinstance(write, Adopt)
    assert (write.limits.low, write.limits.high) == (2, 2)
    stuck, wants = condition(plan, "RolloutWouldDeadlock"), condition(plan, "WantsMoreGPUs")
    assert stuck is not None
    assert "ask for 1 more GPUs in CapacityRequest chat" in stuck.message
    assert wants is not None
    assert "5 replicas are needed" in wants.message


def test_a_rollout_that_can_be_lent_its_surge_is_not_stuck_and_a_loan_is_told() -> None:
    full = replace(LAB, quota=a_quota(2, 2), booked=booked([granted("chat", 2)], ()), spare={GPU: 1})
    plan = planned(place=full)
    assert condition(plan, "RolloutWouldDeadlock") is None
    assert condition(plan, "SurgeLoan") is None
    for lent in (0, 1):
        loans = {f"Deployment/chat/{GPU}": Loan(GPU, lent, NOW, NOW + MINUTE, over=1 - lent)}
        quota = a_quota(3, 3, loans=loans)
        told = condition(planned(place=replace(full, quota=quota)), "SurgeLoan")
        assert (told is not None) is bool(lent)
        if told is not None:
            assert "1 GPUs are lent to the rollout of Deployment/chat beside its grant" in told.message


def test_without_a_request_it_says_which_kind_to_ask_with() -> None:
    plan = planned(place=replace(LAB, quota=a_quota(2, 2), booked=booked((), ())))
    stuck = condition(plan, "RolloutWouldDeadlock")
    assert stuck is not None
    assert "in a CapacityRequest." in stuck.message


def test_where_some_pods_are_seen_the_floor_may_rise_and_none_goes() -> None:
    (write,) = planned(a_status(SloState.PARTIAL), needed=4, why="arithmetic").writes
    assert isinstance(write, Adopt)
    assert write.limits.low == 4
    assert write.limits.behavior == HOLD

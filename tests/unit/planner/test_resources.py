"""What every VPA should say: consent and pool first, then what is missing, then the write."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.model.objects import Container, Key, ObjectRef
from gpupool.model.plan import Condition, Status
from gpupool.model.pool import Mode
from gpupool.model.resources import (
    LeaveVpa,
    Recommendation,
    Resources,
    Use,
    UseDay,
    Vpa,
    VpaMode,
    VpaNote,
    WriteVpa,
)
from gpupool.model.slo import Objective, Sli, Slo
from gpupool.model.steering import Scaling, canonical
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.resources import ResourcePlan, ResourceScene, ResourceSnapshot, plan_resources
from gpupool.policy.slo.grant import Place
from support.builders import NOW, a_pool, a_share

KEY, REF = Key("vision", "chat"), ObjectRef("apps/v1", "Deployment", "chat")
TTFT = Objective(Sli.TTFT, 99, 0.5)
USE = Use("main", 0.0, 900.0, (UseDay(0.0, 1.0, 2.0**30),))
MAIN = Container("main", 2.0)
FOREIGN = Vpa(Key("vision", "theirs"), "uid", "7", REF, "Initial")
OURS = Vpa(KEY, "ours", "7", REF, "Initial", "[]", note=VpaNote("", "[]", made=True))
POOL = a_pool(a_share("vision"))
LOW, HIGH = {"cpu": "1200m", "memory": "1280Mi"}, {"cpu": "2300m", "memory": "2560Mi"}


def an_slo(mode: VpaMode = VpaMode.ADOPT) -> Slo:
    return Slo(KEY, "slo", 1, NOW, REF, (TTFT,), timedelta(days=1), 100, scaling=Scaling(vpa=mode))


def a_status(*conditions: Condition) -> SloStatus:
    return SloStatus(KEY, "slo", 1, "vLLM", 2, 2, (), conditions)


def planned(
    mode: VpaMode = VpaMode.ADOPT,
    status: SloStatus | None = None,
    snapshot: dict[str, Any] | None = None,
    **scene: Any,
) -> ResourcePlan:
    found = ResourceScene(an_slo(mode), **{"containers": (MAIN,), "use": USE, "vpas": (FOREIGN,), **scene})
    vpas = tuple(v for v in found.vpas if v.note is not None)
    made = ResourceSnapshot(NOW, 300.0, {KEY: found}, vpas, **{"served": True, **(snapshot or {})})
    return plan_resources(made, [status or a_status()])


def told(plan: ResourcePlan) -> Resources:
    (status,) = plan.statuses
    found = status.resources
    assert found is not None
    condition = next(c for c in status.conditions if c.type == "Resources")
    assert (condition.reason, condition.message) == (found.reason, found.message)
    assert (condition.status is Status.TRUE) is (found.reason in {"Adopted", "Created"})
    return found


def test_a_vpa_that_is_there_is_adopted() -> None:
    recommended = {"main": Recommendation({"cpu": "1"}), "proxy": Recommendation({"cpu": "2"})}
    plan = planned(vpas=(replace(FOREIGN, recommendations=recommended),))
    found = told(plan)
    assert (found.reason, found.vpa, found.mode) == ("Adopted", "theirs", "Initial")
    assert (found.bounds.low, found.bounds.high) == (LOW, HIGH)
    assert found.recommendation == Recommendation({"cpu": "1"})
    assert "theirs: cpu 1200m to 2300m, memory 1280Mi to 2560Mi" in found.message
    (write,) = plan.writes
    assert isinstance(write, WriteVpa)
    assert write.force
    assert "controlledValues" not in write.note.written


@pytest.mark.parametrize(("limit", "values"), [(2.0, "RequestsAndLimits"), (None, "RequestsOnly")])
def test_where_there_is_none_one_is_made(limit: float | None, values: str) -> None:
    plan = planned(VpaMode.CREATE, vpas=(), containers=(Container("main", limit),))
    (write,) = plan.writes
    assert isinstance(write, WriteVpa)
    assert (write.vpa, write.uid, write.mode, write.note.made) == (KEY, "", "Initial", True)
    assert f'"controlledValues":"{values}"' in write.note.written
    assert told(plan).reason == "Created"
    stands = replace(OURS, policies=write.note.written, note=write.note)
    again = planned(VpaMode.CREATE, vpas=(stands,), containers=(Container("main", limit),))
    assert (again.writes, told(again).reason) == ((), "Created")


SAME = Condition("Conflict", Status.TRUE, "SameTarget", "")
HELD = replace(FOREIGN, note=VpaNote("", "[]"), policies="[]")
OFF = canonical([{"containerName": "main", "mode": "Off"}])
GIVEN_BACK: list[tuple[str, dict[str, Any]]] = [
    ("Advise", {"mode": VpaMode.ADVISE}),
    ("SameTarget", {"status": a_status(SAME)}),
    ("NotInstalled", {"snapshot": {"served": False}}),
    ("PoolNotEnforced", {"place": Place(POOL, Mode.OBSERVE)}),
    ("WouldRestart", {"vpas": (replace(HELD, mode="Recreate"),)}),
    ("WouldRestart", {"vpas": (replace(HELD, mode=""),)}),
    ("NothingToSteer", {"shared": frozenset({"cpu", "memory"})}),
    ("NothingToSteer", {"vpas": (replace(HELD, note=VpaNote(OFF, "[]")),)}),
    ("NoVpa", {"vpas": (OURS,)}),
    ("VpaExists", {"mode": VpaMode.CREATE, "vpas": (FOREIGN, OURS)}),
    ("NameTaken", {"mode": VpaMode.CREATE, "vpas": (OURS,), "namesake": True}),
]
KEPT: list[tuple[str, dict[str, Any]]] = [
    ("NotKnown", {"snapshot": {"blind": "pods cannot be read"}}),
    ("NotKnown", {"snapshot": {"served": None}}),
    ("NotKnown", {"snapshot": {"disputed": frozenset({"vision"})}}),
    ("SeveralVpas", {"vpas": (HELD, replace(FOREIGN, key=Key("vision", "second")))}),
    ("SeveralContainers", {"containers": (MAIN, Container("other"))}),
    ("NoUse", {"use": Use()}),
    ("Learning", {"use": replace(USE, until=899.0)}),
    ("WouldRestart", {"mode": VpaMode.CREATE, "vpas": (replace(OURS, mode="Auto"),)}),
]


@pytest.mark.parametrize(("reason", "given"), GIVEN_BACK)
def test_without_consent_or_where_it_could_restart_it_is_given_back(
    reason: str, given: dict[str, Any]
) -> None:
    plan = planned(**{"vpas": (HELD,), **given})
    assert told(plan).reason == reason
    (write,) = plan.writes
    assert isinstance(write, LeaveVpa)


@pytest.mark.parametrize(("reason", "given"), KEPT)
def test_while_something_is_missing_it_stays_as_it_is(reason: str, given: dict[str, Any]) -> None:
    plan = planned(**{"vpas": (HELD,), **given})
    assert (told(plan).reason, plan.writes) == (reason, ())


def test_without_any_vpa_it_says_so() -> None:
    assert told(planned(vpas=())).reason == "NoVpa"


def test_advice_shows_the_values_or_that_they_are_being_learned() -> None:
    found = told(planned(VpaMode.ADVISE, vpas=(), snapshot={"served": False}))
    assert (found.bounds.low, found.message) == (LOW, "scaling.vpa is Advise: nothing is written.")
    learning = told(planned(VpaMode.ADVISE, vpas=(), use=replace(USE, until=0.0)))
    assert learning.bounds.low == {}
    assert "Fewer than 3 evaluation windows (300 s each) were looked at" in learning.message


def test_what_an_hpa_scales_on_is_left_out() -> None:
    assert told(planned(shared=frozenset({"cpu"}))).bounds.low == {"memory": "1280Mi"}


def test_off_says_nothing_and_takes_back() -> None:
    plan = planned(VpaMode.OFF, vpas=(HELD,))
    assert plan.statuses == (a_status(),)
    assert [type(w) for w in plan.writes] == [LeaveVpa]


def test_whose_promise_is_gone_is_given_back_unless_something_cannot_be_read() -> None:
    snapshot = ResourceSnapshot(NOW, 300.0, noted=(HELD, replace(HELD, note=None)))
    assert [w.vpa for w in plan_resources(snapshot, ()).writes if isinstance(w, LeaveVpa)] == [HELD.key]
    assert plan_resources(replace(snapshot, blind="x"), ()).writes == ()
    assert plan_resources(replace(snapshot, unread=True), ()).writes == ()


def test_a_status_without_a_scene_is_left_as_it_is() -> None:
    assert plan_resources(ResourceSnapshot(NOW, 300.0), [a_status()]) == ResourcePlan((a_status(),))


@pytest.mark.parametrize(
    ("before", "conflicts"), [((), 1), ((Condition("Conflict", Status.TRUE, "Rewritten", ""),), 1)]
)
def test_a_second_rewrite_is_a_conflict_that_is_told_once(
    before: tuple[Condition, ...], conflicts: int
) -> None:
    theirs = canonical([{"containerName": "main"}])
    fought = replace(HELD, policies=theirs, note=VpaNote("", "[]", (NOW,)))
    plan = planned(status=a_status(*before), vpas=(fought,))
    assert (told(plan).reason, plan.writes) == ("Conflict", ())
    assert sum(c.type == "Conflict" for c in plan.statuses[0].conditions) == conflicts

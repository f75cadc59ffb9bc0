"""Who sleeps and who wakes: the note comes before the replicas, and there is always a way back."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Key
from gpupool.model.plan import Status
from gpupool.model.scalerwrites import Adopt, GiveBack, Rescale
from gpupool.model.slo import SloState
from gpupool.model.steering import HpaMode, Limits, Originals, Scaler, Scaling, Wake
from gpupool.planner.steering import SteeringPlan
from gpupool.policy.slo.grant import booked
from support.builders import NOW, a_quota, granted
from unit.planner.test_steering import (
    HPA,
    KEY,
    LAB,
    REF,
    SLO,
    STEADY,
    TARGET,
    a_status,
    condition,
    decided,
    planned,
    reason,
)

SLEEPY = replace(SLO, scaling=Scaling(0, 4, HpaMode.ADOPT, "queue"))
WRITTEN = Limits(1, 4, STEADY)
NONE, ONE = replace(TARGET, replicas=0, existing=0), replace(TARGET, replicas=1, existing=1)


def adopted(asleep: int = 0) -> Scaler:
    return replace(HPA, limits=WRITTEN, originals=Originals(HPA.limits, WRITTEN, asleep=asleep))


def plan(asleep: int = 0, needed: int | None = 0, **more: Any) -> SteeringPlan:
    scaler = more.pop("scaler", adopted(asleep))
    snapshot = {"adopted": (scaler,), **more.pop("snapshot", {})}
    plain = {"slo": SLEEPY, "scalers": (scaler,), "needed": needed, "kept": 0}
    return planned(**{**plain, **more}, snapshot=snapshot)


def test_the_note_goes_first() -> None:
    (write,) = plan().writes
    assert isinstance(write, Adopt)
    assert (write.note.asleep, write.limits, write.force) == (2, WRITTEN, False)


def test_noted_it_goes_to_none() -> None:
    found = plan(asleep=2)
    assert found.writes == (Rescale(KEY, REF, 2, 0, KEY),)
    assert (decided(found)[0], reason(found)) == (0, "Adopted")


def test_asleep_nothing_is_written() -> None:
    assert plan(asleep=2, target=NONE).writes == ()
    assert plan(asleep=2, target=NONE, status=a_status(SloState.MISSING)).writes == ()


def test_somebody_asks_and_it_wakes_then_the_note_goes() -> None:
    assert plan(asleep=2, target=NONE, needed=1).writes == (Rescale(KEY, REF, 0, 1, KEY),)
    (write,) = plan(asleep=2, target=ONE, needed=1).writes
    assert isinstance(write, Adopt)
    assert write.note.asleep == 0


def test_a_first_adoption_puts_nobody_to_sleep() -> None:
    (write,) = plan(scaler=HPA).writes
    assert isinstance(write, Adopt)
    assert (write.force, write.note.asleep) == (True, 0)


def test_a_workload_that_somebody_else_stopped_is_left_alone() -> None:
    for needed in (0, 1):
        assert plan(target=NONE, needed=needed).writes == ()


def test_a_grant_of_nothing_is_no_sleep() -> None:
    poor = replace(LAB, quota=a_quota(0, 0), booked=booked([granted("chat", 0)], ()))
    found = plan(place=poor, needed=2, target=ONE)
    assert decided(found)[0] == 0
    assert [w for w in found.writes if isinstance(w, Rescale)] == []
    assert all(w.note.asleep == 0 for w in found.writes if isinstance(w, Adopt))


def test_until_the_profile_is_learned_nobody_sleeps() -> None:
    found = plan(needed=None)
    assert decided(found)[0] == 1
    assert found.writes == ()
    nobody = planned(slo=SLEEPY, scalers=(), kept=0)
    assert decided(nobody)[0] == 1


def test_while_users_are_not_seen_nobody_falls_asleep() -> None:
    found = plan(asleep=2, status=a_status(SloState.STALE))
    assert decided(found)[0] == 1
    assert [w for w in found.writes if isinstance(w, Rescale)] == []


@pytest.mark.parametrize("mode", [HpaMode.ADVISE, HpaMode.CREATE])
def test_without_consent_it_wakes_and_is_given_back(mode: HpaMode) -> None:
    slo = replace(SLEEPY, scaling=replace(SLEEPY.scaling, hpa=mode))
    found = plan(asleep=2, target=NONE, slo=slo, snapshot={"sleepers": {HPA.key: NONE}})
    (write,) = found.writes
    assert isinstance(write, GiveBack)
    assert write.wake == Rescale(KEY, REF, 0, 2)
    (awake,) = plan(asleep=2, slo=slo).writes
    assert isinstance(awake, GiveBack)
    assert awake.wake is None


def test_no_more_replicas_come_back_than_the_owner_allows() -> None:
    forged = adopted(asleep=9_999)
    slo = replace(SLEEPY, scaling=replace(SLEEPY.scaling, hpa=HpaMode.ADVISE))
    (write,) = plan(scaler=forged, slo=slo, target=NONE, snapshot={"sleepers": {HPA.key: NONE}}).writes
    assert isinstance(write, GiveBack)
    assert write.wake is not None
    assert write.wake.after == 9


def test_whose_hpa_is_fought_over_wakes() -> None:
    note = Originals(Limits(1, 9), WRITTEN, (NOW,), asleep=2)
    fought = replace(HPA, limits=Limits(1, 9), originals=note, writers=("argocd",))
    found = plan(scaler=fought, target=NONE)
    assert (found.writes, reason(found)) == ((Rescale(KEY, REF, 0, 1, KEY),), "Conflict")


def test_where_something_is_missing_who_asks_is_served_all_the_same() -> None:
    missing = {"place": replace(LAB, booked=booked((), ()))}
    assert plan(asleep=2, target=NONE, needed=1, **missing).writes == (Rescale(KEY, REF, 0, 1, KEY),)
    assert plan(asleep=2, target=NONE, needed=0, **missing).writes == ()
    assert plan(asleep=2, target=NONE, needed=1, snapshot={"blind": "pods cannot be read"}).writes == ()


def test_whose_hpa_is_gone_wakes_unless_we_are_blind() -> None:
    gone = Rescale(Key("vision", "other"), REF, 0, 3)
    assert gone in plan(snapshot={"deserted": (gone,)}).writes
    assert gone not in plan(snapshot={"deserted": (gone,), "blind": "pods cannot be read"}).writes


@pytest.mark.parametrize(
    ("wake", "status", "why"),
    [
        (Wake("queue", True), Status.TRUE, "Asked"),
        (Wake("queue", False), Status.TRUE, "Quiet"),
        (Wake("queue", None, problem="queue has no value.", reason="NoSeries"), Status.FALSE, "NoSeries"),
    ],
)
def test_what_wakes_it_is_told(wake: Wake, status: Status, why: str) -> None:
    found = condition(plan(wake=wake), "WakeUp")
    assert found is not None
    assert (found.status, found.reason) == (status, why)
    assert "queue" in found.message
    assert condition(plan(), "WakeUp") is None

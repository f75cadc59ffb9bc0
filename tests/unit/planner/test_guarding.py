"""What is written about a bad rollout: with consent, on a fresh verdict, once, and against nobody."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.plan import Condition, Status
from gpupool.model.pool import Mode
from gpupool.model.rollout import (
    Acted,
    GuardMode,
    PauseRollout,
    Population,
    Release,
    ResumeRollout,
    Rollable,
    RollBack,
    Rollout,
    Verdict,
)
from gpupool.model.steering import Target
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.guarding import GuardPlan, GuardScene, GuardSnapshot, plan_guard
from gpupool.planner.rollouts import Guarded
from gpupool.policy.slo.grant import Place
from gpupool.policy.slo.guard import Watched
from support.builders import GPU, a_pool, a_share
from support.rollouts import BAD, JUDGED, NEW, OLD
from unit.planner.test_endpoints import a_slo

KEY = Key("chat-prod", "chat")
REF = ObjectRef("apps/v1", "Deployment", "chat")
BESIDE = Release(NEW, {OLD: Population(2, 2, 2), NEW: Population(1, 1, 1)})
ROLL = Rollable("uid-d", "7", "bad-template")
PAUSED = replace(ROLL, paused=True, ours=True, acted=(Acted("Pause", NEW, "bad-template"),), noted=True)
RESUMED = replace(PAUSED, paused=False, ours=False)
BACK = replace(ROLL, acted=(Acted("Rollback", NEW, "bad-template", OLD),), noted=True)
OBSERVED = Place(a_pool(a_share("vision")), Mode.OBSERVE)


def a_target(found: Rollable | None) -> Target:
    return Target(KEY, REF, 2, 3, {GPU: 1}, rollable=found)


def planned(
    mode: GuardMode = GuardMode.PAUSE,
    now: Rollable | None = ROLL,
    memory: Rollout = BAD,
    *,
    release: Release = BESIDE,
    fresh: bool = True,
    conditions: tuple[Condition, ...] = (),
    snapshot: dict[str, Any] | None = None,
    **scene: Any,
) -> GuardPlan:
    watched = None if mode is GuardMode.OFF else Guarded(Watched(memory, fresh=fresh), release)
    status = SloStatus(KEY, "uid", 1, "vLLM", 3, 3, (JUDGED,), conditions, guarded=watched)
    target = scene.pop("target", a_target(now))
    made = GuardScene(a_slo(guard=mode), target, source="chat-5c4b", **scene)
    noted = () if target is None or target.rollable is None or not target.rollable.noted else (target,)
    return plan_guard(GuardSnapshot({KEY: made}, noted, **(snapshot or {})), (status,))


def action(plan: GuardPlan) -> str:
    found = plan.statuses[0].guarded
    return "" if found is None else found.action


def healthy(plan: GuardPlan) -> Condition | None:
    return next((c for c in plan.statuses[0].conditions if c.type == "RolloutHealthy"), None)


# ------------------------------------------------------------------ pause


def test_a_bad_rollout_is_paused() -> None:
    plan = planned()
    acted = (Acted("Pause", NEW, "bad-template"),)
    assert plan.writes == (PauseRollout(KEY, KEY, "uid-d", "7", acted),)
    found = healthy(plan)
    assert found is not None
    assert (found.status, found.reason) == (Status.FALSE, "Pausing")
    assert found.message == "It is worse. Its rollout is being paused."


@pytest.mark.parametrize("verdict", [Verdict.WAIT, Verdict.PROMOTE, None])
def test_what_is_not_bad_is_left_alone(verdict: Verdict | None) -> None:
    for mode in GuardMode:
        plan = planned(mode, memory=replace(BAD, verdict=verdict))
        assert (plan.writes, action(plan)) == ((), "")
    assert (healthy(planned(memory=replace(BAD, verdict=verdict))) is None) is (verdict is None)


def test_observe_only_tells() -> None:
    plan = planned(GuardMode.OBSERVE)
    found = healthy(plan)
    assert plan.writes == ()
    assert found is not None
    assert (found.status, found.reason) == (Status.FALSE, "Worse")


def test_a_pause_stays_while_the_revision_is_bad_and_says_the_way_out() -> None:
    plan = planned(now=PAUSED)
    assert (plan.writes, action(plan)) == ((), "Paused")
    found = healthy(plan)
    assert found is not None
    assert "kubectl -n chat-prod rollout undo deployment/chat" in found.message
    assert planned(now=PAUSED, fresh=False).writes == (), "also where nothing is known now"


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("the revision is good", {"memory": replace(BAD, verdict=Verdict.PROMOTE)}),
        ("another revision came", {"release": replace(BESIDE, newest="9e8d")}),
        ("its template was changed", {"now": replace(PAUSED, template="mended")}),
        ("rollout.guard is Rollback", {"mode": GuardMode.ROLLBACK}),
        ("nobody guards it any more", {"mode": GuardMode.OBSERVE}),
        ("nobody guards it any more", {"mode": GuardMode.OFF}),
        ("nobody guards it any more", {"place": OBSERVED}),
        ("nobody guards it any more", {"conditions": (Condition("Conflict", Status.TRUE, "SameTarget"),)}),
    ],
)
def test_our_pause_is_lifted_when_its_reason_is_gone(why: str, more: dict[str, Any]) -> None:
    (write,) = planned(**{"now": PAUSED, **more}).writes
    assert isinstance(write, ResumeRollout)
    assert (write.why, write.paused) == (why, True)


def test_without_its_promise_a_paused_deployment_goes_on() -> None:
    (write,) = plan_guard(GuardSnapshot(noted=(a_target(PAUSED),)), ()).writes
    assert isinstance(write, ResumeRollout)
    assert (write.slo, write.paused) == (None, True)
    noted = (a_target(PAUSED),)
    assert plan_guard(GuardSnapshot(noted=noted, blind="pods cannot be read"), ()).writes == ()
    assert plan_guard(GuardSnapshot(noted=noted, unread=True), ()).writes == ()


def test_a_pause_of_others_is_never_touched() -> None:
    theirs = replace(ROLL, paused=True)
    plan = planned(now=theirs)
    assert (plan.writes, action(plan)) == ((), "PausedByOthers")
    taken = replace(PAUSED, ours=False)
    (write,) = planned(GuardMode.OBSERVE, taken).writes
    assert isinstance(write, ResumeRollout)
    assert not write.paused, "the note goes, their pause stays"
    assert action(planned(GuardMode.ROLLBACK, theirs)) == "PausedByOthers"


def test_who_resumes_wins() -> None:
    plan = planned(now=RESUMED)
    assert (plan.writes, action(plan)) == ((), "Overruled")
    again = planned(now=replace(RESUMED, acted=(Acted("Pause", "older", "x"),)))
    assert isinstance(again.writes[0], PauseRollout), "another revision is another matter"


def test_where_the_old_pods_are_gone_there_is_nothing_to_pause() -> None:
    plan = planned(release=Release(NEW, {NEW: Population(2, 2, 2)}))
    assert (plan.writes, action(plan)) == ((), "RolledOut")


@pytest.mark.parametrize("mode", [GuardMode.PAUSE, GuardMode.ROLLBACK])
def test_an_old_verdict_writes_nothing(mode: GuardMode) -> None:
    plan = planned(mode, fresh=False)
    assert (plan.writes, action(plan)) == ((), "")


# ------------------------------------------------------------------ back


def test_a_bad_revision_is_turned_back_once() -> None:
    plan = planned(GuardMode.ROLLBACK)
    acted = (Acted("Rollback", NEW, "bad-template", OLD),)
    assert plan.writes == (RollBack(KEY, KEY, "uid-d", "7", "chat-5c4b", acted),)
    assert action(plan) == "RollingBack"


def test_while_the_good_one_stands_it_is_said() -> None:
    withdrawn = replace(BAD, reason="Withdrawn")
    plan = planned(GuardMode.ROLLBACK, BACK, withdrawn, release=replace(BESIDE, newest=OLD))
    assert (plan.writes, action(plan)) == ((), "RolledBack")
    by_hand = planned(GuardMode.ROLLBACK, ROLL, withdrawn, release=replace(BESIDE, newest=OLD))
    assert (by_hand.writes, action(by_hand)) == ((), "")


def test_a_template_that_comes_again_stays() -> None:
    plan = planned(GuardMode.ROLLBACK, BACK)
    assert (plan.writes, action(plan)) == ((), "Conflict")
    found = healthy(plan)
    assert found is not None
    assert "somebody wrote that of 7d9f again: it stays" in found.message


def test_a_template_that_nobody_keeps_cannot_be_set_back() -> None:
    found = Guarded(Watched(BAD, fresh=True), BESIDE)
    status = replace(planned().statuses[0], guarded=found, conditions=())
    scene = GuardScene(a_slo(guard=GuardMode.ROLLBACK), a_target(ROLL))
    plan = plan_guard(GuardSnapshot({KEY: scene}), (status,))
    assert (plan.writes, action(plan)) == ((), "NoTemplate")


# ------------------------------------------------------------------ no consent, nothing known

MODES = [GuardMode.PAUSE, GuardMode.ROLLBACK]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("reason", "more"),
    [
        ("PoolNotEnforced", {"place": OBSERVED}),
        ("SameTarget", {"conditions": (Condition("Conflict", Status.TRUE, "SameTarget"),)}),
        ("NotKnown", {"snapshot": {"blind": "pods cannot be read now: nothing is written."}}),
        ("NotKnown", {"snapshot": {"disputed": frozenset({"chat-prod"})}}),
        ("NoDeployment", {"now": None}),
        ("NoDeployment", {"target": None}),
    ],
)
def test_why_nothing_is_written(mode: GuardMode, reason: str, more: dict[str, Any]) -> None:
    plan = planned(mode, **more)
    assert (plan.writes, action(plan)) == ((), reason)


@pytest.mark.parametrize("more", [{"place": OBSERVED}, {"target": None}])
def test_of_a_good_rollout_no_obstacle_is_told(more: dict[str, Any]) -> None:
    assert action(planned(memory=replace(BAD, verdict=Verdict.PROMOTE), **more)) == ""


def test_what_is_not_known_lifts_no_pause() -> None:
    assert planned(now=PAUSED, snapshot={"blind": "pods cannot be read"}).writes == ()
    assert planned(now=PAUSED, snapshot={"disputed": frozenset({"chat-prod"})}).writes == ()


def test_an_enforced_pool_lets_it_be_written() -> None:
    assert planned(place=replace(OBSERVED, mode=Mode.ENFORCE)).writes


def test_an_endpoint_that_is_not_looked_at_is_told_as_it_is() -> None:
    status = replace(planned(GuardMode.OFF).statuses[0])
    plan = plan_guard(GuardSnapshot(), (status,))
    assert plan == GuardPlan((status,), ())

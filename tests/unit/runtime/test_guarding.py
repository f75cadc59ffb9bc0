"""Guarding look by look: what it is shown, what is written, what is told of it, and what fails."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.collector.controllers import Controller
from gpupool.errors import Failure, KubeError, kube_error
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.rollout import (
    Acted,
    GuardMode,
    PauseRollout,
    Release,
    ResumeRollout,
    Rollable,
    RollBack,
    Rollout,
    Verdict,
)
from gpupool.model.senses import Senses
from gpupool.model.steering import Target
from gpupool.model.world import World
from gpupool.planner.endpoints import SloPlan, SloStatus
from gpupool.planner.rollouts import Guarded
from gpupool.policy.membership import Membership
from gpupool.policy.slo.guard import Watched
from gpupool.runtime import guarding as module
from gpupool.runtime.context import Context
from gpupool.runtime.guarding import Guarding
from gpupool.runtime.surroundings import surroundings
from support.builders import GPU, NOW
from support.rollouts import BAD, JUDGED, NEW, OLD, a_release
from unit.planner.test_endpoints import a_slo

KEY = Key("chat-prod", "chat")
REF = ObjectRef("apps/v1", "Deployment", "chat")
NOTED = Rollable("u", "7", "t", paused=True, ours=True, acted=(Acted("Pause", NEW, "t"),), noted=True)


class Rig:
    """One endpoint, whose Deployment is written by a hand that notes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rollable = Rollable("u", "7", "t")
        self.release: Release = a_release()
        self.senses = Senses()
        self.done: list[Any] = []
        self.fails: KubeError | None = None
        for name in ("pause", "resume"):
            monkeypatch.setattr(module, name, self._do)
        monkeypatch.setattr(module, "roll_back", self._back)
        mirror = SimpleNamespace(
            deployments=SimpleNamespace(store=SimpleNamespace(values=self._deployments)),
            replicasets=SimpleNamespace(store=SimpleNamespace(values=self._sets)),
            slos=SimpleNamespace(store=Slos()),
        )
        context = SimpleNamespace(mirror=mirror, client=None, writer=None, epoch=1)
        self.guarding = Guarding(cast("Context", context))

    def _deployments(self) -> tuple[Target, ...]:
        return (Target(KEY, REF, 2, 3, {GPU: 1}, rollable=self.rollable),)

    def _sets(self) -> tuple[Controller, ...]:
        ref = ObjectRef("apps/v1", "ReplicaSet", "chat-5c4b")
        return (Controller("chat-prod", ref, "u", REF, {"pod-template-hash": OLD}, {GPU: 1}, revision=1),)

    async def _do(self, _writer: Any, action: Any, *, epoch: int) -> None:
        assert epoch == 1
        if self.fails is not None:
            raise self.fails
        self.done.append(action)

    async def _back(self, _client: Any, writer: Any, action: Any, *, epoch: int) -> None:
        await self._do(writer, action, epoch=epoch)

    async def turn(self, mode: GuardMode = GuardMode.PAUSE, memory: Rollout = BAD, slos: int = 1) -> SloPlan:
        slo = a_slo(guard=mode)
        guarded = Guarded(Watched(memory, fresh=True), self.release)
        status = SloStatus(KEY, "uid", 1, "", 3, 3, (JUDGED,), (), guarded=guarded)
        plan = SloPlan((status,) * slos)
        asked = [slo] * slos
        around = surroundings(World(NOW, senses=self.senses), Membership(), asked)
        return await self.guarding.turn(plan, asked, around)


class Slos:
    """As many InferenceSLOs as can be read."""

    objects = 1

    def __len__(self) -> int:
        return 1


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


def told(plan: SloPlan) -> list[tuple[str, bool]]:
    return [(n.reason, n.warning) for n in plan.notices]


async def test_a_bad_rollout_is_paused_and_it_is_told(rig: Rig) -> None:
    plan = await rig.turn()
    (write,) = rig.done
    assert isinstance(write, PauseRollout)
    assert told(plan) == [("RolloutPaused", True)]
    assert "revision 7d9f is bad" in plan.notices[0].message


async def test_it_goes_back_to_the_template_of_the_good_one(rig: Rig) -> None:
    plan = await rig.turn(GuardMode.ROLLBACK)
    (write,) = rig.done
    assert isinstance(write, RollBack)
    assert write.source == "chat-5c4b"
    assert told(plan) == [("RolledBack", True)]
    assert "from revision 7d9f to the template of 5c4b" in plan.notices[0].message


async def test_a_good_one_goes_on(rig: Rig) -> None:
    rig.rollable = NOTED
    plan = await rig.turn(memory=replace(BAD, verdict=Verdict.PROMOTE))
    assert isinstance(rig.done[0], ResumeRollout)
    assert told(plan) == [("RolloutResumed", False)]


async def test_whose_promise_is_gone_is_let_go_without_a_word(rig: Rig) -> None:
    rig.rollable = NOTED
    plan = await rig.turn(slos=0)
    assert isinstance(rig.done[0], ResumeRollout)
    assert told(plan) == []


async def test_where_replicasets_are_not_heard_of_nothing_is_written(rig: Rig) -> None:
    rig.senses = Senses(unheard=("replicasets",))
    await rig.turn()
    assert rig.done == []


async def test_what_changed_meanwhile_waits_for_the_next_look(rig: Rig) -> None:
    rig.fails = kube_error("PATCH", Failure(409, "Conflict"))
    plan = await rig.turn()
    assert told(plan) == []
    assert plan.statuses[0].guarded is not None
    assert plan.statuses[0].guarded.action == "Pausing"


async def test_what_may_not_be_written_is_said(rig: Rig) -> None:
    rig.fails = kube_error("PATCH", Failure(403, "Forbidden", "no patch"))
    plan = await rig.turn()
    (found,) = [c for c in plan.statuses[0].conditions if c.type == "RolloutHealthy"]
    assert found.reason == "WriteFailed"
    assert "Deployment chat was not written" in found.message
    rig.rollable = NOTED
    assert (await rig.turn(slos=0)).statuses == ()


async def test_without_guard_nothing_is_looked_up(rig: Rig) -> None:
    await rig.turn(GuardMode.OBSERVE, memory=Rollout())
    assert rig.done == []

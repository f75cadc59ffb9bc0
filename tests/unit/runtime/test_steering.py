"""Steering look by look: what is remembered, what stops it, what is told of a write."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.collector.controllers import Controller
from gpupool.errors import Failure, KubeError, kube_error
from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.plan import Status
from gpupool.model.scalerwrites import Make, Remove, Rescale
from gpupool.model.senses import Senses
from gpupool.model.slo import Objective, Reading, Sli, Slo, SloState, Sums
from gpupool.model.steering import (
    HpaMode,
    Limits,
    Needed,
    Originals,
    Pace,
    Scaler,
    ScalerKind,
    Scaling,
    Target,
    Wake,
)
from gpupool.model.world import World
from gpupool.planner.endpoints import ObjectiveFound, SloPlan, SloStatus
from gpupool.policy.membership import Membership
from gpupool.policy.slo.budget import Budget
from gpupool.policy.slo.pace import behaviour
from gpupool.runtime import steering as module
from gpupool.runtime.context import Context
from gpupool.runtime.steering import AGAIN, LOOK, NOBODY, NOTHING, READY, Needs, Steering, Wakes
from gpupool.runtime.surroundings import surroundings
from support.builders import GPU, NOW, pods

KEY = Key("vision", "chat")
REF = ObjectRef("apps/v1", "Deployment", "chat")
TTFT = Objective(Sli.TTFT, 99, 0.5)
SLO = Slo(KEY, "uid", 1, NOW, REF, (TTFT,), timedelta(days=1), 100, scaling=Scaling(1, 4, HpaMode.ADOPT))
TARGET = Target(KEY, REF, 2, 2, {GPU: 1}, surge="1", unavailable="0")
HPA = Scaler(Key("vision", "hpa"), "hpa-uid", "7", replace(REF, api_version="apps/v2"), Limits(1, 9))


class Store:
    """Values, of how many objects."""

    def __init__(self, *values: Any, objects: int | None = None) -> None:
        self._values = values
        self.objects = len(values) if objects is None else objects

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> tuple[Any, ...]:
        return self._values


class Rig:
    """One endpoint, whose HPA is written by a hand that notes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.hpa: Scaler | None = HPA
        self.keda: tuple[Scaler, ...] = ()
        self.keda_heard = True
        self.slo = SLO
        self.objects = 1
        self.pods: tuple[Pod, ...] = pods(2, "chat")
        self.target = TARGET
        self.senses = Senses()
        self.unreadable: frozenset[str] = frozenset()
        self.twice: frozenset[str] = frozenset()
        self.sets: tuple[Controller, ...] = ()
        self.done: list[Any] = []
        self.asked = 0
        self.fails: KubeError | None = None
        self.scaled = True
        self.metric: Callable[[], bool] = lambda: False
        monkeypatch.setattr(module, "adopt", self._do)
        monkeypatch.setattr(module, "give_back", self._do)
        monkeypatch.setattr(module, "rescale", self._rescale)
        monkeypatch.setattr(module, "make", self._do)
        monkeypatch.setattr(module, "remove", self._do)
        self.problem = ""
        context = SimpleNamespace(mirror=self, client=self, writer=None, epoch=1, metrics_api=self)
        self.steering = Steering(cast("Context", context), lambda: self.now)

    def _mirrored(self, *values: Any, objects: int | None = None) -> Any:
        return SimpleNamespace(store=Store(*values, objects=objects))

    @property
    def deployments(self) -> Any:
        return self._mirrored(self.target)

    @property
    def statefulsets(self) -> Any:
        return self._mirrored(*self.sets)

    @property
    def autoscalers(self) -> Any:
        return self._mirrored(*([] if self.hpa is None else [self.hpa]))

    @property
    def scaled_objects(self) -> Any:
        return SimpleNamespace(values=lambda: self.keda, heard=self.keda_heard)

    @property
    def slos(self) -> Any:
        return self._mirrored(self.slo, objects=self.objects)

    async def has_resource(self, *_: str) -> bool:
        self.asked += 1
        return self.metric()

    async def _do(self, _writer: Any, action: Any, *, epoch: int) -> None:
        assert epoch == 1
        if self.fails is not None:
            raise self.fails
        self.done.append(action)

    async def _rescale(self, _client: Any, _writer: Any, action: Any, *, epoch: int) -> bool:
        await self._do(_writer, action, epoch=epoch)
        return self.scaled

    async def turn(self, *slos: Slo, needs: Needs = NOTHING, wakes: Wakes = NOBODY) -> SloPlan:
        asked = slos or (self.slo,)
        found = ObjectiveFound(TTFT, Reading(SloState.OK), Sums(), Budget(None, None, 0.0, 0.0))
        statuses = tuple(SloStatus(s.key, s.uid, 1, "", 2, 2, (found,), ()) for s in asked)
        world = World(NOW, pods=self.pods, senses=self.senses, unreadable_pools=self.unreadable)
        membership = Membership(claimed_twice=self.twice)
        around = surroundings(world, membership, asked)
        return await self.steering.turn(SloPlan(statuses), asked, around, needs, wakes=wakes)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


def said(plan: SloPlan) -> tuple[Status, str]:
    found = next(c for c in plan.statuses[0].conditions if c.type == "Steering")
    return found.status, found.reason


async def test_an_hpa_that_names_its_target_in_another_version_is_adopted_and_it_is_told(rig: Rig) -> None:
    plan = await rig.turn()
    (write,) = rig.done
    assert (write.limits.low, write.limits.high) == (1, 4)
    assert said(plan) == (Status.TRUE, "Adopted")
    (notice,) = plan.notices
    assert (notice.reason, notice.warning) == ("HpaAdopted", False)
    assert "maxReplicas 9 to 4" in notice.message


async def test_a_note_that_was_taken_off_is_remembered_and_the_rewrite_is_told(rig: Rig) -> None:
    await rig.turn()
    plan = await rig.turn()
    note = rig.done[1].note
    assert note.theirs == HPA.limits
    assert note.rewrites == (NOW,)
    (notice,) = plan.notices
    assert (notice.reason, notice.warning) == ("HpaRewritten", True)


async def test_an_hpa_that_is_gone_is_forgotten(rig: Rig) -> None:
    await rig.turn()
    rig.hpa = None
    await rig.turn()
    assert rig.steering._notes == {}


async def test_a_change_of_ours_is_no_news(rig: Rig) -> None:
    wanted = Limits(1, 3)
    rig.hpa = replace(HPA, limits=wanted, originals=Originals(HPA.limits, wanted))
    plan = await rig.turn()
    assert len(rig.done) == 1
    assert plan.notices == ()


async def test_without_consent_it_is_given_back_and_forgotten(rig: Rig) -> None:
    rig.hpa = replace(HPA, limits=Limits(1, 4), originals=Originals(HPA.limits, Limits(1, 4)))
    plan = await rig.turn(replace(SLO, scaling=Scaling(1, 4)))
    (write,) = rig.done
    assert write.limits == HPA.limits
    assert said(plan) == (Status.FALSE, "Advise")
    assert (plan.notices, rig.steering._notes) == ((), {})


async def test_what_changed_meanwhile_is_looked_at_again_and_what_fails_is_said(rig: Rig) -> None:
    rig.fails = kube_error("PATCH", Failure(409, "Conflict"))
    assert said(await rig.turn()) == (Status.TRUE, "Adopted")
    rig.fails = kube_error("PATCH", Failure(403, "Forbidden", "no"))
    plan = await rig.turn()
    assert said(plan) == (Status.FALSE, "WriteFailed")
    rig.hpa = replace(HPA, originals=Originals(HPA.limits, HPA.limits))
    assert said(await rig.turn(replace(SLO, scaling=Scaling(1, 4)))) == (Status.FALSE, "Advise")


async def test_a_replica_that_was_ready_a_moment_ago_counts(rig: Rig) -> None:
    world = replace(SLO, scaling=Scaling(1, 1, HpaMode.ADOPT))
    await rig.turn(world)
    rig.pods = (replace(pods(1, "chat")[0], ready=False), *pods(1, "chat", prefix="y", terminating=True))
    rig.pods += pods(1, "", prefix="bare")
    rig.now = READY
    plan = await rig.turn(world)
    assert plan.statuses[0].decision is not None
    assert plan.statuses[0].decision.ceiling == 2
    rig.now = 2 * READY + 1
    later = (await rig.turn(world)).statuses[0].decision
    assert later is not None
    assert later.ceiling == 1


async def test_a_rollout_however_long_costs_no_replica(rig: Rig) -> None:
    lowest = replace(SLO, scaling=Scaling(1, 1, HpaMode.ADOPT))
    await rig.turn(lowest)
    rig.target = replace(TARGET, rolling=True)
    rig.pods = pods(1, "chat")
    for _ in range(5):
        rig.now += READY
        assert _ceiling(await rig.turn(lowest)) == 2
    rig.target = TARGET
    rig.now += READY + 1
    assert _ceiling(await rig.turn(lowest)) == 1


async def test_after_a_restart_pods_that_start_in_a_rollout_count(rig: Rig) -> None:
    rig.target = replace(TARGET, rolling=True)
    starting = pods(1, "chat", prefix="new", ready=False)
    rig.pods = (*pods(1, "chat"), *starting, *pods(1, "chat", prefix="pending", node=None, ready=False))
    assert _ceiling(await rig.turn(replace(SLO, scaling=Scaling(1, 1, HpaMode.ADOPT)))) == 2


def _ceiling(plan: SloPlan) -> int:
    found = plan.statuses[0].decision
    assert found is not None
    return found.ceiling


async def test_what_the_objectives_need_is_the_floor(rig: Rig) -> None:
    await rig.turn(needs={KEY: Needed(3, "24 requests/s, 8 a replica", "Rate")})
    assert rig.done[0].limits.low == 3


async def test_of_an_hpa_of_keda_the_scaled_object_is_written(rig: Rig) -> None:
    theirs = replace(HPA, key=Key("vision", "so"), uid="so-uid", kind=ScalerKind.SCALED_OBJECT)
    rig.hpa, rig.keda = replace(HPA, keda="so"), (theirs,)
    plan = await rig.turn()
    assert [(w.scaler.name, w.kind) for w in rig.done] == [("so", ScalerKind.SCALED_OBJECT)]
    (notice,) = plan.notices
    assert notice.reason == "ScaledObjectAdopted"
    assert "ScaledObject so is adopted: minReplicaCount 1 to 1, maxReplicaCount 9 to 4." in notice.message


async def test_an_hpa_of_a_scaled_object_that_is_not_seen_is_left_alone(rig: Rig) -> None:
    rig.hpa = replace(HPA, keda="so")
    assert said(await rig.turn()) == (Status.FALSE, "NoScaledObject")
    rig.keda_heard = False
    assert said(await rig.turn()) == (Status.FALSE, "NotKnown")
    assert rig.done == []


async def test_a_statefulset_is_steered_too(rig: Rig) -> None:
    ref = ObjectRef("apps/v1", "StatefulSet", "chat")
    rig.sets = (Controller("vision", ref, "uid", None, {}, {GPU: 1}, 2, 2),)
    rig.hpa = replace(HPA, target=ref)
    assert said(await rig.turn(replace(SLO, target=ref))) == (Status.TRUE, "Adopted")


CREATE = replace(SLO, scaling=Scaling(1, 4, HpaMode.CREATE))


async def test_an_hpa_is_made_and_told_and_removed_when_it_is_not_wanted_any_more(rig: Rig) -> None:
    rig.hpa, rig.metric = None, lambda: True
    plan = await rig.turn(CREATE)
    (made,) = rig.done
    assert isinstance(made, Make)
    assert (made.uid, made.scaler) == ("uid", Key("vision", "gpupool-chat"))
    assert said(plan) == (Status.TRUE, "Created")
    assert [n.reason for n in plan.notices] == ["HpaCreated"]
    rig.hpa = Scaler(made.scaler, "made-uid", "7", REF, made.note.written, originals=made.note, made="uid")
    plan = await rig.turn(CREATE)
    assert (len(rig.done), plan.notices) == (1, ()), "it says what is wanted"
    await rig.turn(replace(CREATE, scaling=Scaling(2, 4, HpaMode.CREATE)))
    assert (rig.done[1].made, rig.done[1].limits.low) == (True, 2)
    await rig.turn()
    assert rig.done[2] == Remove(made.scaler, "made-uid")


async def test_an_hpa_that_could_not_be_made_is_said(rig: Rig) -> None:
    rig.hpa, rig.metric = None, lambda: True
    rig.fails = kube_error("POST", Failure(403, "Forbidden", "no"))
    assert said(await rig.turn(CREATE)) == (Status.FALSE, "WriteFailed")


async def test_a_name_that_is_somebody_elses_is_not_taken(rig: Rig) -> None:
    rig.hpa, rig.metric = None, lambda: True
    other = ObjectRef("apps/v1", "Deployment", "other")
    for made in ("", "the uid of an InferenceSLO that is gone"):
        rig.hpa = replace(HPA, key=Key("vision", "gpupool-chat"), target=other, made=made)
        assert said(await rig.turn(CREATE)) == (Status.FALSE, "NameTaken")
    assert rig.done == [Remove(Key("vision", "gpupool-chat"), "hpa-uid")]


async def test_why_our_own_api_does_not_serve_is_told(rig: Rig) -> None:
    rig.hpa, rig.problem = None, "APIService leads to Service keda/metrics"
    plan = await rig.turn(CREATE)
    assert said(plan) == (Status.FALSE, "NoMetricSource")
    assert rig.problem in plan.statuses[0].conditions[-1].message


async def test_who_hangs_does_not_hold_up_the_looks(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(*_: str) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(rig, "has_resource", hangs)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    assert said(await rig.turn(CREATE)) == (Status.FALSE, "NoMetricSource")


async def test_the_metric_is_asked_for_now_and_then_where_somebody_wants_an_hpa_made(rig: Rig) -> None:
    def fail() -> bool:
        raise kube_error("GET", Failure(503))

    rig.hpa = None
    assert said(await rig.turn(CREATE)) == (Status.FALSE, "NoMetricSource")
    await rig.turn(CREATE)
    assert rig.asked == 1
    rig.now, rig.metric = AGAIN + 1, lambda: True
    assert said(await rig.turn(CREATE)) == (Status.TRUE, "Created")
    rig.now += LOOK
    await rig.turn(CREATE)
    assert rig.asked == 2
    rig.now, rig.metric = rig.now + 1, fail
    assert said(await rig.turn(CREATE)) == (Status.FALSE, "NoMetricSource")
    assert rig.asked == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"senses": Senses(unheard=("horizontalpodautoscalers", "pods"))}, "horizontalpodautoscalers, pods"),
        ({"unreadable": frozenset({"lab"})}, "GpuPool lab cannot be read"),
        ({"twice": frozenset({"vision"})}, "Two pools claim this namespace"),
    ],
)
async def test_what_is_not_known_is_not_taken_for_absent(
    rig: Rig, change: dict[str, Any], words: str
) -> None:
    for name, value in change.items():
        setattr(rig, name, value)
    plan = await rig.turn()
    assert (rig.done, said(plan)) == ([], (Status.FALSE, "NotKnown"))
    assert words in next(c.message for c in plan.statuses[0].conditions if c.type == "Steering")


async def test_while_a_promise_cannot_be_read_nothing_is_given_back(rig: Rig) -> None:
    rig.hpa = replace(HPA, limits=Limits(1, 4), originals=Originals(HPA.limits, Limits(1, 4)))
    rig.objects = 2
    silent = replace(SLO, scaling=Scaling(1, 4))
    await rig.turn(silent)
    assert rig.done == []
    rig.objects = 1
    await rig.turn(silent)
    assert len(rig.done) == 1


async def test_other_mirrors_may_be_silent(rig: Rig) -> None:
    rig.senses = Senses(unheard=("events",))
    await rig.turn()
    assert len(rig.done) == 1


# ------------------------------------------------------------------ who sleeps

SLEEPY = replace(SLO, scaling=Scaling(0, 4, HpaMode.ADOPT, "queue"))
NONE = {KEY: Needed(0, "nobody asks", "Rate")}
ONE = {KEY: Needed(1, "somebody asks", "WakeUp")}
QUIET = {KEY: Wake("queue", False, quiet=True)}


def adopted(rig: Rig, asleep: int = 0, replicas: int = 2) -> None:
    """The HPA as we left it, and its workload."""
    wanted = Limits(1, 4, behaviour(Pace.STEADY, ""))
    rig.hpa = replace(HPA, limits=wanted, originals=Originals(HPA.limits, wanted, asleep=asleep))
    rig.target = replace(TARGET, replicas=replicas, existing=replicas)
    rig.slo = SLEEPY


async def test_an_endpoint_falls_asleep_in_two_looks_and_wakes_in_two(rig: Rig) -> None:
    adopted(rig)
    await rig.turn(needs=NONE, wakes=QUIET)
    (write,) = rig.done
    assert (write.note.asleep, write.limits.low) == (2, 1)
    adopted(rig, asleep=2)
    plan = await rig.turn(needs=NONE, wakes=QUIET)
    assert rig.done[1:] == [Rescale(KEY, REF, 2, 0, KEY)]
    assert "falls asleep" in plan.notices[0].message
    adopted(rig, asleep=2, replicas=0)
    assert (await rig.turn(needs=NONE, wakes=QUIET)).notices == ()
    assert len(rig.done) == 2
    plan = await rig.turn(needs=ONE, wakes={KEY: Wake("queue", True)})
    assert rig.done[2:] == [Rescale(KEY, REF, 0, 1, KEY)]
    assert "wakes" in plan.notices[0].message
    adopted(rig, asleep=2, replicas=1)
    await rig.turn(needs=ONE, wakes={KEY: Wake("queue", True)})
    assert rig.done[3].note.asleep == 0


async def test_somebody_who_was_faster_is_left_alone(rig: Rig) -> None:
    adopted(rig, asleep=2)
    rig.scaled = False
    plan = await rig.turn(needs=NONE, wakes=QUIET)
    assert isinstance(rig.done[0], Rescale)
    assert plan.notices == ()


async def test_given_back_it_wakes_first_and_a_workload_that_is_gone_needs_nothing(rig: Rig) -> None:
    adopted(rig, asleep=2, replicas=0)
    await rig.turn(replace(SLEEPY, scaling=Scaling(0, 4, HpaMode.ADVISE, "queue")), needs=NONE, wakes=QUIET)
    assert [type(a).__name__ for a in rig.done] == ["Rescale", "GiveBack"]
    assert (rig.done[0].before, rig.done[0].after) == (0, 2)


async def test_a_rescale_that_fails_is_said(rig: Rig) -> None:
    adopted(rig, asleep=2)
    rig.fails = kube_error("PATCH", Failure(403, "Forbidden", "no"))
    plan = await rig.turn(needs=NONE, wakes=QUIET)
    assert said(plan) == (Status.FALSE, "WriteFailed")
    assert "Deployment/chat was not written" in next(
        c.message for c in plan.statuses[0].conditions if c.type == "Steering"
    )


async def test_whose_hpa_is_deleted_while_it_sleeps_wakes(rig: Rig) -> None:
    adopted(rig, asleep=2, replicas=0)
    await rig.turn(needs=NONE, wakes=QUIET)
    rig.hpa = None
    await rig.turn(needs=NONE, wakes=QUIET)
    assert rig.done == [Rescale(KEY, REF, 0, 2)]
    rig.target = replace(TARGET, replicas=2)
    await rig.turn(needs=NONE, wakes=QUIET)
    assert len(rig.done) == 1

"""The endpoints' loop: whose pods are whose, what is remembered between two looks, and what stops it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.collector.engines.reader import Reading as Answer
from gpupool.collector.engines.subject import Subject
from gpupool.errors import FencedError
from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.slo import HOUR, Endpoint, Objective, Reading, Sli, Slo, SloState, Sums
from gpupool.model.steering import Scaling, Target
from gpupool.model.world import World
from gpupool.planner.endpoints import SloStatus
from gpupool.policy.membership import Membership
from gpupool.runtime.context import Context
from gpupool.runtime.endpoints import REMEMBERED, Belonging, Endpoints, moments
from gpupool.runtime.memo import memo
from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.publisher import Publisher
from gpupool.runtime.reading import Tracked
from gpupool.runtime.settings import Settings
from gpupool.runtime.workloads import by_owner
from gpupool.telemetry.metrics import Metrics
from support.builders import GPU, NOW, pods

CHAT = ObjectRef("apps/v1", "Deployment", "chat")
SLO = Slo(
    key=Key("chat-prod", "chat"),
    uid="uid-chat",
    generation=1,
    created=NOW,
    target=CHAT,
    objectives=(Objective(Sli.TTFT, 99, 0.5),),
    window=timedelta(days=28),
    min_events=100,
)


def pod(name: str, **more: Any) -> Pod:
    found = pods(1, name, "chat-prod")[0]
    return replace(found, key=Key("chat-prod", name), **{"owner": CHAT, **more})


class _Store:
    """The one InferenceSLO of a rig."""

    objects = 1

    def __init__(self, rig: "Rig") -> None:
        self._rig = rig

    def __len__(self) -> int:
        return 1

    def values(self) -> tuple[Tracked, ...]:
        return (Tracked(self._rig.slo, memo({})),)


class Rig:
    """A loop over one endpoint; what is written is kept."""

    def __init__(self, *, reader: bool = True) -> None:
        self.pods: Sequence[Pod] = (pod("a"), pod("b", ready=False), pod("c", terminating=True))
        self.asked: list[Subject] = []
        self.moments: list[float | None] = []
        self.slo = SLO
        self.written: list[SloStatus] = []
        self.answer = Answer({SLO.key: Endpoint((Reading(SloState.OK, 90, 100, 15.0),), "vLLM", 2, 1)})
        self.now = NOW
        self.targets: tuple[Target, ...] = ()
        self.fails: Exception | None = None
        self.board = Board(1.0)
        nothing = SimpleNamespace(values=tuple, heard=True, served=False)
        empty = SimpleNamespace(store=SimpleNamespace(values=tuple))
        mirror = SimpleNamespace(
            mapped=self._mapped,
            slos=SimpleNamespace(store=_Store(self)),
            deployments=SimpleNamespace(store=SimpleNamespace(values=lambda: self.targets)),
            statefulsets=empty,
            replicasets=empty,
            autoscalers=empty,
            scaled_objects=nothing,
            vpas=nothing,
        )
        context = SimpleNamespace(
            settings=Settings(),
            mirror=mirror,
            writer=None,
            endpoints=self if reader else None,
            signals=None,
            arrivals=None,
            wakes=None,
            epoch=1,
            metrics=Metrics(),
            board=self.board,
            metrics_api=SimpleNamespace(problem=""),
        )
        publisher = SimpleNamespace(say=list)
        self.endpoints = Endpoints(cast("Context", context), cast("Publisher", publisher))
        self.endpoints._statuses = cast("Any", SimpleNamespace(endpoints=self._write))

    def _mapped(self) -> tuple[World, Membership]:
        if self.fails is not None:
            raise self.fails
        return World(self.now, pods=tuple(self.pods)), Membership()

    async def read(self, subjects: list[Subject], at: float | None = None) -> Answer:
        self.asked += subjects
        self.moments.append(at)
        return self.answer

    async def _write(self, statuses: Sequence[SloStatus], *_: Any) -> int:
        self.written = list(statuses)
        return len(self.written)


async def test_ready_pods_of_the_target_are_read_and_the_others_named_apart() -> None:
    rig = Rig()
    other = ObjectRef("apps/v1", "Deployment", "code")
    rig.pods = (*rig.pods, pod("d", owner=other), pod("e", owner=None))
    await rig.endpoints.look()
    (subject,) = rig.asked
    assert (subject.ready, subject.others, subject.gone) == (["a"], ["b", "c"], [])


@pytest.mark.parametrize(
    ("low", "replicas", "serving", "asleep"),
    [(0, 0, False, True), (0, 1, False, False), (1, 0, False, False), (0, 0, True, False)],
)
async def test_who_may_sleep_and_wants_no_pod_sleeps(
    low: int, replicas: int, serving: bool, asleep: bool
) -> None:
    rig = Rig()
    rig.slo = replace(SLO, scaling=Scaling(low, wake="queue"))
    rig.targets = (Target(SLO.key, CHAT, replicas, replicas, {GPU: 1}),)
    rig.pods = [pod("a")] if serving else []
    await rig.endpoints.look()
    assert [s.asleep for s in rig.asked] == [asleep]


async def test_what_was_decided_is_served_from_then_on() -> None:
    rig = Rig()
    assert rig.board.values("chat-prod") is None
    await rig.endpoints.look()
    assert rig.board.values("chat-prod") == {"chat": 1}


def test_pods_that_are_gone_belong_a_while_longer() -> None:
    belonging = Belonging()
    belonging.subjects([SLO], by_owner([pod("a"), pod("b")]), 0.0)
    (soon,) = belonging.subjects([SLO], by_owner([pod("b")]), REMEMBERED)
    assert (soon.ready, soon.gone) == (["b"], ["a"])
    (later,) = belonging.subjects([SLO], by_owner([pod("b")]), REMEMBERED + 1)
    assert later.gone == []


async def test_events_add_up_from_look_to_look() -> None:
    rig = Rig()
    for _ in range(2):
        rig.now += timedelta(seconds=15)
        await rig.endpoints.look()
    (status,) = rig.written
    assert status.objectives[0].budget.events == 200


async def test_after_a_pause_what_happened_meanwhile_is_read_hour_by_hour_and_once() -> None:
    rig = Rig()
    until = NOW.timestamp() - 2.5 * HOUR
    rig.slo = replace(SLO, sums=(Sums(until=until),))
    await rig.endpoints.look()
    assert rig.moments == [until, until + HOUR, until + 2 * HOUR, None]
    await rig.endpoints.look()
    assert rig.moments[4:] == [None]


@pytest.mark.parametrize(
    ("until", "found"), [(0.0, []), (100 * HOUR, []), (99.5 * HOUR, [99.5 * HOUR]), (1.0, [52 * HOUR])]
)
def test_a_pause_is_read_again_as_far_as_it_pays(until: float, found: list[float]) -> None:
    assert moments(until, 100 * HOUR)[:1] == found
    assert len(moments(until, 100 * HOUR)) <= 48


async def test_a_pause_is_read_again_when_prometheus_is_back_and_nothing_of_it_is_lost() -> None:
    rig = Rig()
    until = NOW.timestamp() - 0.5 * HOUR
    rig.slo = replace(SLO, sums=(Sums(until=until),))
    answer, rig.answer = rig.answer, Answer({}, "Prometheus is down.")
    for _ in range(2):
        rig.now += timedelta(seconds=15)
        await rig.endpoints.look()
        rig.slo = replace(SLO, sums=(rig.written[0].objectives[0].sums,))
    assert rig.moments == [until, None] * 2
    rig.answer = answer
    rig.now += timedelta(seconds=15)
    await rig.endpoints.look()
    assert rig.moments[4:] == [until, None]
    await rig.endpoints.look()
    assert rig.moments[6:] == [None]


@pytest.mark.parametrize(("apart", "ours"), [(0.8, 0.8), (-0.8, 0.0), (3600.0, 0.0)])
async def test_events_are_counted_up_to_when_they_were_read_by_a_clock_that_agrees(
    apart: float, ours: float
) -> None:
    rig = Rig()
    rig.answer = replace(rig.answer, at=NOW.timestamp() + apart)
    await rig.endpoints.look()
    assert rig.written[0].objectives[0].sums.until == NOW.timestamp() + ours


async def test_a_promise_made_anew_under_its_name_inherits_nothing() -> None:
    rig = Rig()
    await rig.endpoints.look()
    rig.slo = replace(SLO, uid="another")
    rig.now += timedelta(seconds=15)
    await rig.endpoints.look()
    assert rig.written[0].objectives[0].budget.events == 100


async def test_without_prometheus_the_status_says_so() -> None:
    rig = Rig(reader=False)
    await rig.endpoints.look()
    message = rig.written[0].objectives[0].reading.message
    assert message == "Prometheus is not configured: set prometheus.url."
    diagnosis = rig.written[0].findings.diagnosis
    assert diagnosis is not None
    assert (diagnosis.cause, diagnosis.remedy) == ("Unknown", message)


async def test_a_look_that_fails_is_tried_again_and_a_lost_leadership_ends_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig()
    monkeypatch.setattr(rig.endpoints, "_interval", 0.0)
    rig.fails = LookupError("no answer yet")
    task = asyncio.create_task(rig.endpoints.run())
    await asyncio.sleep(0.02)
    assert "endpoints not judged" in caplog.text
    rig.fails = FencedError("another one leads")
    with pytest.raises(FencedError):
        await asyncio.wait_for(task, 5)


async def test_an_objective_that_is_added_begins_anew_and_takes_no_other_ones_sums() -> None:
    rig = Rig()
    await rig.endpoints.look()
    (before,) = rig.written[0].objectives
    (old,) = SLO.objectives
    rig.slo = replace(SLO, objectives=(replace(old, threshold=9.0), old))
    reading = Reading(SloState.OK, 90, 100, 15.0)
    rig.answer = Answer({SLO.key: Endpoint((reading, reading), "vLLM", 2, 1)})
    rig.now += timedelta(seconds=15)
    await rig.endpoints.look()
    new, kept = rig.written[0].objectives
    assert (new.budget.events, kept.budget.events) == (100, before.budget.events + 100)

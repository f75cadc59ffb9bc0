"""Sizing look by look: what is handed to the rule, what it remembers, and without Prometheus nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from gpupool.collector.engines.arrivals import ArrivalReader
from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.subject import Subject
from gpupool.model.objects import Key
from gpupool.model.steering import Needed
from gpupool.planner.endpoints import SloStatus
from gpupool.policy.slo.arrivals import STEP
from gpupool.runtime.sizing import Sizing
from support.builders import NOW, pods
from unit.planner.test_sizing import TEN, found
from unit.planner.test_steering import KEY, REF, SLO, TARGET
from unit.runtime.test_arriving import World

POD = "chat-5d4f8c7b9-abcde"
AT = int(NOW.timestamp() / STEP)


def a_status(**more: Any) -> SloStatus:
    found_ = found()
    plain = SloStatus(KEY, "uid", 1, "vLLM", 1, 1, (found_,), ())
    return replace(plain, findings=replace(plain.findings, profiles=(TEN,)), **more)


class Team(World):
    """The same world in the namespace of the endpoint."""

    async def moments(self, namespaces: Any, *rest: Any) -> Any:
        assert namespaces == ["vision"]
        shown = await super().moments(["team"], *rest)
        return {at: {PodName("vision", p.name): w for p, w in own.items()} for at, own in shown.items()}


class Rig:
    def __init__(self, window: float = 300.0) -> None:
        self.world = Team(**{POD.replace("-", "_"): (0, 10 * AT)})
        self.sizing = Sizing(cast("ArrivalReader", self.world), window)
        self.now = NOW
        self.status = a_status()
        self.subject = Subject(SLO, [POD])

    async def look(self) -> Mapping[Key, Needed]:
        long_ago = NOW - timedelta(days=9)
        own = (replace(pods(1, "chat")[0], key=Key("vision", POD), owner=REF, ready_at=long_ago),)
        at = ("vision", REF)
        return await self.sizing.look([self.subject], [self.status], {at: TARGET}, {at: own}, self.now)


async def test_an_endpoint_with_a_profile_is_sized() -> None:
    answer = (await Rig().look())[KEY]
    assert (answer.replicas, answer.term) == (1, "Rate")
    assert answer.why.startswith("1 replicas for the rate: 10 requests/s now")


async def test_without_a_profile_or_without_prometheus_nothing_is_said() -> None:
    rig = Rig()
    rig.status = replace(a_status(), findings=replace(a_status().findings, profiles=()))
    assert await rig.look() == {}
    assert await Sizing(None, 300.0).look([rig.subject], [rig.status], {}, {}, NOW) == {}


async def test_needs_are_remembered_while_the_endpoint_is_there() -> None:
    rig = Rig()
    rig.world.pods["chat-5d4f8c7b9-zzzzz"] = (0, AT + 1)
    assert (await rig.look())[KEY].replicas == 2
    for _ in range(4):
        rig.now += timedelta(seconds=STEP)
        assert (await rig.look())[KEY].replicas == 2, "held"
    await rig.sizing.look([], [], {}, {}, rig.now)
    assert rig.sizing._needs == {}


async def test_while_nothing_can_be_read_what_is_there_stays() -> None:
    rig = Rig()
    rig.world.fails = True
    answer = (await rig.look())[KEY]
    assert (answer.replicas, answer.term) == (TARGET.replicas, "DataUnknown")


async def test_steps_follow_a_shorter_evaluation_window() -> None:
    rig = Rig(window=10.0)
    await rig.look()
    assert rig.world.asked[-1][1] == int(NOW.timestamp())

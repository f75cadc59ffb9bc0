"""What belongs to no pool: orphaned requests, and what pools that are gone left behind."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.errors import Conflict, Failure, FencedError
from gpupool.model.marks import NODE_LABEL, POOL_LABEL
from gpupool.model.plan import LabelNamespace, MarkNode
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.policy.membership import Membership, resolve
from gpupool.runtime.clockwork import Alarm
from gpupool.runtime.context import Context
from gpupool.runtime.cycle import PoolLoop
from gpupool.runtime.manager import Manager, _Running
from gpupool.runtime.publisher import Publisher
from gpupool.runtime.settings import Settings
from support.builders import GPU, NOW, a_request


class Pools:
    """A store of pools: how many there are, and how many of them could be read."""

    def __init__(self, objects: int = 0, readable: int = 0) -> None:
        self.objects = objects
        self._readable = readable

    def __len__(self) -> int:
        return self._readable

    def values(self) -> Iterator[Any]:
        return iter(())


class Rig:
    """A manager over one world, which notes what it writes."""

    def __init__(self, pools: Pools, *, broken: bool = False) -> None:
        self.told: list[str] = []
        self.marks: list[LabelNamespace | MarkNode] = []
        self.broken = broken
        self.refuse: list[Exception] = []
        self.turns = 0
        context = SimpleNamespace(
            settings=Settings(),
            mirror=SimpleNamespace(pools=SimpleNamespace(store=pools), mapped=self._mapped),
            executor=SimpleNamespace(mark=self._mark),
            outsiders=SimpleNamespace(turn=self._turn),
            writer=None,
            epoch=1,
        )
        self.manager = Manager(cast("Context", context), cast("Publisher", None), Alarm())
        self.manager._statuses = cast("Any", SimpleNamespace(requests=self._told))

    def _mapped(self) -> tuple[World, Membership]:
        world = self._world()
        return world, resolve(world)

    def _world(self) -> World:
        if self.broken:
            raise LookupError("no answer of the API server yet")
        return World(
            NOW,
            nodes=(NodeFacts("n1", {NODE_LABEL: "lab"}, {GPU: 8}, ours=True),),
            namespaces=(NamespaceFacts("vision", {POOL_LABEL: "lab"}, ours=True),),
            requests=(a_request("train", 8, pool="lab"),),
        )

    async def _told(self, statuses: Any, *_: Any) -> int:
        self.told += [f"{s.key} {s.verdict.reason}" for s in statuses]
        return len(self.told)

    async def _mark(self, action: LabelNamespace | MarkNode, *, epoch: int) -> None:
        assert epoch == 1
        if self.refuse:
            raise self.refuse.pop(0)
        self.marks.append(action)

    async def _turn(self, *_: Any, epoch: int) -> bool:
        assert epoch == 1
        self.turns += 1
        return False


async def test_what_a_pool_that_is_gone_left_behind_is_taken_back_and_its_requests_are_answered() -> None:
    rig = Rig(Pools())
    await rig.manager._tidy()
    assert rig.told == ["vision/train UnknownPool"]
    assert rig.marks == [LabelNamespace("vision", None), MarkNode("n1", None, taint=False)]


async def test_a_pool_that_cannot_be_read_is_no_pool_that_is_gone() -> None:
    rig = Rig(Pools(objects=1, readable=0))
    await rig.manager._tidy()
    assert (rig.told, rig.marks) == ([], [])


async def test_one_part_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(Pools())
    rig.refuse = [Conflict("PATCH /n1", Failure(409)), RuntimeError("odd")]
    await rig.manager._tidy()
    assert rig.told == ["vision/train UnknownPool"]
    assert rig.turns == 1, "and outsiders are looked after all the same"
    assert "tidying failed" in caplog.text


async def test_tidying_that_fails_ends_nothing() -> None:
    rig = Rig(Pools(), broken=True)
    await rig.manager._tidy()
    assert (rig.told, rig.marks) == ([], [])


async def _loop(rig: Rig, name: str, *, idle: float, ended: bool) -> asyncio.Task[None]:
    """A pool's loop as the manager knows it."""
    task = asyncio.create_task(asyncio.sleep(0 if ended else 3600))
    await asyncio.sleep(0)
    if ended:
        await task
    loop = cast("PoolLoop", SimpleNamespace(idle_for=lambda: idle))
    rig.manager._running[name] = _Running(loop, task)
    return task


async def test_liveness_names_the_pools_whose_loops_ended_or_hang() -> None:
    rig = Rig(Pools())
    tasks = [
        await _loop(rig, "well", idle=20.0, ended=False),
        await _loop(rig, "stuck", idle=4000.0, ended=False),
        await _loop(rig, "ended", idle=20.0, ended=True),
    ]
    assert rig.manager.wrong() == "no cycles of pool ended, stuck"
    del rig.manager._running["stuck"], rig.manager._running["ended"]
    assert rig.manager.wrong() == ""
    for task in tasks:
        task.cancel()


async def test_liveness_says_when_nobody_looks_for_pools_any_more() -> None:
    rig = Rig(Pools())
    assert rig.manager.wrong() == "", "a standby looks for none"
    rig.manager._turned = time.monotonic() - 4000.0
    assert rig.manager.wrong() == "pools are not looked for any more"


@pytest.mark.parametrize(("highest", "ends"), [(0, False), (1, False), (2, True)])
async def test_a_leader_that_meets_a_higher_epoch_than_its_own_ends(highest: int, *, ends: bool) -> None:
    rig = Rig(Pools())
    rig.manager._context.mirror.highest_epoch = highest
    with pytest.raises(FencedError, match="epoch 2, ours is 1") if ends else nullcontext():
        rig.manager._check_epoch()

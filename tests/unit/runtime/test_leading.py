"""When a replica is ready, what makes it wrong, and how a leadership ends."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.errors import FencedError
from gpupool.runtime import leading as module
from gpupool.runtime.context import Context
from gpupool.runtime.endpoints import Endpoints
from gpupool.runtime.leading import Leading
from gpupool.runtime.manager import Manager
from gpupool.runtime.publisher import Publisher


class Lease:
    """An elector that does as it is told, and what it was asked."""

    def __init__(self) -> None:
        self.epoch, self.led, self.idle = 0, False, 0.0
        self.done: list[str] = []
        self.lost = asyncio.Event()

    def leads(self) -> bool:
        return self.epoch > 0 and not self.lost.is_set()

    def idle_for(self) -> float:
        return self.idle

    async def acquire(self) -> int:
        self.done.append("acquired")
        self.epoch, self.led = 3, True
        return self.epoch

    async def hold(self) -> None:
        await self.lost.wait()
        raise FencedError("leadership lost: b has it")

    async def release(self) -> None:
        self.done.append("released")


class Rig:
    """A leadership whose governing notes when it begins and ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, complete: bool = True) -> None:
        self.lease = Lease()
        self.broken = ""
        self.governing = asyncio.Event()
        self.fails: Exception | None = None

        async def stamp(*_: Any) -> int:
            self.lease.done.append("stamped")
            return 0

        async def nothing() -> None:
            pass

        monkeypatch.setattr(module, "stamp", stamp)
        mirror = SimpleNamespace(complete=complete, synced=nothing)
        context = SimpleNamespace(
            elector=self.lease,
            mirror=mirror,
            client=None,
            writer=None,
            epoch=3,
            metrics_api=SimpleNamespace(run=self._judge),
        )
        manager = self.manager = SimpleNamespace(run=self._govern, wrong=lambda: self.broken, ready=False)
        publisher = SimpleNamespace(told=nothing)
        endpoints = SimpleNamespace(run=self._judge)
        self.leading = Leading(
            cast("Context", context),
            cast("Manager", manager),
            cast("Endpoints", endpoints),
            cast("Publisher", publisher),
        )

    async def _judge(self) -> None:
        await asyncio.sleep(60)

    async def _govern(self) -> None:
        self.lease.done.append("governs")
        self.governing.set()
        try:
            if self.fails is not None:
                raise self.fails
            await asyncio.sleep(60)
        finally:
            self.lease.done.append("drained")


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


async def test_a_standby_is_ready_when_it_has_read_everything_and_somebody_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Rig(monkeypatch, complete=False).leading.missing() == "not everything has been read yet"
    rig = Rig(monkeypatch)
    assert rig.leading.missing() == "nobody leads yet"
    rig.lease.led = True
    assert rig.leading.missing() == ""


async def test_a_leader_is_ready_when_it_has_decided(rig: Rig) -> None:
    rig.lease.epoch, rig.lease.led = 3, True
    assert rig.leading.missing() == "not every pool has been decided yet"
    rig.manager.ready = True
    assert rig.leading.missing() == ""


async def test_a_process_that_does_not_look_at_the_lease_any_more_is_wrong(rig: Rig) -> None:
    assert rig.leading.wrong() == ""
    rig.broken = "no cycles of pool lab"
    assert rig.leading.wrong() == "no cycles of pool lab"
    rig.lease.idle = module.STUCK + 1
    assert rig.leading.wrong() == "the lease is not looked at any more"


async def test_quotas_are_stamped_before_governing_and_the_lease_is_given_back_after_the_last_write(
    rig: Rig,
) -> None:
    running = asyncio.create_task(rig.leading.run())
    async with asyncio.timeout(5):
        await rig.governing.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert rig.lease.done == ["acquired", "stamped", "governs", "drained", "released"]


async def test_a_lost_lease_ends_governing_and_the_process(rig: Rig) -> None:
    running = asyncio.create_task(rig.leading.run())
    async with asyncio.timeout(5):
        await rig.governing.wait()
        rig.lease.lost.set()
        with pytest.raises(FencedError, match="b has it"):
            await running
    assert rig.lease.done[-2:] == ["drained", "released"]


async def test_governing_that_ends_wrongly_gives_the_lease_back_too(rig: Rig) -> None:
    rig.fails = FencedError("leadership lost: a quota carries epoch 9, ours is 3")
    async with asyncio.timeout(5):
        with pytest.raises(FencedError, match="epoch 9"):
            await rig.leading.run()
    assert rig.lease.done[-1] == "released"

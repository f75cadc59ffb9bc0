"""Requests by the hundred, from an event loop of their own: when each was asked, and when it was decided."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.things import request
from gpupool.collector.reflector import Reflector
from gpupool.collector.store import Change
from gpupool.kube.auth import from_kubeconfig
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import CAPACITY_REQUESTS, Json, ObjectKey, Selection
from localplane.cluster import Cluster

AT_ONCE: Final = 16
PATIENCE: Final = 300.0
PAUSE: Final = 0.05


@dataclass
class Load:
    """What was asked of the operator, and when it answered.

    Attributes:
        asked: when each request's create was answered (monotonic seconds).
        decided: when its first decision was seen.
        phases: the last phase seen.
    """

    client: KubeClient
    asked: dict[ObjectKey, float] = field(default_factory=dict)
    decided: dict[ObjectKey, float] = field(default_factory=dict)
    phases: dict[ObjectKey, str] = field(default_factory=dict)
    on_phase: Callable[[ObjectKey, str], None] = lambda *_: None

    async def ask(self, namespace: str, name: str, gpus: int, **spec: Any) -> None:
        """Create one request."""
        body = request(namespace, name, gpus, **spec)
        await self.client.create(CAPACITY_REQUESTS, body)
        self.asked[ObjectKey(namespace, name)] = time.monotonic()

    async def ask_all(self, asks: Iterable[tuple[str, str, int]], per_second: float = 0.0) -> None:
        """Create many, a few at a time, at a rate (0: as fast as it goes)."""
        began, turns = time.monotonic(), iter(enumerate(asks))

        async def work() -> None:
            for number, (namespace, name, gpus) in turns:
                if per_second:
                    await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
                await self.ask(namespace, name, gpus)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    async def sample(self, key: ObjectKey) -> Json:
        """A request as it stands."""
        return await self.client.get(CAPACITY_REQUESTS, key.name, key.namespace)

    async def withdraw(self, key: ObjectKey) -> None:
        """Delete one request and forget it."""
        await self.client.delete(CAPACITY_REQUESTS, key.name, key.namespace)
        for known in (self.asked, self.decided, self.phases):
            known.pop(key, None)

    async def until_decided(self, keys: Iterable[ObjectKey], seconds: float = PATIENCE) -> None:
        """Wait until all have a decision.

        Raises:
            TimeoutError: not within the time; says how many are missing.
        """
        wanted, deadline = set(keys), time.monotonic() + seconds
        while missing := wanted - self.decided.keys():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(missing)} of {len(wanted)} requests not decided in {seconds:.0f} s")
            await asyncio.sleep(PAUSE)

    def waits(self, keys: Iterable[ObjectKey]) -> list[float]:
        """Seconds from the answered create to the decision seen."""
        return [max(0.0, self.decided[key] - self.asked[key]) for key in keys if key in self.decided]

    def note(self, change: Change[str]) -> None:
        """Take a phase that a mirror of the requests has seen."""
        if change.new is None:
            return
        self.decided.setdefault(change.key, time.monotonic())
        if self.phases.get(change.key) != change.new:
            self.phases[change.key] = change.new
            self.on_phase(change.key, change.new)


def _phase(raw: Json) -> str | None:
    """A request's phase; None while nothing is decided."""
    phase: str | None = raw.get("status", {}).get("phase")
    return phase


@asynccontextmanager
async def load(cluster: Cluster) -> AsyncIterator[Load]:
    """A load on a cluster; the requests are mirrored until the block ends."""
    async with KubeClient(from_kubeconfig(str(cluster.kubeconfig))) as client:
        found = Load(client)
        mirror = Reflector(client, Selection(CAPACITY_REQUESTS), _phase, found.note)
        following = asyncio.create_task(mirror.run())
        await asyncio.wait_for(mirror.synced.wait(), PATIENCE)
        try:
            yield found
        finally:
            following.cancel()
            await asyncio.wait([following])

"""Mirrors a kind of somebody else that a cluster may serve or not, now or later.

Discovery says whether it is served and in which version. While it is not there is nothing, which is right:
without the kind there are no objects of it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from gpupool.collector.reflector import Reflector
from gpupool.collector.store import Change
from gpupool.errors import KubeError, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, Resource, Selection

T = TypeVar("T")
log = logging.getLogger(__name__)

PAUSE = 15.0
"""Seconds between two looks whether the kind is served."""


class WhereServed(Generic[T]):
    """A mirror that begins when the kind appears and is empty when it is gone.

    Args:
        client: where to read.
        group: the API group.
        plural: the kind's plural.
        kind: the kind.
        project: raw object to value.
        on_change: called for every value that changed, and when the kind came or went.
        pause: seconds between two looks.

    Attributes:
        settled: set once it is known that the kind is not served, or all of it was listed.
    """

    def __init__(
        self,
        client: KubeClient,
        group: str,
        plural: str,
        kind: str,
        project: Callable[[Json], T | None],
        *,
        on_change: Callable[[Change[T] | None], None],
        pause: float = PAUSE,
    ) -> None:
        self.settled = asyncio.Event()
        self._client = client
        self._group, self._plural, self._kind = group, plural, kind
        self._project = project
        self._on_change = on_change
        self._pause = pause
        self._served: Resource | None = None
        self._reflector: Reflector[T] | None = None

    def values(self) -> Sequence[T]:
        """What is there; nothing where the kind is not served."""
        return () if self._reflector is None else list(self._reflector.store.values())

    async def run(self) -> None:
        """Mirror until cancelled."""
        mirroring: asyncio.Task[None] | None = None
        try:
            while True:
                with suppress(KubeError):  # the next look finds out
                    served = await self._look()
                    if served != self._served:
                        _end(mirroring)
                        mirroring = self._begin(served)
                    await self._settle()
                await asyncio.sleep(self._pause)
        finally:
            _end(mirroring)

    async def _settle(self) -> None:
        if self._reflector is not None and not self.settled.is_set():
            await self._reflector.synced.wait()
        self.settled.set()

    def _begin(self, served: Resource | None) -> asyncio.Task[None] | None:
        log.info("a kind of others came or went", extra={"resource": self._plural, "served": str(served)})
        self._served, self._reflector = served, None
        self._on_change(None)
        if served is None:
            return None
        self._reflector = Reflector(self._client, Selection(served), self._project, self._on_change)
        return asyncio.create_task(self._reflector.run(), name=f"mirror {self._plural}")

    async def _look(self) -> Resource | None:
        """The kind in the version the server prefers; None where it is not served."""
        try:
            group = await self._client.get_path(f"/apis/{self._group}")
            version = str(group["preferredVersion"]["version"])
            there = await self._client.has_resource(self._group, version, self._plural)
        except NotFound:
            return None
        return Resource(self._group, version, self._plural, self._kind) if there else None


def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()

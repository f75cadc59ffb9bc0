"""Mirrors a kind of somebody else that a cluster may serve or not, now or later.

Discovery says whether it is served and in which version. While it is not there is nothing, which is right:
without the kind there are no objects of it. Served and not listed is another thing: then nobody knows what
there is, and what was known before stays known until another version of the kind was listed whole.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
RETRY = 1.0
"""Seconds until the next look where the last one got no answer and nothing is known yet."""
PATIENCE = 10.0
"""Seconds for which somebody else's kind that cannot be listed keeps us from beginning."""


@dataclass(frozen=True, slots=True)
class _Mirroring(Generic[T]):
    """A version of the kind, and what mirrors it."""

    served: Resource
    reflector: Reflector[T]
    task: asyncio.Task[None]


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
        patience: seconds until it settles without an answer.

    Attributes:
        settled: set once it is known what is there, or was not for too long.
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
        patience: float = PATIENCE,
    ) -> None:
        self.settled = asyncio.Event()
        self._client = client
        self._group, self._plural, self._kind = group, plural, kind
        self._project = project
        self._on_change = on_change
        self._pause = pause
        self._patience = patience
        self._absent = False
        self._told: _Mirroring[T] | None = None
        self._coming: _Mirroring[T] | None = None

    @property
    def known(self) -> bool:
        """Whether it is known what is there: nothing, or what was listed."""
        return self._absent or self._told is not None

    def values(self) -> Sequence[T]:
        """What is there, as far as known; nothing where the kind is not served."""
        return () if self._told is None else list(self._told.reflector.store.values())

    @property
    def served(self) -> bool | None:
        """Whether the kind is there; None where what is known is older than what may be rested on."""
        if self._absent:
            return False
        return True if self._told is not None and not self._told.reflector.overdue() else None

    @property
    def heard(self) -> bool:
        """Whether it is known what is there now."""
        return self.served is not None

    def observe_write(self, raw: Json) -> None:
        """Take the server's answer to our own write of such an object."""
        for mirroring in (self._told, self._coming):
            if mirroring is not None:
                mirroring.reflector.observe_write(raw)

    async def run(self) -> None:
        """Mirror until cancelled."""
        impatient = asyncio.get_running_loop().call_later(self._patience, self._settle_unknown)
        try:
            while True:
                with suppress(KubeError):  # the next look finds out
                    self._follow(await self._look())
                await self._until_listed()
        finally:
            impatient.cancel()
            _end(self._told)
            _end(self._coming)

    def _settle_unknown(self) -> None:
        if not self.settled.is_set():
            log.warning("a kind of others cannot be listed", extra={"resource": self._plural})
            self.settled.set()

    def _follow(self, served: Resource | None) -> None:
        """Have the version mirrored that is served now; the one before is told until that was listed."""
        if served is None:
            self._gone()
        elif self._told is not None and self._told.served == served:
            _end(self._coming)
            self._coming = None
        elif self._coming is None or self._coming.served != served:
            _end(self._coming)
            self._begin(served)

    def _gone(self) -> None:
        if not self._absent:
            log.info("a kind of others is not served", extra={"resource": self._plural})
            _end(self._told)
            _end(self._coming)
            self._absent, self._told, self._coming = True, None, None
            self._on_change(None)
        self.settled.set()

    def _begin(self, served: Resource) -> None:
        log.info("a kind of others is served", extra={"resource": str(served)})
        reflector = Reflector(self._client, Selection(served), self._project, self._on_change)
        task = asyncio.create_task(reflector.run(), name=f"mirror {self._plural}")
        self._coming = _Mirroring(served, reflector, task)
        if self._absent:
            self._absent = False
            self._on_change(None)

    async def _until_listed(self) -> None:
        """Wait for the next look; what was listed meanwhile is told at once."""
        if self._coming is None:
            await asyncio.sleep(self._pause if self.known else min(self._pause, RETRY))
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._coming.reflector.synced.wait(), self._pause)
            _end(self._told)
            self._told, self._coming = self._coming, None
            self._on_change(None)
            self.settled.set()

    async def _look(self) -> Resource | None:
        """The kind in the version the server prefers, else in another one; None where it is not served."""
        try:
            group = await self._client.get_path(f"/apis/{self._group}")
        except NotFound:
            return None
        preferred = group["preferredVersion"]["version"]
        versions = dict.fromkeys([preferred, *(v["version"] for v in group.get("versions", ()))])
        for version in versions:
            if await self._client.has_resource(self._group, version, self._plural):
                return Resource(self._group, version, self._plural, self._kind)
        return None


def _end(mirroring: _Mirroring[T] | None) -> None:
    if mirroring is not None:
        mirroring.task.cancel()

"""Writes statuses that differ from what stands; when nothing changes, nothing is written."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

from gpupool.api import inference, statuses
from gpupool.applier.serverside import CONCURRENCY, Writer
from gpupool.errors import Conflict, KubeError, NotFound
from gpupool.kube.resources import CAPACITY_REQUESTS, GPU_POOLS, INFERENCE_SLOS, Json, ObjectKey, Resource
from gpupool.model.plan import Plan, RequestStatus
from gpupool.model.snapshot import Snapshot
from gpupool.planner.endpoints import SloStatus
from gpupool.runtime.memo import StatusMemo, memo
from gpupool.runtime.mirror import Mirror
from gpupool.runtime.reading import Tracked

T = TypeVar("T")
log = logging.getLogger(__name__)

RENEWED = 100
"""Statuses of a cycle whose words alone are others: they are written in about a second."""
FRONT = 20
"""Places of a queue that are renewed first."""


class _Whose(NamedTuple):
    """The very object that was decided on: one made later under its name gets no old status."""

    key: ObjectKey
    uid: str


def _gist(status: RequestStatus) -> tuple[object, ...]:
    """What was decided and what is held, without the words that explain it."""
    return (
        *(status.uid, status.generation, status.phase, status.pool, status.resource, status.verdict.reason),
        *(status.granted, status.allowance, status.used, status.held, status.demand, status.data_state),
        *(status.timer, status.asked, status.released),
        *(status.granted_at, status.proved_at, status.quiet_since),
        *((c.type, c.status, c.reason) for c in status.conditions),
    )


class StatusWriter:
    """Keeps the statuses of one pool and its requests.

    Args:
        writer: the only way to write.
        mirror: where the present statuses are known.
        pace: least seconds between two writes that differ only in measured numbers.
        monotonic: seconds that never run backwards.
    """

    def __init__(
        self, writer: Writer, mirror: Mirror, pace: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._writer = writer
        self._mirror = mirror
        self._pace = pace
        self._monotonic = monotonic
        self._written_at: dict[ObjectKey, float] = {}
        self._standing: dict[ObjectKey, tuple[RequestStatus, StatusMemo]] = {}

    async def requests(self, found: Iterable[RequestStatus], now: datetime, epoch: int) -> int:
        """Write the requests' statuses; returns how many were written.

        A few at a time, each body made when its turn comes: ten thousand at once would cost memory, and the
        first would wait for the last. Where only the words are others (a place in the queue, the sum behind
        it), a few are renewed, those in front and the oldest first: whenever one of ten thousand leaves a
        queue, every place and every sum behind it moves, and decisions would wait for all of them.
        """
        present = {ObjectKey(s.key.namespace, s.key.name): s for s in found}
        self._forget_all_but(present.keys())
        words = {key: status for key, status in present.items() if self._decided_before(key, status)}
        decided = [(key, status) for key, status in present.items() if key not in words]
        renewed = sorted(words.items(), key=lambda item: self._patience(*item))[:RENEWED]
        return await _each([*decided, *renewed], lambda found: self._request(*found, now, epoch))

    def _decided_before(self, key: ObjectKey, status: RequestStatus) -> bool:
        """Whether what stands says the same decision in other words."""
        tracked, standing = self._mirror.requests.store.get(key), self._standing.get(key)
        if tracked is None or standing is None or standing[1] != tracked.memo:
            return False
        return standing[0] != status and _gist(standing[0]) == _gist(status)

    def _patience(self, key: ObjectKey, status: RequestStatus) -> tuple[bool, float]:
        return status.position > FRONT, self._written_at.get(key, 0.0)

    async def _request(self, key: ObjectKey, status: RequestStatus, now: datetime, epoch: int) -> int:
        tracked = self._mirror.requests.store.get(key)
        if tracked is None or self._standing.get(key) == (status, tracked.memo):
            return 0
        body = statuses.request_status(status, tracked.memo.before, now)
        wanted = memo(body)
        if wanted.whole == tracked.memo.whole:
            self._standing[key] = (status, tracked.memo)
            return 0
        made, whose = (body, wanted), _Whose(key, status.uid)
        written = await self._write(CAPACITY_REQUESTS, whose, tracked, made, epoch)
        if written:
            self._standing[key] = (status, wanted)
        return written

    def _forget_all_but(self, present: Collection[ObjectKey]) -> None:
        """Let go of requests that are gone, or another pool's."""
        self._standing = {key: known for key, known in self._standing.items() if key in present}
        self._written_at = {k: at for k, at in self._written_at.items() if k in present or not k.namespace}

    async def pool(self, plan: Plan, snapshot: Snapshot, epoch: int) -> int:
        """Write the pool's status."""
        key = ObjectKey("", plan.pool)
        tracked = self._mirror.pools.store.get(key)
        if tracked is None or plan.status is None:
            return 0
        body = statuses.pool_status(snapshot.pool, plan.status, tracked.memo.before, snapshot.now)
        made = (body, memo(body))
        return await self._write(GPU_POOLS, _Whose(key, snapshot.pool.uid), tracked, made, epoch)

    async def endpoints(self, found: Iterable[SloStatus], now: datetime, epoch: int) -> int:
        """Write the statuses of InferenceSLOs; returns how many were written."""
        return await _each(found, lambda status: self._endpoint(status, now, epoch))

    async def _endpoint(self, status: SloStatus, now: datetime, epoch: int) -> int:
        key = ObjectKey(status.key.namespace, status.key.name)
        tracked = self._mirror.slos.store.get(key)
        if tracked is None:
            return 0
        body = inference.status(status, tracked.memo.before, now)
        made = (body, memo(body))
        return await self._write(INFERENCE_SLOS, _Whose(key, status.uid), tracked, made, epoch)

    async def _write(
        self, resource: Resource, whose: _Whose, tracked: Tracked, made: tuple[Json, StatusMemo], epoch: int
    ) -> int:
        key, (status, wanted) = whose.key, made
        if not self._due(key, tracked, wanted):
            return 0
        metadata = {"name": key.name, "namespace": key.namespace, "uid": whose.uid}
        metadata = {k: v for k, v in metadata.items() if v}
        try:
            await self._writer.apply_status(resource, {"metadata": metadata, "status": status}, epoch=epoch)
        except (NotFound, Conflict):  # gone meanwhile, or recreated
            return 0
        except KubeError as error:
            log.warning("status not written", extra={"object": str(key), "error": str(error)})
            return 0
        self._written_at[key] = self._monotonic()
        return 1

    def _due(self, key: ObjectKey, tracked: Tracked, wanted: StatusMemo) -> bool:
        if wanted.whole == tracked.memo.whole:
            return False
        moved = wanted.decided != tracked.memo.decided
        return moved or self._monotonic() - self._written_at.get(key, float("-inf")) >= self._pace


async def _each(found: Iterable[T], write: Callable[[T], Awaitable[int]]) -> int:
    """Write many, a few at a time; returns how many were written."""
    turns = iter(found)

    async def work() -> int:
        return sum([await write(status) for status in turns])

    return sum(await asyncio.gather(*(work() for _ in range(CONCURRENCY))))

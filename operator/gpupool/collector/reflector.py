"""Keeps a Store equal to the API server: list, watch, resume, list again and say what differs.

::

            ┌────────────── Gone, a refusal, a miscount ─────────────┐
            ▼                                                        │
    list in pages ─► replace ─► watch from its version ─► turn: count against the server ─► watch …
                                   ▲        │ broken, silent
                                   └────────┘ resume from the last version seen

Nothing ends it but cancellation: every failure is logged, counted and tried again with a growing
pause, and `age()` tells how old the store's knowledge is.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gpupool.collector.guard import Guard
from gpupool.collector.store import Change, Entry, Store
from gpupool.errors import Gone, KubeError, TooManyRequests, Unreachable
from gpupool.kube.client import PAGE, KubeClient
from gpupool.kube.messages import EventKind, WatchEvent
from gpupool.kube.resources import Json, ObjectKey, Selection, key_of
from gpupool.model.senses import Unread

T = TypeVar("T")
log = logging.getLogger(__name__)

SILENT = 2
"""Watches in a row that were cut for their silence, after which the mirror lists again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a reflector goes; times in seconds.

    Attributes:
        page: objects per page of a list.
        watch: a watch ends by itself after a random time between these two.
        inactivity: silence after which a watch counts as broken; bookmarks come every minute.
        pause: first and longest pause between failed attempts.
        count: least time between two counts against the server.
    """

    page: int = PAGE
    watch: tuple[int, int] = (240, 300)
    inactivity: float = 70.0
    pause: tuple[float, float] = (0.5, 30.0)
    count: float = 240.0


@dataclass(slots=True)
class Counters:
    """What a reflector has done since it began; only ever rises.

    Attributes:
        lists: lists completed, the first included.
        events: changes told by watches.
        bookmarks: signs of life told by watches.
        reconnects: watches that broke or fell silent.
        failures: attempts that ended in any error.
        drifts: counts that differed from the server's, each followed by a list.
    """

    lists: int = 0
    events: int = 0
    bookmarks: int = 0
    reconnects: int = 0
    failures: int = 0
    drifts: int = 0


class Reflector(Generic[T]):
    """Mirrors one selection into a Store.

    Args:
        client: where to read.
        selection: what to mirror.
        project: raw object to value, None for "not of interest". An object it cannot project is
            logged, named as unread and left out.
        on_change: called in the event loop for every value that changed; it must be quick.
        pace: sizes and times.
        rng: spreads watches and pauses, so that a restarted server is not met by all at once.
        monotonic: seconds that never run backwards.

    Attributes:
        store: the values.
        synced: set after the first complete list.
        counters: for metrics.
    """

    def __init__(
        self,
        client: KubeClient,
        selection: Selection,
        project: Callable[[Json], T | None],
        on_change: Callable[[Change[T]], None],
        *,
        pace: Pace | None = None,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.selection = selection
        self.counters = Counters()
        self.synced = asyncio.Event()
        self._guard = Guard(project, selection)
        self.store: Store[T] = Store(self._guard)
        self._client = client
        self._on_change = on_change
        self._pace = pace or Pace()
        self._rng = rng or random.Random()  # noqa: S311 - it spreads load, it guards nothing
        self._monotonic = monotonic
        self._heard_at = monotonic()
        self._counted_at = monotonic()
        self._must_list = True
        self._failed_in_row = 0
        self._silent_in_row = 0

    def age(self) -> float:
        """Seconds since the store was last known to be what the server has."""
        return self._monotonic() - self._heard_at

    def overdue(self) -> bool:
        """Whether that is too long ago to rest on: silence ends in a list after so many watches (SILENT)."""
        return self.age() > SILENT * self._pace.inactivity + self._pace.pause[1]

    def unread(self) -> tuple[Unread, ...]:
        """Objects that are there and could not be projected."""
        return self._guard.unread(self.store.version_of)

    def observe_write(self, raw: Json) -> None:
        """Take the server's answer to our own write of an object of this selection."""
        self._emit(self.store.observe_write(raw))

    def observe_delete(self, key: ObjectKey, uid: str) -> None:
        """Take our own delete of an object of this selection."""
        self._emit(self.store.observe_delete(key, uid))

    # ------------------------------------------------------------------ loop

    async def run(self) -> None:
        """Mirror until cancelled."""
        while True:
            try:
                await self._turn()
                self._failed_in_row = 0
            except KubeError as error:
                await self._recover(error)
            except Exception:  # a bug must be loud, and must not end the mirror
                log.exception("reflector failed", extra=self._keys())
                self._must_list = True
                await self._recover(None)

    async def _turn(self) -> None:
        if self._must_list:
            await self._list()
        elif self._monotonic() - self._counted_at >= self._pace.count:
            await self._count()
        else:
            await self._watch()

    async def _recover(self, error: KubeError | None) -> None:
        self.counters.failures += 1
        self._failed_in_row += 1
        # A broken connection can resume where it was; after any other refusal only a list is sure.
        self._must_list |= not isinstance(error, Unreachable | TooManyRequests)
        pause = self._next_pause(error)
        if error:
            log.warning(
                "reflector tries again",
                extra=self._keys() | {"error": str(error), "list": self._must_list, "pause": round(pause, 2)},
            )
        await asyncio.sleep(pause)

    def _next_pause(self, error: KubeError | None) -> float:
        if isinstance(error, Gone):
            return 0.0
        first, longest = self._pace.pause
        pause = min(first * 2.0 ** min(self._failed_in_row - 1, 16), longest)
        asked = error.retry_after if error else None
        return max(pause * self._rng.uniform(0.5, 1.0), asked or 0.0)

    # ------------------------------------------------------------------ list

    async def _list(self) -> None:
        entries: list[Entry[T]] = []
        version = 0
        async with aclosing(self._client.list_pages(self.selection, limit=self._pace.page)) as pages:
            async for page in pages:
                if page.first:  # a list that began again voids what it gave before
                    entries.clear()
                entries.extend(self.store.entry(raw) for raw in page.items)
                version = page.version
        self._must_list = False
        self.counters.lists += 1
        for change in self.store.replace(entries, version):
            self._emit(change)
        self._heard()
        self._counted_at = self._monotonic()
        self.synced.set()

    # ----------------------------------------------------------------- watch

    async def _watch(self) -> None:
        seconds = self._rng.randint(*self._pace.watch)
        events = self._client.watch(
            self.selection, since=self.store.version, seconds=seconds, inactivity=self._pace.inactivity
        )
        began, heard = self._monotonic(), self._heard_at
        try:
            async with aclosing(events):
                async for event in events:
                    self._take(event)
                    if self._must_list:
                        return
        except Unreachable:
            self.counters.reconnects += 1
            if self._heard_at == heard and self._monotonic() - began >= self._pace.inactivity:
                self._silent_in_row += 1
                # Something swallows what watches tell: a list gets through where single answers do.
                self._must_list |= self._silent_in_row >= SILENT
            raise
        self._heard()  # a server that ends a watch in time lives, also where it had nothing to tell
        if self._monotonic() - began < self._pace.pause[0]:
            await asyncio.sleep(self._pace.pause[0])  # a server that hangs up at once is not hammered

    def _take(self, event: WatchEvent) -> None:
        self._heard()
        self._failed_in_row = 0
        version = int(event.obj["metadata"]["resourceVersion"])
        if event.kind is EventKind.BOOKMARK:
            self.counters.bookmarks += 1
        else:
            self.counters.events += 1
            self._emit(self._stored(event, version))
        self.store.progress(version)

    def _stored(self, event: WatchEvent, version: int) -> Change[T] | None:
        if event.kind is EventKind.DELETED:
            return self.store.delete(key_of(event.obj), event.obj["metadata"]["uid"], version)
        return self.store.take(event.obj)

    # ----------------------------------------------------------------- count

    async def _count(self) -> None:
        """Compare with the server as of our own version, so that no race looks like drift."""
        self._counted_at = self._monotonic()
        if self.store.ahead:
            return
        try:
            same = await self._agrees(self.store.version)
        except Gone:
            return  # our version is compacted: nothing to compare with, and the watch will say so too
        if not same:
            self.counters.drifts += 1
            self._must_list = True
            log.error("store differs from the server", extra=self._keys() | {"objects": self.store.objects})

    async def _agrees(self, version: int) -> bool:
        if self.selection.whole:
            return await self._client.count(self.selection, at=version) == self.store.objects
        there: set[tuple[ObjectKey, str]] = set()
        async for page in self._client.list_pages(self.selection.as_metadata(), at=version):
            there |= {(key_of(raw), raw["metadata"]["uid"]) for raw in page.items}
        return there == self.store.identities()

    # ----------------------------------------------------------------- small

    def _emit(self, change: Change[T] | None) -> None:
        if change is None:
            return
        try:
            self._on_change(change)
        except Exception:  # the store is right already; the callback's bug must not cost the rest of a list
            log.exception("on_change failed", extra=self._keys() | {"object": "/".join(change.key)})

    def _heard(self) -> None:
        self._heard_at = self._monotonic()
        self._silent_in_row = 0

    def _keys(self) -> dict[str, Any]:
        return {"resource": str(self.selection.resource), "version": self.store.version}

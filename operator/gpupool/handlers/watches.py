"""kopf's watch of our kinds: a second bell beside the mirrors, and its handlers only wake a pool.

Decisions rest on the mirrors (`runtime.mirror`), which wake pools for everything that they reflect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import kopf
from typing_extensions import override

from gpupool.kube.auth import Credentials
from gpupool.runtime.concern import NOBODY, Concerned

Wake = Callable[[Concerned], None]
log = logging.getLogger(__name__)
PAUSE = 2.0
"""Seconds until kopf begins again after it failed."""
_GROUP, _VERSION = "gpupool.dev", "v1alpha1"


def registry(credentials: Credentials, wake: Wake) -> kopf.OperatorRegistry:
    """Handlers without finalizers: nothing of ours ever stands in the way of a delete.

    They are coroutines: for plain functions kopf takes a thread each time.
    """
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**credentials.connection_fields())

    @kopf.on.startup(registry=found)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        tune(settings)

    @kopf.on.event(_GROUP, _VERSION, "gpupools", registry=found)
    async def pool_changed(name: str, **_: Any) -> None:
        wake(frozenset((name,)))

    @kopf.on.event(_GROUP, _VERSION, "capacityrequests", registry=found)
    async def request_changed(**_: Any) -> None:
        wake(NOBODY)

    return found


class NoDiffs(kopf.DiffBaseStorage):
    """Handlers of events need no last state to compare with; kopf would copy every object for it."""

    @override
    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    @override
    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    @override
    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept."""


def tune(settings: kopf.OperatorSettings) -> None:
    """Settings measured at 10,000 objects: bounded workers that go idle at once, no Events of kopf's own."""
    logging.getLogger("kopf").setLevel(logging.WARNING)  # a line per event would drown ours
    settings.posting.enabled = False
    settings.queueing.worker_limit = 200
    settings.queueing.idle_timeout = 0.1
    settings.watching.server_timeout = 270
    settings.watching.client_timeout = 300
    settings.watching.connect_timeout = 10
    settings.scanning.disabled = True
    settings.execution.max_workers = 8
    settings.persistence.finalizer = "gpupool.dev/none"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="gpupool.dev")
    settings.persistence.diffbase_storage = NoDiffs()


class _Everything(frozenset[asyncio.Task[Any]]):
    """What kopf leaves alone at its end; else it cancels whatever began in our loop after it."""

    def __contains__(self, task: object) -> bool:
        return isinstance(task, asyncio.Task)


async def watch(
    credentials: Credentials, wake: Wake, stop: asyncio.Event, started: Callable[[], None] = lambda: None
) -> None:
    """Run kopf in our loop until told to stop.

    A watch that the API server refuses (410, 500) ends kopf, which only wakes pools: it begins again.

    Args:
        credentials: where to watch, and who we are.
        wake: rings for the pool of an object that changed.
        stop: ends it.
        started: called when kopf has taken what it takes of the process, its signals above all.
    """
    while not stop.is_set():
        try:
            await _watch_once(credentials, wake, stop, started)
        except Exception:
            log.exception("kopf ended, it begins again")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE)


async def _watch_once(
    credentials: Credentials, wake: Wake, stop: asyncio.Event, started: Callable[[], None]
) -> None:
    tasks = await kopf.spawn_tasks(
        registry=registry(credentials, wake), clusterwide=True, standalone=True, stop_flag=stop
    )
    started()
    await kopf.run_tasks(tasks, ignored=_Everything())

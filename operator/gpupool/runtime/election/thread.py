"""The election in a thread of its own: no long computation of ours delays a renewal.

A plan over thousands of requests holds the main loop for seconds. What a leader may do is asked from there
(`leads`), without a lock: it reads numbers that this thread alone writes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from gpupool.kube.client import KubeClient
from gpupool.runtime.election.elector import Elector

R = TypeVar("R")
JOIN = 5.0
"""Seconds that the thread gets to close its connection."""


class LeaseThread:
    """Runs an elector elsewhere; to be entered before use.

    Args:
        connect: makes the connection, in the thread.
        elect: makes the elector on it.
    """

    def __init__(self, connect: Callable[[], KubeClient], elect: Callable[[KubeClient], Elector]) -> None:
        self._connect = connect
        self._elect = elect
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="lease", daemon=True)
        self._elector: Elector | None = None
        self._client: KubeClient | None = None

    async def __aenter__(self) -> Self:
        self._thread.start()
        await self._there(self._begin())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._there(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, JOIN)

    # ------------------------------------------------------------------ asked from any thread

    @property
    def epoch(self) -> int:
        """The epoch of our leadership; 0 before it."""
        return 0 if self._elector is None else self._elector.epoch

    @property
    def led(self) -> bool:
        """Whether the Lease names a leader, us or another."""
        return self._elector is not None and self._elector.led

    def leads(self) -> bool:
        """Whether we may write."""
        return self._elector is not None and self._elector.leads()

    def idle_for(self) -> float:
        """Seconds since the last attempt to take or renew the Lease began; 0 before the first."""
        return 0.0 if self._elector is None else self._elector.idle_for()

    # ------------------------------------------------------------------ awaited from the main loop

    async def acquire(self) -> int:
        """Wait until we lead; returns the epoch."""
        return await self._there(self._mine().acquire())

    async def hold(self) -> None:
        """Renew for as long as we lead.

        Raises:
            FencedError: we lead no more; this process must end.
        """
        await self._there(self._mine().hold())

    async def release(self) -> None:
        """Give the Lease back."""
        await self._there(self._mine().release())

    def _mine(self) -> Elector:
        if self._elector is None:
            raise RuntimeError("the lease's thread was not entered")
        return self._elector

    async def _there(self, work: Coroutine[Any, Any, R]) -> R:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    # ------------------------------------------------------------------ in the thread

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _begin(self) -> None:
        self._client = self._connect()
        self._elector = self._elect(self._client)

    async def _end(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

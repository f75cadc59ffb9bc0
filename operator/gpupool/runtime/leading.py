"""One leadership from the Lease to its end: stamp, govern, drain, give back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from gpupool.applier.fence import stamp
from gpupool.errors import KubeError
from gpupool.runtime.context import Context
from gpupool.runtime.endpoints import Endpoints
from gpupool.runtime.manager import Manager
from gpupool.runtime.publisher import Publisher

log = logging.getLogger(__name__)

STAMP_PAUSE = 1.0
"""Seconds between attempts to stamp the quotas."""
LAST_EVENTS = 2.0
"""Seconds that Events not yet written get at the end."""
STUCK = 300.0
"""Seconds without a look at the Lease after which a process counts as stuck."""


class Leading:
    """What a replica does: its mirrors are warm, and when it leads it governs.

    Args:
        context: the process's parts.
        manager: governs while we lead.
        endpoints: judges the endpoints meanwhile.
        publisher: tells what was done.

    Attributes:
        began: set when we lead.
    """

    def __init__(
        self, context: Context, manager: Manager, endpoints: Endpoints, publisher: Publisher
    ) -> None:
        self._context = context
        self._elector = context.elector
        self._manager = manager
        self._endpoints = endpoints
        self._publisher = publisher
        self.began = asyncio.Event()

    def missing(self) -> str:
        """What is missing for being ready: a leader has decided; a standby has its mirrors, and a leader."""
        if not self._context.mirror.complete:
            return "not everything has been read yet"
        if self._elector.epoch:
            return "" if self._manager.ready else "not every pool has been decided yet"
        return "" if self._elector.led else "nobody leads yet"

    def wrong(self) -> str:
        """What is wrong with the process; else empty."""
        stuck = self._elector.idle_for() > STUCK
        return "the lease is not looked at any more" if stuck else self._manager.wrong()

    async def run(self) -> None:
        """Wait for the Lease, govern, and give it back when told to end.

        Raises:
            FencedError: we lead no more; this process must end, and may start again as a standby.
        """
        await self._context.mirror.synced()
        await self._elector.acquire()
        self.began.set()
        renewing = asyncio.create_task(self._elector.hold(), name="lease")
        governing = asyncio.create_task(self._govern(), name="govern")
        try:
            await asyncio.wait({renewing, governing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            governing.cancel()
            await asyncio.wait({governing})
            await self._last_events()
            renewing.cancel()
            await asyncio.wait({renewing})
            await self._elector.release()
            failed = [e for t in (renewing, governing) if not t.cancelled() and (e := t.exception())]
        for error in failed:
            raise error

    async def _govern(self) -> None:
        await self._stamp()
        beside = [
            asyncio.create_task(self._endpoints.run(), name="endpoints"),
            asyncio.create_task(self._context.metrics_api.run(), name="metrics api"),
        ]
        try:
            await self._manager.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _stamp(self) -> None:
        while True:
            try:
                count = await stamp(self._context.client, self._context.writer, self._context.epoch)
            except KubeError as error:
                log.warning("quotas not stamped", extra={"error": str(error)})
                await asyncio.sleep(STAMP_PAUSE)
            else:
                log.info("quotas stamped", extra={"epoch": self._context.epoch, "quotas": count})
                return

    async def _last_events(self) -> None:
        if self._elector.leads():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._publisher.told(), LAST_EVENTS)

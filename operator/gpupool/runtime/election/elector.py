"""Takes the Lease, renews it, gives it back: one process of all replicas writes.

The rules are in `runtime.lease`. Renewals have a connection of their own, so that no queue of writes stands
before them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from gpupool.errors import Conflict, FencedError, KubeError, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import LEASES
from gpupool.runtime.election.rules import Election, Record, Term, Timing, read

log = logging.getLogger(__name__)

LAST_WORD = 2.0
"""Seconds that giving back may take at the end."""
Clock = Callable[[], float]


def uptime() -> float:
    """Seconds that never run backwards and go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def identity(pod: str) -> str:
    """A name that no other process has, nor this pod's next one."""
    return f"{pod}_{secrets.token_hex(5)}"


class Elector:
    """This process's part in the election.

    Args:
        client: a connection of its own.
        lease: namespace and name of the Lease.
        name: this process's identity.
        timing: the seconds of the game.
        floor: the highest epoch that our objects carry.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        lease: tuple[str, str],
        name: str,
        timing: Timing,
        *,
        floor: Callable[[], int],
        clock: Clock = uptime,
    ) -> None:
        self._client = client
        self._namespace, self._name = lease
        self._election = Election(name, timing)
        self._timing = timing
        self._floor = floor
        self._clock = clock
        self._turned: float | None = None
        self._said = ""

    @property
    def epoch(self) -> int:
        """The epoch of our leadership; 0 before it."""
        return self._election.epoch

    def leads(self) -> bool:
        """Whether we may write."""
        return self._election.leads(self._clock())

    def idle_for(self) -> float:
        """Seconds since the last attempt to take or renew the Lease began; 0 before the first."""
        return 0.0 if self._turned is None else self._clock() - self._turned

    @property
    def led(self) -> bool:
        """Whether the Lease names a leader, us or another."""
        return bool(self._holder())

    # ------------------------------------------------------------------ before

    async def acquire(self) -> int:
        """Wait until we lead; returns the epoch."""
        while not await self._attempt():  # noqa: ASYNC110 - what is waited for happens in the API server
            await asyncio.sleep(self._timing.retry)
        log.info("leading", extra={"epoch": self.epoch, "identity": self._election.identity})
        return self.epoch

    async def _attempt(self) -> bool:
        self._turned = self._clock()
        try:
            async with asyncio.timeout(self._timing.give_up / 2):
                await self._look()
                if self._election.may_take(self._clock(), self._floor()):
                    await self._take()
                    return True
        except Conflict:
            pass  # another one was faster
        except (KubeError, TimeoutError) as error:
            self._say(f"the lease cannot be read or written: {error or 'no answer in time'}", logging.WARNING)
        else:
            self._say(f"standing by for {self._holder() or 'a lease that was deleted to run out'}")
        return False

    async def _take(self) -> None:
        term = Term(
            self._election.identity, self._election.claim(self._floor()), seconds=self._timing.duration
        )
        await self._write(term)

    def _say(self, what: str, level: int = logging.INFO) -> None:
        if what != self._said:
            log.log(level, what)
        self._said = what

    # ------------------------------------------------------------------ while

    async def hold(self) -> None:
        """Renew for as long as we lead.

        Raises:
            FencedError: we lead no more; this process must end.
        """
        pause, problem = self._timing.renew, ""
        while True:
            await asyncio.sleep(min(pause, max(0.0, self._left())))
            if self._left() <= 0:
                self._election.end()
                raise FencedError(f"leadership lost: no renewal was confirmed in time{problem}")
            self._turned = self._clock()
            try:
                async with asyncio.timeout(min(self._left(), self._timing.give_up / 2)):
                    await self._renew(self._term())
            except (KubeError, TimeoutError) as error:
                pause, problem = self._timing.retry, f" ({error or 'no answer in time'})"
            else:
                pause = self._timing.renew

    def _left(self) -> float:
        return self._election.until - self._clock()

    def _term(self) -> Term:
        acquired = self._election.record.acquired if self._election.record else ""
        return Term(self._election.identity, self.epoch - 1, self._timing.duration, acquired)

    async def _renew(self, term: Term) -> None:
        """Write a term over our own last one, also where an answer to us was lost or the Lease deleted."""
        while True:
            try:
                await self._write(term)
            except (Conflict, NotFound):
                await self._look()
                if self._election.record is not None and self._holder() != self._election.identity:
                    self._election.end()
                    raise FencedError(f"leadership lost: {self._holder() or 'nobody'} has it") from None
            else:
                return

    # ------------------------------------------------------------------ after

    async def release(self) -> None:
        """Give the Lease back, so that another need not wait; from now on we write nothing."""
        if not self.leads():
            return
        term = Term("", self.epoch - 1, seconds=0)
        self._election.end()
        with suppress(KubeError, FencedError, TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                await self._renew(term)
            log.info("leadership given back")

    # ------------------------------------------------------------------ the Lease

    def _holder(self) -> str:
        return self._election.record.holder if self._election.record else ""

    async def _look(self) -> None:
        found: Record | None = None
        with suppress(NotFound):
            found = read(await self._client.get(LEASES, self._name, self._namespace))
        self._election.seen(found, self._clock())

    async def _write(self, term: Term) -> None:
        found = self._election.record
        now = self._client.server_time()
        body = term.body(self._name, self._namespace, now, version=found.version if found else "")
        sent = self._clock()
        write = self._client.create if found is None else self._client.replace
        record = read(await write(LEASES, body))
        if record.holder:
            self._election.confirmed(record, sent)

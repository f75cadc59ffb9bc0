"""Waking up: many changes, one cycle. And how long cycles have followed each other without a gap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

QUIET = 0.2
"""Seconds without a change after which a cycle starts."""
LONGEST_WAIT = 2.0
"""Seconds after the first change at which a cycle starts in any case."""


class Alarm:
    """Debounces: wakes when changes have been quiet for a moment, or when the interval is over."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rung = asyncio.Event()
        self._first = 0.0
        self._monotonic = monotonic

    def ring(self) -> None:
        """Something changed."""
        if not self._rung.is_set():
            self._first = self._monotonic()
        self._rung.set()

    async def wait(self, interval: float) -> None:
        """Wait for a change and then for quiet, at most `interval` seconds without one."""
        try:
            await asyncio.wait_for(self._rung.wait(), interval)
        except TimeoutError:
            return
        first = self._first
        while self._monotonic() - first < LONGEST_WAIT:
            self._rung.clear()
            try:
                await asyncio.wait_for(self._rung.wait(), QUIET)
            except TimeoutError:
                return
        self._rung.clear()


@dataclass(slots=True)
class Continuity:
    """Since when a pool's cycles have followed each other without a gap (law 5).

    Args:
        interval: seconds between cycles in which nothing happens; two missed ones are a gap.
    """

    interval: float
    _since: datetime | None = None
    _last: datetime | None = None

    def tick(self, now: datetime) -> None:
        """Note that a cycle begins."""
        now = self.monotone(now)
        gap = timedelta(seconds=2 * self.interval + LONGEST_WAIT)
        if self._since is None or self._last is None or now - self._last > gap:
            self._since = now
        self._last = now

    def not_before(self, moment: datetime) -> None:
        """Never show a time before this one, which an earlier process has written already."""
        self._last = moment if self._last is None else max(self._last, moment)

    def monotone(self, now: datetime) -> datetime:
        """A pool's time never runs backwards."""
        return now if self._last is None else max(now, self._last)

    def since(self, now: datetime) -> datetime:
        """Start of the unbroken run of cycles."""
        return now if self._since is None else self._since


class Laps:
    """How long each step of something took; a step that comes twice counts together."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, step: str) -> None:
        """A step is done."""
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._since
        self._since = now

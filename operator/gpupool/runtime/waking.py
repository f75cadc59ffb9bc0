"""Whether somebody asks for endpoints that may sleep, and for how long that has not been known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from math import inf

from gpupool.collector.engines.wakeups import NOT_READ, Heard, WakeReader
from gpupool.model.objects import Key
from gpupool.model.slo import Slo
from gpupool.model.steering import Wake

UNREAD = Heard(None, NOT_READ, "Prometheus is not configured: set prometheus.url.")


class Waking:
    """Remembers what the series said last.

    Args:
        reader: None where no Prometheus is configured.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, reader: WakeReader | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, bool]] = {}

    async def look(self, slos: Iterable[Slo]) -> Mapping[Key, Wake]:
        """Ask for all endpoints that may sleep."""
        wanted = {s.key: s.scaling.wake for s in slos if s.scaling.low == 0 and s.scaling.wake}
        series = set(wanted.values())
        heard: Mapping[str, Heard] = dict.fromkeys(series, UNREAD)
        if self._reader is not None and series:
            heard = await self._reader.read(series)
        now = self._monotonic()
        known = {s: (now, h.value > 0) for s, h in heard.items() if h.value is not None}
        self._known = {s: pair for s, pair in (self._known | known).items() if s in series}
        return {key: self._wake(text, heard[text], now) for key, text in wanted.items()}

    def _wake(self, series: str, heard: Heard, now: float) -> Wake:
        at, asked = self._known.get(series, (-inf, False))
        if heard.value is not None:
            return Wake(series, asked, 0.0, quiet=not asked)
        quiet = at > -inf and not asked
        return Wake(series, None, now - at, quiet=quiet, problem=heard.problem, reason=heard.reason)

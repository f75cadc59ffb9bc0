"""Signals of the evaluation window, read a few times in it: between two readings little of it is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from gpupool.collector.engines.signals import Births, SignalReader
from gpupool.collector.engines.subject import Subject
from gpupool.model.objects import Key
from gpupool.model.signals import SignalReading

PIECES: Final = 20
"""Readings in a window, at most: of 5 minutes one every 15 seconds."""


class Signalling:
    """Keeps the newest reading.

    Args:
        reader: None where no Prometheus is configured.
        window: seconds of the evaluation window.
        monotonic: seconds that never run backwards.
    """

    def __init__(
        self, reader: SignalReader | None, window: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader = reader
        self._pause = window / PIECES
        self._monotonic = monotonic
        self._read_at = float("-inf")
        self._last = SignalReading()
        self._known: frozenset[Key] = frozenset()

    async def look(
        self, subjects: Sequence[Subject], engines: Mapping[Key, str], births: Mapping[Key, Births]
    ) -> SignalReading:
        """The signals of all endpoints: read again where the last are old, or an endpoint is new."""
        keys = _keys(subjects)
        if self._reader is None or not subjects:
            return SignalReading()
        now = self._monotonic()
        if now - self._read_at >= self._pause or not keys <= self._known:
            self._last = await self._reader.read(subjects, engines, births)
            self._read_at, self._known = now, keys
        return self._last


def _keys(subjects: Iterable[Subject]) -> frozenset[Key]:
    return frozenset(subject.slo.key for subject in subjects)

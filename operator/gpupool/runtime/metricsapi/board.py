"""What was decided last, for those who ask between two looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gpupool.model.objects import Key
from gpupool.planner.endpoints import SloStatus
from gpupool.policy.slo.required import required

LOOKS: Final = 4.0
"""Looks for which a value is good: what is older says nothing about now."""
LEAST: Final = 30.0
"""Seconds for which it is good in any case."""


class Board:
    """The replicas that every endpoint needs, as long as they were decided lately.

    Args:
        interval: seconds between two looks.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, interval: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._good = max(LEAST, LOOKS * interval)
        self._monotonic = monotonic
        self._at = float("-inf")
        self._values: Mapping[Key, int | None] = {}

    def publish(self, statuses: Iterable[SloStatus]) -> None:
        """Take what was decided; None where a value is not known."""
        decided = ((s.key, s.decision) for s in statuses)
        self._values = {key: None if found is None else required(found) for key, found in decided}
        self._at = self._monotonic()

    def values(self, namespace: str) -> Mapping[str, int | None] | None:
        """Values by name of the InferenceSLO; None when nothing was decided lately."""
        if self._monotonic() - self._at > self._good:
            return None
        return {key.name: value for key, value in self._values.items() if key.namespace == namespace}

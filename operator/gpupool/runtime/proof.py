"""When policies are probed: at once when they are new, soon again until they deny, then now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PAUSE: Final = 30.0
"""Seconds between two probes of policies that nobody touched."""
RETRY: Final = 1.0
"""Seconds until policies that do not deny yet are probed again: they take effect a moment after writing."""


class Proof:
    """What was probed last, and when.

    Args:
        monotonic: seconds that never run backwards.

    Attributes:
        found: what got through; empty when nothing did, None while nothing that stands was probed.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.found: tuple[str, ...] | None = None
        self._monotonic = monotonic
        self._at = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything that must be refused is."""
        return self.found == ()

    def due(self) -> bool:
        """Whether it is time to probe."""
        pause = PAUSE if self.complete else RETRY
        return self.found is None or self._monotonic() - self._at >= pause

    def forget(self) -> None:
        """What stands, or is about to, was not probed."""
        self.found = None

    def note(self, found: tuple[str, ...]) -> bool:
        """Take what got through; whether that is other than before."""
        news, self.found, self._at = found != self.found, found, self._monotonic()
        return news

    def wait(self, longest: float) -> float:
        """Seconds until the next look, when nothing happens."""
        return min(longest, RETRY) if self.found else longest

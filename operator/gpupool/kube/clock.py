"""The API server's clock, seen from here.

Deadlines stand in API objects, so the product's time is the API server's. Each answer bounds it:
its `Date` header, cut to whole seconds, was written after the request was sent and before the
answer came back. The estimate is moved into those bounds and never runs backwards; where the
server's clock was set back (or another replica's is behind), time stands still until it catches up.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_TRUNCATION = 1.0  # seconds: HTTP dates have no fraction


class ServerClock:
    """Estimates the server's time from `Date` headers and monotonic time.

    Args:
        monotonic: seconds that never run backwards.
        wall: the local clock, seconds since the epoch; only compared, never used as time.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._offset: float | None = None  # server time less monotonic time, seconds
        self._shown = 0.0

    def sent(self) -> float:
        """The moment a request leaves, to be handed to `observe`."""
        return self._monotonic()

    def observe(self, date: str | None, sent: float) -> None:
        """Learn from an answer that has just arrived.

        Args:
            date: its `Date` header; absent or unreadable teaches nothing.
            sent: what `sent()` said when the request left.
        """
        stamp = _epoch(date)
        if stamp is None:
            return
        earliest, latest = stamp - self._monotonic(), stamp + _TRUNCATION - sent
        guess = earliest if self._offset is None else self._offset
        self._offset = min(max(guess, earliest), latest)

    @property
    def known(self) -> bool:
        """Whether any answer carried a date."""
        return self._offset is not None

    def now(self) -> datetime:
        """The server's time, UTC, within about a second.

        Raises:
            LookupError: no answer has come yet.
        """
        if self._offset is None:
            raise LookupError("no answer of the API server has carried its date yet")
        self._shown = max(self._shown, self._monotonic() + self._offset)
        return datetime.fromtimestamp(self._shown, UTC)

    def skew(self) -> float | None:
        """Seconds the server is ahead of the local clock; None before the first answer."""
        if self._offset is None:
            return None
        return self._monotonic() + self._offset - self._wall()


def _epoch(date: str | None) -> float | None:
    if not date:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None

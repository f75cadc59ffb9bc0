"""The API server's clock, seen from here.

Deadlines stand in API objects, so the product's time is the API server's. Each answer bounds it:
its `Date` header, cut to whole seconds, was written after the request was sent and before the
answer came back. The estimate is moved into those bounds and never runs backwards; where the
server's clock was set back a little (or another replica's is behind), time stands still until it catches up.

A clock that is far off must not make every deadline fall due at once, nor stop them all. So a leap of the
server's clock is believed only if the local clock says the same: that it leapt too, or that it is that late.
At the first answer there is nothing to compare a leap with; of two clocks far apart the earlier one counts,
because a deadline may move later and never sooner.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

log = logging.getLogger(__name__)

_TRUNCATION = 1.0  # seconds: HTTP dates have no fraction
_LEAP = 30.0  # seconds: more than this is no drift, no delay and no difference between two replicas


class ServerClock:
    """Estimates the server's time from `Date` headers and monotonic time.

    Args:
        monotonic: seconds that never run backwards.
        wall: the local clock, seconds since the epoch; a witness of leaps, and time only where the server's
            clock cannot be believed from the start.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._told: float | None = None  # server time less monotonic time, seconds, as the server says
        self._offset: float | None = None  # the same as it is believed
        self._witness = 0.0  # wall less monotonic time when the server was last believed
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
        monotonic = self._monotonic()
        earliest, latest = stamp - monotonic, stamp + _TRUNCATION - sent
        if self._told is None or not earliest - _LEAP <= self._told <= latest + _LEAP:
            self._told = earliest
        self._told = min(max(self._told, earliest), latest)
        self._judge(self._told, self._wall() - monotonic)

    def _judge(self, told: float, wall: float) -> None:
        """Believe what the server tells, or go on counting."""
        far = abs(told - wall) > _LEAP
        if self._offset is None:
            self._offset, self._witness = min(told, wall) if far else told, wall
            if far:
                log.warning("clocks disagree, the earlier one counts", extra={"skew": round(told - wall)})
            return
        leap = told - self._offset
        if abs(leap) > _LEAP and far and abs(leap - (wall - self._witness)) > _LEAP:
            return
        self._offset, self._witness = told, wall

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
        if self._told is None:
            return None
        return self._monotonic() + self._told - self._wall()


def _epoch(date: str | None) -> float | None:
    if not date:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None

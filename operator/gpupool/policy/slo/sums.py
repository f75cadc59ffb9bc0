"""Events over a long window from a bounded memory: slices for the last hour, then hours, then days.

Every reading adds what happened since the one before. What grows older is put together, an hour into its day.
So a window of 30 days needs no long range of Prometheus, and outlives its retention and our restarts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from gpupool.model.slo import DAY, HOUR, Reading, Slice, SloState, Sums

FINEST: Final = 60.0
"""Seconds of a slice of a long window; the alarms' shortest window of 28 days is 280 seconds."""
PIECES: Final = 120
"""Slices of a short window: its shortest alarm still sees some of them."""
MOST_HOURS: Final = 30
"""Hours that are kept: when a day is put together, six whole hours stay for the alarms. With the days of the
longest window that makes 60 stretches, which is what a status may carry."""
KNOWN: Final = frozenset({SloState.OK, SloState.NO_TRAFFIC, SloState.PARTIAL})
"""States in which something was measured; the time of all others stays uncovered."""
_NOTHING: Final = 1e-6
"""Seconds: an event that ends with an hour belongs to that hour."""


def slice_seconds(window: timedelta, interval: float) -> float:
    """How long a slice is: short windows have shorter ones, never shorter than a reading."""
    return max(interval, min(FINEST, window.total_seconds() / PIECES))


def fold(sums: Sums, reading: Reading, now: float, window: timedelta, interval: float) -> Sums:
    """Add a reading, and let go of what is older than the window.

    Args:
        sums: as they were left.
        reading: events since the reading before.
        now: unix seconds of the reading.
        window: of the objective.
        interval: seconds between readings.
    """
    if now <= sums.until:
        return sums
    found = sums
    if reading.state in KNOWN and reading.seconds > 0:
        covered = min(reading.seconds, now - sums.until)
        event = Slice(now - covered, covered, reading.good, reading.total, covered)
        found = replace(
            sums,
            fine=_added(sums.fine, event, slice_seconds(window, interval)),
            hours=_added(sums.hours, event, HOUR),
        )
    return _trimmed(replace(found, until=now), now, window.total_seconds())


def over(sums: Sums, now: float, seconds: float) -> Slice:
    """Events of the last `seconds`, from the finest memory that reaches so far.

    Of a stretch at the edge counts the part that lies inside, as if its events had come evenly.
    """
    parts = sums.fine if seconds <= HOUR else (*sums.days, *sums.hours)
    return _within(parts, now, seconds)


def _within(parts: Iterable[Slice], now: float, seconds: float) -> Slice:
    start = now - seconds
    good = total = covered = 0.0
    for part in parts:
        end = min(part.end, now)
        inside = end - max(part.start, start)
        if inside > 0:
            share = inside / (end - part.start)
            good += part.good * share
            total += part.total * share
            covered += part.covered * share
    return Slice(start, seconds, good, total, min(covered, seconds))


def _added(parts: Sequence[Slice], event: Slice, length: float) -> tuple[Slice, ...]:
    """The event in the stretch that its end lies in."""
    start = (event.end - _NOTHING) // length * length
    last = parts[-1] if parts else None
    if last is not None and last.start >= start:
        return (*parts[:-1], _joined(last, event))
    return (*parts, _joined(Slice(start, length, 0.0, 0.0, 0.0), event))


def _joined(part: Slice, other: Slice) -> Slice:
    return replace(
        part,
        good=part.good + other.good,
        total=part.total + other.total,
        covered=min(part.seconds, part.covered + other.covered),
    )


def _trimmed(sums: Sums, now: float, window: float) -> Sums:
    """Put the hours of an old day together, and forget what lies outside the window."""
    hours, days, oldest = list(sums.hours), list(sums.days), now - window
    if len(hours) > MOST_HOURS:
        day = Slice(hours[0].start // DAY * DAY, DAY, 0.0, 0.0, 0.0)
        while hours[0].start < day.end:
            day = _joined(day, hours.pop(0))
        days.append(day)
    return replace(
        sums,
        fine=tuple(s for s in sums.fine if s.end > now - min(HOUR, window)),
        hours=tuple(h for h in hours if h.end > oldest),
        days=tuple(d for d in days if d.end > oldest),
    )

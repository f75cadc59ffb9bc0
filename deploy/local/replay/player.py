"""Plays a recording: pods come and go at their trace times, and at the end of every slice all is read."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from replay.errors import ReplayError
from replay.metering import LONGEST, Measured, Meter
from replay.recording import Life, Recording
from replay.stage import Stage, team_name

SLICES: Final = 72
"""Readings of a long replay: points of the picture."""

SHORTEST: Final = 10.0
"""Seconds of one reading at least."""

LEAD: Final = 2.0
"""Seconds between the order to play and the trace's second 0: one scrape shows the idle start."""

TICK: Final = 0.25
MISSED_READINGS: Final = 3
"""So many readings may fail in a row; the next one covers their time."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One reading.

    Attributes:
        begin: trace second.
        end: trace second.
        teams: what each team came to, by its name.
    """

    begin: float
    end: float
    teams: dict[str, Measured]


@dataclass(slots=True)
class Played:
    """What a whole replay came to.

    Attributes:
        speed: seconds of the trace per second.
        slices: readings, without gaps between them.
        scrapes: scrapes of the exporter.
        failed: scrapes that failed.
        latest: seconds by which the latest change came late.
    """

    speed: float
    slices: list[Slice] = field(default_factory=list)
    scrapes: int = 0
    failed: int = 0
    latest: float = 0.0

    def total(self, team: str) -> Measured:
        """What a team came to, in GPU-seconds of the world."""
        return sum((piece.teams[team] for piece in self.slices), Measured())


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to do at a trace second: read, or let a pod go or come, in this order."""

    at: float
    order: int
    coming: Life | None = None
    going: Life | None = None


def agenda(recording: Recording, speed: float) -> list[Entry]:
    """Everything after the trace's second 0, in order; pods of second 0 are there before it."""
    entries = [Entry(at, 0) for at in boundaries(recording.length, speed)]
    for life in recording.lives:
        if life.start > 0:
            entries.append(Entry(life.start, 2, coming=life))
        if life.end < recording.length:
            entries.append(Entry(life.end, 1, going=life))
    return sorted(entries, key=lambda entry: (entry.at, entry.order))


def boundaries(length: float, speed: float) -> list[float]:
    """Trace seconds at which slices end; the last is the end of what is played."""
    seconds = length / speed
    count = max(1, min(SLICES, int(seconds / SHORTEST)), int(seconds / LONGEST) + 1)
    return [length * number / count for number in range(1, count)] + [length]


class Player:
    """Plays one recording once.

    Args:
        recording: what is played.
        stage: where pods come and go.
        meter: reads what happened.
        speed: seconds of the trace per second.
        show: told the trace second, several times a second.
    """

    def __init__(
        self, recording: Recording, stage: Stage, meter: Meter, speed: float, show: Callable[[float], None]
    ) -> None:
        self._recording = recording
        self._stage = stage
        self._meter = meter
        self._show = show
        self._epoch = 0.0
        self._failures = 0
        self.played = Played(speed)

    async def run(self) -> Played:
        """Play it all.

        Raises:
            ReplayError: The pods did not start, or Prometheus could not be read.
        """
        first = [life for life in self._recording.lives if life.start <= 0]
        for life in first:
            self._stage.create(life)
        self._stage.until_held(len(first))
        self._epoch = time.time() + LEAD
        self._stage.play(self._epoch, self.played.speed)
        for entry in agenda(self._recording, self.played.speed):
            await self._until(entry.at)
            await self._do(entry)
        played = self.played
        played.scrapes, played.failed = await self._meter.scrapes(self._recording.length / played.speed)
        return played

    async def _do(self, entry: Entry) -> None:
        self.played.latest = max(self.played.latest, (self._trace_now() - entry.at) / self.played.speed)
        if entry.coming is not None:
            self._stage.create(entry.coming)
        elif entry.going is not None:
            self._stage.delete(entry.going)
        else:
            await self._read()

    async def _read(self) -> None:
        """One slice: from the end of the last one to this very moment."""
        begin, now = self._read_until, time.time()
        end = (now - self._epoch) * self.played.speed
        teams = [team_name(team) for team in self._recording.teams]
        seconds = (end - begin) / self.played.speed
        found = await self._meter.read(self._stage.pods(), now, seconds, teams)
        if found is not None:
            self._failures = 0
            self.played.slices.append(Slice(begin, end, found))
            return
        self._failures += 1
        if self._failures > MISSED_READINGS or end >= self._recording.length:
            raise ReplayError(f"use could not be read at trace second {end:.0f}: {self._meter.problem}")

    @property
    def _read_until(self) -> float:
        return self.played.slices[-1].end if self.played.slices else 0.0

    async def _until(self, at: float) -> None:
        while (left := (at - self._trace_now()) / self.played.speed) > 0:
            self._show(self._trace_now())
            await asyncio.sleep(min(TICK, left))

    def _trace_now(self) -> float:
        return (time.time() - self._epoch) * self.played.speed

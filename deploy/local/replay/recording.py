"""The trace as lives of pods, and the truth about them, computed from the samples alone.

A sample stands for one step from its time on. A pod holds one GPU from its first sample to the end of its
last one, gaps included; it is seen while a sample stands, and busy while a sample above 0 percent stands.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from localplane.exporter.traces import Trace, read_traces
from replay.errors import ReplayError

TEAMS: Final = 4
HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Truth:
    """GPU-seconds of trace time."""

    held: float = 0.0
    seen: float = 0.0
    busy: float = 0.0

    def __add__(self, other: "Truth") -> "Truth":
        return Truth(self.held + other.held, self.seen + other.seen, self.busy + other.busy)


@dataclass(frozen=True, slots=True)
class Life:
    """One pod of the trace.

    Attributes:
        pod: its number in the trace.
        trace: its samples, in order of time.
        step: seconds that a sample stands for.
    """

    pod: int
    trace: Trace
    step: float

    @property
    def team(self) -> int:
        """The team it is given to: the trace names none."""
        return self.pod % TEAMS

    @property
    def start(self) -> float:
        """Trace second of its first sample."""
        return self.trace.times[0]

    @property
    def end(self) -> float:
        """Trace second at which its last sample has stood for a step."""
        return self.trace.times[-1] + self.step

    def truth(self, begin: float, end: float) -> Truth:
        """What it held and did between two trace seconds."""
        times, values = self.trace.times, self.trace.values
        span = range(bisect_left(times, begin - self.step), bisect_left(times, end))
        covers = [(values[i], _overlap(begin, end, times[i], times[i] + self.step)) for i in span]
        return Truth(
            held=_overlap(begin, end, self.start, self.end),
            seen=sum(seconds for _, seconds in covers),
            busy=sum(seconds for value, seconds in covers if value > 0),
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """What is played.

    Attributes:
        file: where it was read from.
        lives: pods with a sample before the end, by number.
        length: trace seconds that are played.
        step: seconds that a sample stands for.
    """

    file: Path
    lives: tuple[Life, ...]
    length: float
    step: float

    def of_team(self, team: int) -> tuple[Life, ...]:
        """The pods of a team."""
        return tuple(life for life in self.lives if life.team == team)

    def truth(self, team: int, begin: float = 0.0, end: float | None = None) -> Truth:
        """What a team's pods held and did between two trace seconds; by default in all that is played."""
        until = self.length if end is None else min(end, self.length)
        return sum((life.truth(begin, until) for life in self.of_team(team)), Truth())

    @property
    def teams(self) -> tuple[int, ...]:
        """The teams that have a pod."""
        return tuple(sorted({life.team for life in self.lives}))


def read_recording(file: Path, hours: float | None = None) -> Recording:
    """Read a trace: gzip CSV with the columns t_s, pod (a whole number) and value (percent).

    Args:
        file: the trace.
        hours: play only so much of it; None plays all.

    Raises:
        PlaneError: The file cannot be read as such a trace, or has no sample in these hours.
    """
    traces = read_traces(file)
    step = _step(trace.times for trace in traces.values())
    lives = sorted((Life(_number(file, pod), trace, step) for pod, trace in traces.items()), key=_by_pod)
    whole = max((life.end for life in lives), default=0.0)
    length = whole if hours is None else min(whole, hours * HOUR)
    played = tuple(life for life in lives if life.start < length)
    if not played:
        raise ReplayError(f"{file} has no sample in the first {length / HOUR:g} hours")
    return Recording(file, played, length, step)


def _by_pod(life: Life) -> int:
    return life.pod


def _number(file: Path, pod: str) -> int:
    if not pod.isdigit():
        raise ReplayError(
            f"{file}: pod {pod!r} is no whole number; a pod's team is its number modulo {TEAMS}"
        )
    return int(pod)


def _step(series: Iterable[Sequence[float]]) -> float:
    gaps = [after - before for times in series for before, after in pairwise(times)]
    return median(gaps) if gaps else 1.0


def _overlap(begin: float, end: float, start: float, stop: float) -> float:
    return max(0.0, min(end, stop) - max(begin, start))

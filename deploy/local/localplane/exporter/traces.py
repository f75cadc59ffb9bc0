"""Recorded GPU activity, replayed: gzip CSV files with the columns t_s, pod and value.

A trace is named `<set>/<pod>`: the set is the file `<set>.csv.gz` or `<set>_pod_gpu_duty.csv.gz` in
the given directory; where a file was given, it is that file whatever the set. A sample holds until
the next one; where the next is more than 1.5 steps away there is a gap: the sample holds for one
step, then the series is absent, as it is before the first sample and after the last.
"""

import csv
import gzip
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from localplane.errors import PlaneError

GAP_STEPS: Final = 1.5


class UnknownTraceError(PlaneError):
    """No such trace, or the file cannot be read; the text says what was looked for and where."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One pod's samples in order of time."""

    times: tuple[float, ...]
    """Seconds from the trace's start."""

    values: tuple[float, ...]
    """Percent busy."""

    step: float
    """Seconds between samples where nothing is missing."""

    def at(self, seconds: float) -> float | None:
        """Activity in percent at a time of the trace; None where the trace has no sample."""
        index = bisect_right(self.times, seconds) - 1
        if index < 0:
            return None
        return self.values[index] if seconds < self._end(index) else None

    def _end(self, index: int) -> float:
        start = self.times[index]
        if index + 1 < len(self.times) and self.times[index + 1] - start <= GAP_STEPS * self.step:
            return self.times[index + 1]
        return start + self.step


@dataclass(slots=True)
class TraceClock:
    """Where the replay is: the time of the trace at a time of the world."""

    epoch: float
    """Unix time at which the trace's second 0 is played."""

    speed: float = 1.0
    """Seconds of the trace per second of the world."""

    def at(self, now: float) -> float:
        """Second of the trace that is played at `now`."""
        return (now - self.epoch) * self.speed


class TraceLibrary:
    """The traces below one path, each file read once."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def find(self, name: str) -> Trace:
        """The trace of a name.

        Raises:
            UnknownTraceError: There is no such file or no such pod in it.
        """
        group, _, pod = name.rpartition("/")
        file = self._file(group)
        traces = read_traces(file)
        if pod not in traces:
            raise UnknownTraceError(f"trace {name!r}: no pod {pod!r} in {file}; it has {_some(traces)}")
        return traces[pod]

    def _file(self, group: str) -> Path:
        if self._path is None:
            raise UnknownTraceError(
                "no traces were given: start the exporter with --traces, or POST /control"
            )
        if self._path.is_file():
            return self._path
        for name in (f"{group}.csv.gz", f"{group}_pod_gpu_duty.csv.gz"):
            if group and (self._path / name).is_file():
                return self._path / name
        raise UnknownTraceError(
            f"trace set {group!r}: no {group}.csv.gz in {self._path}; name it <set>/<pod>"
        )


@lru_cache(maxsize=4)
def read_traces(file: Path) -> Mapping[str, Trace]:
    """All traces of a file by pod.

    Raises:
        UnknownTraceError: The file is missing or has other columns.
    """
    samples: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    try:
        with gzip.open(file, "rt", newline="") as lines:
            for row in csv.DictReader(lines):
                samples[row["pod"]].append((float(row["t_s"]), float(row["value"])))
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise UnknownTraceError(f"{file} is no gzip CSV with columns t_s, pod, value: {error!r}") from error
    step = _step(samples.values())
    return {pod: _trace(sorted(rows), step) for pod, rows in samples.items()}


def _trace(rows: list[tuple[float, float]], step: float) -> Trace:
    return Trace(tuple(time for time, _ in rows), tuple(value for _, value in rows), step)


def _step(series: Iterable[list[tuple[float, float]]]) -> float:
    gaps = [after[0] - before[0] for rows in series for before, after in pairwise(rows)]
    return median(gaps) if gaps else 1.0


def _some(traces: Mapping[str, Trace], count: int = 5) -> str:
    return ", ".join([*list(traces)[:count], "..."] if len(traces) > count else traces) or "none"

"""The questions about exporters: pure builders, a constant number of them whatever the pool holds.

Windows up to an hour read samples at the scrape interval; longer ones read what the recording rules
kept every five minutes, so that no raw range longer than an hour is ever read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gpupool.collector.prometheus.activity import (
    KEPT,
    counted,
    duration,
    hosts,
    labels,
    lifeless,
    lively,
    one_of,
    stamp,
)

RAW_LIMIT: Final = timedelta(hours=1)
"""The longest range that is read from samples."""

RESOLUTION: Final = 300.0
"""Seconds between two values of a recording rule."""

EVIDENCE: Final = timedelta(minutes=5)
"""The range from which the scrape interval is measured."""

WITNESSES: Final = 3
"""Targets per job whose scrapes are looked at for it."""

LIVELY_SCRAPES: Final = 2
"""A sample older than this many scrapes is not seen any more: one scrape may come late."""

STILL_SAMPLES: Final = 4
"""So many samples of energy in a row without a change are no living GPU's."""

CROWDED: Final = 1.5
"""More samples than this times those of one scrape per interval have been written by two."""

MOST_HOSTS: Final = 200
"""A question names at most so many hosts; a larger pool reads all of its jobs' series."""

WORTHWHILE: Final = 2
"""Hosts are named where the jobs have more than this times as many targets."""


@dataclass(frozen=True, slots=True)
class Ranged:
    """A question over a range, and how many seconds one unit of its counts stands for."""

    promql: str
    unit: float


@dataclass(frozen=True, slots=True)
class UseQueries:
    """What is asked about GPUs of believed jobs; all keep the labels of KEPT, `still` those of DEVICE.

    Attributes:
        seen: counts of samples.
        busy: counts of samples with activity above 0.
        mean: mean activity in percent.
        age: seconds since the newest sample.
        crowded: counts of samples where there are more than one exporter writes.
        still: devices that show no life.
    """

    seen: Ranged
    busy: Ranged
    mean: Ranged
    age: str
    crowded: str
    still: str


def targets(jobs: Sequence[str]) -> str:
    """Whether each target of the jobs is up."""
    return f"up{{{one_of('job', jobs)}}}"


def past_targets(jobs: Sequence[str], window: timedelta) -> str:
    """Each target that the jobs had within the window, or the last hour of it."""
    span = duration(min(window, RAW_LIMIT).total_seconds())
    return f"max by (job, instance, namespace) (max_over_time(up{{{one_of('job', jobs)}}}[{span}]))"


def scrapes(jobs: Sequence[str], instances: Sequence[str]) -> str:
    """The scrapes of a few targets, sample by sample: their distances are the scrape interval."""
    chosen = f"{one_of('job', jobs)},{one_of('instance', instances)}"
    return f"up{{{chosen}}}[{duration(EVIDENCE.total_seconds())}]"


def is_long(span: timedelta) -> bool:
    """Whether a range must be read from recording rules."""
    return span > RAW_LIMIT


def narrowed(jobs: Sequence[str], nodes: Sequence[str], targets_up: int) -> str:
    """The matcher of what concerns a pool: of its jobs, and of its hosts where that spares much."""
    matcher = one_of("job", jobs)
    if 0 < len(nodes) <= MOST_HOSTS and targets_up > WORTHWHILE * len(nodes):
        return f"{matcher},{hosts(nodes)}"
    return matcher


def use_queries(matcher: str, window: timedelta, step: float, slowest: float) -> UseQueries:
    """The questions about use.

    Args:
        matcher: of the series that are believed.
        window: over which use is measured.
        step: the shortest scrape interval of the jobs, in seconds.
        slowest: the longest one.
    """
    age = f"min by {labels(KEPT)} (time() - {stamp(matcher)})"
    build = _recorded_use if is_long(window) else _sampled_use
    seen, busy, mean = build(matcher, window, step, slowest)
    recent = min(window, EVIDENCE)
    still = lifeless(matcher, duration(recent.total_seconds()), STILL_SAMPLES)
    return UseQueries(seen, busy, mean, age, _crowded(matcher, window, step), still)


def _crowded(matcher: str, window: timedelta, step: float) -> str:
    """Samples of any five minutes of the window (the last hour of it), where there are too many of them."""
    piece = min(window, EVIDENCE)
    most = CROWDED * piece.total_seconds() / step + 1
    found = counted(matcher, duration(piece.total_seconds()))
    if window > piece:
        reach = duration((min(window, RAW_LIMIT) - piece).total_seconds())
        found = f"max_over_time({found}[{reach}:{duration(piece.total_seconds() / 2)}])"
    return f"max by {labels(KEPT)} ({found}) > {most:g}"


def _sampled_use(
    matcher: str, window: timedelta, step: float, slowest: float
) -> tuple[Ranged, Ranged, Ranged]:
    live = lively(matcher, f"{LIVELY_SCRAPES * slowest:g}")
    over = f"[{duration(window.total_seconds())}:{duration(step)}]"
    by = f"max by {labels(KEPT)}"
    return (
        Ranged(f"{by} (count_over_time({live}{over}))", step),
        Ranged(f"{by} (sum_over_time(({live} > bool 0){over}))", step),
        Ranged(f"{by} (avg_over_time({live}{over}))", step),
    )


def _recorded_use(
    matcher: str, window: timedelta, _step: float, _slowest: float
) -> tuple[Ranged, Ranged, Ranged]:
    rest = f"{{{matcher}}}[{duration(window.total_seconds())}]"
    by = f"max by {labels(KEPT)}"
    return (
        Ranged(f"{by} (sum_over_time(gpupool:gpu_seen:ratio5m{rest}))", RESOLUTION),
        Ranged(f"{by} (sum_over_time(gpupool:gpu_busy:ratio5m{rest}))", RESOLUTION),
        Ranged(f"{by} (avg_over_time(gpupool:gpu_activity:percent5m{rest}))", RESOLUTION),
    )

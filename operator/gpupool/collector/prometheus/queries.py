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
    duration,
    labels,
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


@dataclass(frozen=True, slots=True)
class Ranged:
    """A question over a range, and how many seconds one unit of its counts stands for."""

    promql: str
    unit: float


@dataclass(frozen=True, slots=True)
class UseQueries:
    """What is asked about GPUs of believed jobs; all keep the labels of KEPT.

    Attributes:
        seen: counts of samples.
        busy: counts of samples with activity above 0.
        mean: mean activity in percent.
        age: seconds since the newest sample.
    """

    seen: Ranged
    busy: Ranged
    mean: Ranged
    age: str


def targets(jobs: Sequence[str]) -> str:
    """Whether each target of the jobs is up."""
    return f"up{{{one_of('job', jobs)}}}"


def scrapes(jobs: Sequence[str], instances: Sequence[str]) -> str:
    """The scrapes of a few targets, sample by sample: their distances are the scrape interval."""
    chosen = f"{one_of('job', jobs)},{one_of('instance', instances)}"
    return f"up{{{chosen}}}[{duration(EVIDENCE.total_seconds())}]"


def is_long(span: timedelta) -> bool:
    """Whether a range must be read from recording rules."""
    return span > RAW_LIMIT


def use_queries(jobs: Sequence[str], window: timedelta, step: float, slowest: float) -> UseQueries:
    """The questions about use.

    Args:
        jobs: believed exporter jobs.
        window: over which use is measured.
        step: the shortest scrape interval of the jobs, in seconds.
        slowest: the longest one.
    """
    matcher = one_of("job", jobs)
    age = f"min by {labels(KEPT)} (time() - {stamp(matcher)})"
    build = _recorded_use if is_long(window) else _sampled_use
    seen, busy, mean = build(matcher, window, step, slowest)
    return UseQueries(seen, busy, mean, age)


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

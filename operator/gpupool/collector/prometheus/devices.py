"""From the series of a pod to its devices: rivals, successors and disagreement. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from gpupool.collector.prometheus.own import OwnPod
from gpupool.collector.prometheus.series import GpuSeries
from gpupool.model.objects import Key

FRESH_SCRAPES: Final = 3
"""A newest sample older than this many scrapes is no longer fresh."""

FIRST_SCRAPES: Final = 2
"""Scrapes until a new pod's first sample must be there."""

OVERLAP: Final = 1.1
"""Two series of one device whose seen times add up to more than this part of the window overlapped."""

TOLERANCE: Final = 0.25
"""Part of its time for which two exporters may differ about a device: they look at other moments."""

CHANCE_SCRAPES: Final = 2
"""Busy samples that one exporter may have caught and the other missed."""


@dataclass(frozen=True, slots=True)
class Readings:
    """All that Prometheus said of one pool, as facts.

    Attributes:
        interval: the longest scrape interval of the believed jobs, seconds.
        series: devices as the believed jobs show them.
        own: pods of the window as our own series remember them.
        lag: seconds by which the answers about use trail (the recording rules' resolution).
    """

    interval: float
    series: tuple[GpuSeries, ...] = ()
    own: Mapping[Key, OwnPod] = field(default_factory=dict)
    lag: float = 0.0

    @property
    def fresh_within(self) -> float:
        """Seconds within which a newest sample is fresh."""
        return FRESH_SCRAPES * self.interval

    @property
    def settling(self) -> float:
        """Seconds of a pod's life that nobody can have seen yet."""
        return FIRST_SCRAPES * self.interval + self.lag


@dataclass(frozen=True, slots=True)
class Device:
    """One device of one pod, all sources together.

    Attributes:
        seen: seconds of the window with a sample.
        busy: seconds of them with activity above 0.
        activity: mean over what was seen, percent.
        age: seconds since the newest sample that speaks of the present pod.
        conflicting: its sources contradict each other, or two write one series.
        still: what is exported for it does not move.
    """

    seen: float
    busy: float
    activity: float
    age: float | None
    conflicting: bool
    still: bool


def devices_of(series: Iterable[GpuSeries], window: timedelta, readings: Readings) -> dict[str, Device]:
    """Devices by name."""
    grouped: dict[str, list[GpuSeries]] = defaultdict(list)
    for one in series:
        grouped[one.device].append(one)
    return {device: _joined(own, window, readings) for device, own in sorted(grouped.items())}


def _joined(series: Sequence[GpuSeries], window: timedelta, readings: Readings) -> Device:
    """One device: series of exporters that followed each other add up, of rivals the busiest counts."""
    total = sum(s.seen for s in series)
    fresh = sum(s.age is not None and s.age <= readings.fresh_within for s in series)
    slack = readings.interval * len(series)
    rivals = len(series) > 1 and (fresh > 1 or total > OVERLAP * window.total_seconds() + slack)
    take = max if rivals else sum
    return Device(
        seen=min(window.total_seconds(), take(s.seen for s in series)),
        busy=min(window.total_seconds(), take(s.busy for s in series)),
        activity=0.0 if total <= 0 else sum(s.activity * s.seen for s in series) / total,
        age=min((s.age for s in series if s.age is not None), default=None),
        conflicting=any(s.crowded for s in series) or (rivals and _disagree(series, readings.interval)),
        still=any(s.still for s in series),
    )


def _disagree(series: Iterable[GpuSeries], interval: float) -> bool:
    """Whether rivals cannot both be right about how much of the time a device was busy."""
    told = [s for s in series if s.seen > 0]
    parts = [s.busy / s.seen for s in told]
    if not parts:
        return False
    least = min(told, key=lambda s: s.busy / s.seen)
    missed = max((s.busy for s in told), default=0.0) > CHANCE_SCRAPES * interval
    return max(parts) - min(parts) > TOLERANCE or (least.busy == 0 and missed)


def mean(devices: Iterable[Device]) -> float:
    """Mean activity over what was seen, percent."""
    found = [d for d in devices if d.seen > 0]
    seen = sum(d.seen for d in found)
    return 0.0 if seen <= 0 else sum(d.activity * d.seen for d in found) / seen

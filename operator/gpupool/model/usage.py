"""What Prometheus said of use, in GPU-seconds and percent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gpupool.model.objects import Key


@dataclass(frozen=True, slots=True)
class PodUsage:
    """Samples of one pod's GPUs over the window, from believed exporters.

    `held_seconds` is what should have been seen (GPU-seconds), `seen_seconds` what was, `busy_seconds` the
    part with activity > 0; `activity` is their mean in percent; `age` is the newest sample's, in seconds.
    """

    key: Key
    gpus: int
    held_seconds: float
    seen_seconds: float
    busy_seconds: float
    busy_gpus: int
    activity: float
    age: float | None = None
    conflicting: bool = False
    alive: bool = True
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The most a request used over the lookback, how long and how much of the last window it was recorded."""

    used: int
    history: float
    recent: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """All that Prometheus said when `asked`. `fresh` is the precondition of any taking for under-use.

    `problem` and `reason` (one word) say why it is not; `findings` what is wrong with single nodes and pods.
    `week` is the most that requests of endpoints used in a week, where the lookback is shorter.
    """

    fresh: bool = False
    problem: str = "Prometheus is not configured"
    scrape_interval: float = 1.0
    pods: tuple[PodUsage, ...] = ()
    peaks: Mapping[Key, Peak] = field(default_factory=dict)
    reason: str = "NotConfigured"
    findings: tuple[str, ...] = ()
    asked: datetime | None = None
    week: Mapping[Key, int] = field(default_factory=dict)

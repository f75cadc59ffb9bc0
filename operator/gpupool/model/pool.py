"""What a GpuPool means once its defaults are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gpupool.model.selector import Selector

DEFAULT_RESOURCE = "nvidia.com/gpu"
DEFAULT_SCHEDULER = "default-scheduler"


class Mode(StrEnum):
    """How far a layer may go: look, say, do."""

    OBSERVE = "Observe"
    RECOMMEND = "Recommend"
    ENFORCE = "Enforce"

    @property
    def strength(self) -> int:
        """0 for Observe, 1 for Recommend, 2 for Enforce."""
        return _STRENGTH[self]


_STRENGTH: Final = {mode: strength for strength, mode in enumerate(Mode)}


def weaker(*modes: Mode | None) -> Mode:
    """The weakest of the modes that are set; with none set, Observe (law 12)."""
    return min((m for m in modes if m is not None), key=lambda m: m.strength, default=Mode.OBSERVE)


class Purpose(StrEnum):
    """A named set of defaults."""

    PRODUCTION = "Production"
    EXPERIMENTATION = "Experimentation"
    BATCH = "Batch"


class Visibility(StrEnum):
    """How much of others a decision record shows."""

    NAMES = "Names"
    TEAMS = "Teams"
    AGGREGATE = "Aggregate"


class SloGate(StrEnum):
    """What becomes of GPUs that would not help an endpoint under an InferenceSLO."""

    OFF = "Off"
    """They are given as to anybody."""
    WARN = "Warn"
    """They are given, and it is said that they will not help."""
    ENFORCE = "Enforce"
    """They are refused; nothing that was granted is."""


@dataclass(frozen=True, slots=True)
class Reclaim:
    """When granted GPUs that were never requested are lent out. Percentages are 0 to 100.

    Attributes:
        window: the time over which use is measured.
        lookback: the time whose peak use is kept.
        threshold: percent of `expectedUtilization` below which a request is under-used.
        headroom: percent of the peak kept on top of it; at least one pod is kept in any case.
        coverage: percent of held GPU-hours that must have samples before anything is said.
        grace: notice between the warning and the lending.
        release_after: lent for so long without demand, the claim itself ends.
        startup_grace: time after a grant during which nothing is said.
    """

    mode: Mode
    window: timedelta
    lookback: timedelta
    threshold: int
    headroom: int
    coverage: int
    grace: timedelta
    release_after: timedelta
    startup_grace: timedelta


@dataclass(frozen=True, slots=True)
class Recall:
    """How fast borrowed GPUs return: eviction after `notice`, by force after `within`."""

    within: timedelta
    notice: timedelta


@dataclass(frozen=True, slots=True)
class Share:
    """One team's part of a pool, in GPUs per resource; no `limit` means all that is usable.

    `waits` names the layers that are asked to enforce and are held at Recommend until the team's templates
    would pass (readiness).
    """

    team: str
    namespaces: tuple[str, ...] = ()
    selector: Selector | None = None
    guaranteed: Mapping[str, int] = field(default_factory=dict)
    limit: Mapping[str, int] = field(default_factory=dict)
    weight: int = 1
    mode: Mode | None = None
    waits: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pool:
    """A GpuPool with every default resolved.

    The mode of a layer is its own where it sets one (`overridden` names those layers), else the pool's. A
    share's mode replaces both; where a layer and a share both set one, the weaker holds (law 12).
    `cpu_pods` says whether pods without GPUs may go to its nodes; of `priority_classes` none means all but
    the system's. `prices` are of a GPU for an hour.
    """

    name: str
    uid: str
    generation: int
    created: datetime
    quota_mode: Mode
    isolation_mode: Mode
    reclaim: Reclaim
    recall: Recall
    purpose: Purpose = Purpose.EXPERIMENTATION
    mode: Mode = Mode.OBSERVE
    taint: bool = True
    cpu_pods: bool = False
    priority_classes: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = (DEFAULT_SCHEDULER,)
    node_selector: Selector | None = None
    node_names: tuple[str, ...] = ()
    declared: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[str, ...] = (DEFAULT_RESOURCE,)
    shares: tuple[Share, ...] = ()
    reserve: Mapping[str, int] = field(default_factory=dict)
    visibility: Visibility = Visibility.TEAMS
    jobs: tuple[str, ...] = ("dcgm-exporter",)
    slo_gate: SloGate = SloGate.ENFORCE
    prices: Mapping[str, float] = field(default_factory=dict)
    currency: str = ""
    overridden: frozenset[str] = frozenset()
    enforce_now: bool = False

    def quota_for(self, share: Share | None) -> Mode:
        """The quota layer's mode for a share; a namespace without a share is only looked at."""
        return self._mode(share, "quota", self.quota_mode)

    def isolation_for(self, share: Share | None) -> Mode:
        """The isolation layer's mode for a share."""
        return self._mode(share, "isolation", self.isolation_mode)

    def reclaim_for(self, share: Share | None) -> Mode:
        """The reclaim layer's mode for a share."""
        return self._mode(share, "reclaim", self.reclaim.mode)

    @property
    def isolates(self) -> bool:
        """Whether isolation is enforced for the pool or for any share of it."""
        modes = [self.isolation_mode, *(self.isolation_for(s) for s in self.shares)]
        return Mode.ENFORCE in modes

    @property
    def walls(self) -> bool:
        """Whether quotas are enforced for the pool or for any share of it."""
        modes = [self.quota_mode, *(self.quota_for(s) for s in self.shares)]
        return Mode.ENFORCE in modes

    def _mode(self, share: Share | None, layer: str, mode: Mode) -> Mode:
        if share is None:
            return Mode.OBSERVE
        if share.mode is not None:
            mode = weaker(mode, share.mode) if layer in self.overridden else share.mode
        return weaker(mode, Mode.RECOMMEND) if layer in share.waits else mode

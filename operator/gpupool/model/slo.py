"""The words of inference: objectives of an endpoint, what was read of it, what is remembered.

Latencies are seconds, percents 0 to 100, times the API server's. Events are requests; of throughput, minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gpupool.model.economics import Holding, Ledger
from gpupool.model.effects import Effect
from gpupool.model.metrics import Metrics, Resolved
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.profile import Profile
from gpupool.model.resources import UNSEEN, Use
from gpupool.model.rollout import GuardMode, Release, Rollout
from gpupool.model.signals import SignalReading
from gpupool.model.standing import Standing
from gpupool.model.steering import DataPolicy, Scaling

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
"""Seconds."""


class Sli(StrEnum):
    """What is measured."""

    TTFT = "ttft"
    ITL = "itl"
    TPOT = "tpot"
    E2E = "e2e"
    QUEUE = "queue"
    AVAILABILITY = "availability"
    THROUGHPUT = "throughput"


LATENCIES: Final = (Sli.TTFT, Sli.ITL, Sli.TPOT, Sli.E2E, Sli.QUEUE)


class SloState(StrEnum):
    """What is known of an objective just now; only OK and NoTraffic are knowledge (law 1)."""

    OK = "OK"
    NO_TRAFFIC = "NoTraffic"
    MISSING = "Missing"
    PARTIAL = "Partial"
    STALE = "Stale"
    INVALID = "Invalid"
    UNSUPPORTED = "Unsupported"


SEVERITY: Final[Mapping[SloState, int]] = {
    state: rank
    for rank, state in enumerate(
        (
            SloState.OK,
            SloState.NO_TRAFFIC,
            SloState.PARTIAL,
            SloState.STALE,
            SloState.MISSING,
            SloState.INVALID,
            SloState.UNSUPPORTED,
        )
    )
}
"""The worst last: what is said of several objectives together."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise: `percent` of the events are good, a latency up to `threshold` seconds."""

    sli: Sli
    percent: float
    threshold: float | None = None
    tokens_per_second: float | None = None

    @property
    def error_budget(self) -> float:
        """Part of the events that may be bad, 0 to 1."""
        return 1 - self.percent / 100


@dataclass(frozen=True, slots=True)
class Slice:
    """Events of a stretch of time, of which `covered` seconds were measured."""

    start: float
    seconds: float
    good: float
    total: float
    covered: float

    @property
    def end(self) -> float:
        """Unix time at which it ends."""
        return self.start + self.seconds


@dataclass(frozen=True, slots=True)
class Sums:
    """Events of an objective over its window, coarser with age: slices, hours, days.

    Attributes:
        until: unix time up to which events are in it.
        fine: slices of the last hour at most; they are not kept in status.
        hours: whole hours and the one that runs, oldest first.
        days: the days before the hours, oldest first.
    """

    until: float = 0.0
    fine: tuple[Slice, ...] = ()
    hours: tuple[Slice, ...] = ()
    days: tuple[Slice, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was just read for one objective of one endpoint.

    Attributes:
        state: what is known.
        good, total: events since the reading before; both 0 where the state is not OK.
        seconds: time that they cover.
        metric, bucket: what answered.
        message: what is wrong, and what to do.
    """

    state: SloState
    good: float = 0.0
    total: float = 0.0
    seconds: float = 0.0
    metric: str = ""
    bucket: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What was read of the pods of one InferenceSLO; `engine` is empty where none could be found.

    `interval` is seconds between two scrapes of its pods, of the slowest; 0 where that is not known.
    `revisions` has the readings of each revision, in the order of `policy.slo.revisions.promised`; `resolved`
    what was looked for by names that its owner gave.
    `tokens` were written in the `seconds` since the reading before; None where the engine does not tell.
    """

    readings: tuple[Reading, ...] = ()
    engine: str = ""
    pods: int = 0
    ready: int = 0
    interval: float = 0.0
    revisions: Mapping[str, tuple[Reading, ...]] = field(default_factory=dict)
    resolved: tuple[Resolved, ...] = ()
    tokens: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Slo:
    """An InferenceSLO, with its memory as it was left.

    Memory is `sums` (of its objectives, in order), `profiles`, `rollout`, `effects`, `ledger` and `use`.
    `request` is the CapacityRequest that its spec names; `standing` is what its status says.
    """

    key: Key
    uid: str
    generation: int
    created: datetime
    target: ObjectRef
    objectives: tuple[Objective, ...]
    window: timedelta
    min_events: int
    engine: str = ""
    sums: tuple[Sums, ...] = ()
    profiles: tuple[Profile, ...] = ()
    scaling: Scaling = field(default_factory=Scaling)
    request: str = ""
    metrics: Metrics | None = None
    data_policy: DataPolicy = DataPolicy.HOLD
    guard: GuardMode = GuardMode.OBSERVE
    rollout: Rollout = field(default_factory=Rollout)
    effects: tuple[Effect, ...] = ()
    standing: Standing | None = None
    ledger: Ledger = field(default_factory=Ledger)
    use: Use = UNSEEN

    @property
    def at(self) -> tuple[str, ObjectRef]:
        """Its workload, by namespace and reference."""
        return self.key.namespace, self.target


@dataclass(frozen=True, slots=True)
class SloSnapshot:
    """All that one decision about the endpoints is made of.

    Attributes:
        now: the API server's time.
        interval: seconds between two readings.
        slos: every InferenceSLO.
        endpoints: what was read, by InferenceSLO; one that is absent was not read yet.
        problem: why nothing could be read at all; else empty.
        signals: what the endpoints showed over the evaluation window.
        releases: revisions of the endpoints' workloads, where they are watched.
        holdings: GPUs that the endpoints hold; none where the reading is of a moment that is past.
    """

    now: datetime
    interval: float
    slos: tuple[Slo, ...] = ()
    endpoints: Mapping[Key, Endpoint] = field(default_factory=dict)
    problem: str = ""
    signals: SignalReading = field(default_factory=SignalReading)
    releases: Mapping[Key, Release] = field(default_factory=dict)
    holdings: Mapping[Key, Holding] = field(default_factory=dict)

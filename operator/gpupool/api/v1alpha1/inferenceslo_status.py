"""What the operator says about an InferenceSLO."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Timestamp
from gpupool.api.v1alpha1.common import MAX_CONDITIONS, Condition
from gpupool.api.v1alpha1.durations import Duration
from gpupool.api.v1alpha1.inferenceslo_economics import EconomicsStatus
from gpupool.api.v1alpha1.inferenceslo_findings import (
    MAX_ADVICE,
    MAX_EFFECTS,
    MAX_PROFILES,
    AdviceStatus,
    DiagnosisStatus,
    EffectStatus,
    ProfileStatus,
)
from gpupool.api.v1alpha1.inferenceslo_metrics import Resolved
from gpupool.api.v1alpha1.inferenceslo_resources import ResourcesStatus
from gpupool.api.v1alpha1.inferenceslo_rollout import RolloutStatus
from gpupool.api.v1alpha1.rules import Distinct

MAX_KEPT = 60
MAX_WINDOWS = 4
Sentence = Annotated[str, StringConstraints(max_length=1024)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Ratio = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[float, Field(ge=0)]


class Sli(StrEnum):
    """What is measured."""

    TTFT = "ttft"
    ITL = "itl"
    TPOT = "tpot"
    E2E = "e2e"
    QUEUE = "queue"
    AVAILABILITY = "availability"
    THROUGHPUT = "throughput"


class SloDataState(StrEnum):
    """What is known of an objective."""

    OK = "OK"
    NO_TRAFFIC = "NoTraffic"
    MISSING = "Missing"
    PARTIAL = "Partial"
    STALE = "Stale"
    INVALID = "Invalid"
    UNSUPPORTED = "Unsupported"


class BurnRate(ApiModel):
    """How fast the budget goes, over one pair of windows."""

    long: Duration
    """The longer window."""
    short: Duration
    """The shorter one; it ends an alarm soon after the cause ended."""
    factor: Count
    """Both above this is too fast."""
    long_rate: Count | None = None
    """Budgets a window's time would use at the pace of the longer window; 1 uses it up exactly."""
    short_rate: Count | None = None
    """The same of the shorter window."""
    burning: bool = False
    """Whether both are above the factor."""


class Kept(ApiModel):
    """Events of one hour or day."""

    at: Timestamp
    """When it began."""
    good: Count
    """Good events."""
    total: Count
    """All events."""
    seconds: Count
    """Seconds of it that were measured."""


class Sums(ApiModel):
    """What the budget is counted from, so that it survives a restart and the store's retention."""

    until: Timestamp
    """Up to when events are in it."""
    hours: Annotated[tuple[Kept, ...], Field(max_length=MAX_KEPT)] = Field(default_factory=tuple)
    """The last hours."""
    days: Annotated[tuple[Kept, ...], Field(max_length=MAX_KEPT)] = Field(default_factory=tuple)
    """The days before."""


class ObjectiveStatus(ApiModel):
    """One objective: what was measured, and what is left of its budget."""

    sli: Sli
    """What is measured."""
    threshold: Duration | None = None
    """Up to where a request is good."""
    percent: Ratio
    """Percent that must be good."""
    data_state: SloDataState
    """What is known: OK, NoTraffic, Missing, Partial, Stale, Invalid or Unsupported."""
    message: Sentence | None = None
    """What is wrong with the data, and what to do."""
    attainment: Ratio | None = None
    """Percent of events in the window that were good."""
    budget_remaining: Annotated[float, Field(le=100)] | None = None
    """Percent of the error budget that is left; below 0 the promise is broken."""
    coverage: Ratio | None = None
    """Percent of the window that was measured."""
    events: Count | None = None
    """Events in the window."""
    burn_rates: Annotated[tuple[BurnRate, ...], Field(max_length=MAX_WINDOWS)] = Field(default_factory=tuple)
    """How fast the budget goes."""
    metric: Annotated[str, StringConstraints(max_length=256)] | None = None
    """The metric that answered."""
    bucket: Annotated[str, StringConstraints(max_length=32)] | None = None
    """The bucket bound that counts the good ones, as the engine writes it."""
    sums: Sums | None = None
    """What the budget is counted from."""


class Rejected(ApiModel):
    """An alternative that was not taken."""

    alternative: Word
    """What it was."""
    reason: Word
    """Machine reason."""
    message: Sentence
    """Why not."""


class Pace(StrEnum):
    """How fast replicas may come and go."""

    SAVE = "Save"
    STEADY = "Steady"
    PROTECT = "Protect"
    HOLD = "Hold"


class SteeringDecision(ApiModel):
    """How many replicas there may be, and why."""

    floor: Annotated[int, Field(ge=0)]
    """The fewest replicas: the HPA's minReplicas."""
    ceiling: Annotated[int, Field(ge=0)]
    """The most replicas: the HPA's maxReplicas."""
    needed: Annotated[int, Field(ge=0)] = 0
    """Replicas that the objectives need, whatever the grant affords; metric gpupool_required_replicas."""
    floor_reason: Word | None = None
    """What decided the floor: Rate, Spread, Trend, Backlog, Hold or RecentPeak of requests, Trial of one
    fewer, ObjectiveMissed for one more, Lowest or Highest that is allowed, ProfileUnlearned, DataUnknown."""
    pace: Pace
    """Save: much of the budget is left, replicas go sooner. Protect: it burns, they come faster and none
    goes. Hold: it is not known how users fare, none goes. Steady: as the HPA has it."""
    reason: Word
    """Machine reason: what bounds the replicas, or why nothing is written though scaling.hpa asks for it."""
    message: Sentence
    """The arithmetic."""
    rejected: Annotated[tuple[Rejected, ...], Field(max_length=8)] = Field(default_factory=tuple)
    """What was not decided instead."""


class InferenceSLOStatus(ApiModel):
    """What the operator found; written by the operator alone."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Number of the spec this status speaks of."""
    engine: Annotated[str, StringConstraints(max_length=32)] | None = None
    """The engine whose metrics are read; Custom where spec.metrics names them."""
    metrics: Resolved = Field(default_factory=tuple)
    """What was looked for by spec.metrics, and whether it is there."""
    replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods of the workload."""
    ready_replicas: Annotated[int, Field(ge=0)] | None = None
    """Those of them that serve."""
    attainment: Ratio | None = None
    """The lowest attainment of all objectives, where one is known."""
    budget_remaining: Annotated[float, Field(le=100)] | None = None
    """The lowest of all budgets, where one is known."""
    data_state: SloDataState | None = None
    """The worst data state of all objectives."""
    objectives: Annotated[tuple[ObjectiveStatus, ...], Field(max_length=8)] = Field(default_factory=tuple)
    """The objectives, in the order of the spec."""
    diagnosis: DiagnosisStatus | None = None
    """What limits the endpoint now."""
    profile: Annotated[tuple[ProfileStatus, ...], Field(max_length=MAX_PROFILES)] = Field(
        default_factory=tuple
    )
    """What a replica can do, by GPU model; it survives restarts."""
    advice: Annotated[tuple[AdviceStatus, ...], Field(max_length=MAX_ADVICE)] = Field(default_factory=tuple)
    """What may bring more than another GPU."""
    effects: Annotated[tuple[EffectStatus, ...], Field(max_length=MAX_EFFECTS)] = Field(default_factory=tuple)
    """What became of advice: predicted against real."""
    economics: EconomicsStatus | None = None
    """GPU-hours, tokens, money and energy over the window."""
    decision: SteeringDecision | None = None
    """How many replicas there may be."""
    rollout: RolloutStatus | None = None
    """The newest revision beside the one before."""
    resources: ResourcesStatus | None = None
    """How much CPU and memory a replica should have."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS), Distinct("type")] = Field(
        default_factory=tuple
    )
    """Met, BudgetHealthy, DataAvailable, Steering, Resources; Conflict, WantsMoreGPUs, RolloutWouldDeadlock
    where so; RolloutHealthy after a second revision was seen; Drift while it behaves otherwise than it was
    learned."""

"""InferenceSLO: what the users of an inference endpoint are promised."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Strict

from gpupool.api.v1alpha1.base import API_VERSION, ApiModel
from gpupool.api.v1alpha1.capacityrequest import WorkloadRef
from gpupool.api.v1alpha1.common import ObjectMeta
from gpupool.api.v1alpha1.durations import Duration, parse_duration
from gpupool.api.v1alpha1.inferenceslo_metrics import MetricMap
from gpupool.api.v1alpha1.inferenceslo_rollout import RolloutSpec
from gpupool.api.v1alpha1.inferenceslo_status import InferenceSLOStatus, Sli
from gpupool.api.v1alpha1.names import ObjectName
from gpupool.api.v1alpha1.rules import Rule, span
from gpupool.api.v1alpha1.wakeup import WakeUp

MAX_OBJECTIVES = 8
MAX_REPLICAS = 10_000
LATENCIES = (Sli.TTFT, Sli.ITL, Sli.TPOT, Sli.E2E, Sli.QUEUE)
_IS_LATENCY = "self.sli in ['ttft', 'itl', 'tpot', 'e2e', 'queue']"


class Engine(StrEnum):
    """The inference engine: which metrics mean what."""

    VLLM = "vLLM"
    SGLANG = "SGLang"
    TGI = "TGI"
    TRITON = "Triton"
    NIM = "NIM"


WHOLE = 100
NO_RATIO = Rule(
    cel="self >= 1.0",
    message="percent counts to 100: write 99 or 99.9, not 0.99",
    shows=("percent %s is below 1: it counts to 100, write such as 99 or 99.9", "string(self)"),
    holds=lambda percent: percent >= 1,
)
LEAVES_A_BUDGET = Rule(
    cel="self < 100.0",
    message="100 percent leave no error budget: write less, such as 99.9",
    holds=lambda percent: percent < WHOLE,
)


class Objective(ApiModel):
    """One promise: so many percent of requests (of minutes, for throughput) are good."""

    sli: Sli
    """What is measured: ttft, itl, tpot, e2e or queue (seconds of a request); availability; throughput."""
    percent: Annotated[float, Field(le=100), NO_RATIO, LEAVES_A_BUDGET]
    """Percent that must be good, from 1 on, such as 99 or 99.9."""
    threshold: Annotated[Duration, span("threshold", "1ms", "1h")] | None = None
    """Latencies: a request is good up to here. It must be a bucket bound of the engine's histogram."""
    tokens_per_second: Annotated[int, Strict(), Field(ge=1, le=100_000_000)] | None = None
    """Throughput: a minute is good when so many tokens were written, or nobody waited."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"has(self.threshold) == ({_IS_LATENCY})",
            message="ttft, itl, tpot, e2e and queue need a threshold such as 500ms; availability and"
            " throughput take none",
            shows=(
                "%s has %s threshold: latencies need one such as 500ms; availability, throughput take none",
                "self.sli",
                "has(self.threshold) ? 'a' : 'no'",
            ),
            holds=lambda it: (it.threshold is not None) == (it.sli in LATENCIES),
            field="threshold",
        ),
        Rule(
            cel="has(self.tokensPerSecond) == (self.sli == 'throughput')",
            message="throughput needs tokensPerSecond, no other objective takes it: add it, or take it away",
            shows=(
                "objective %s has %s tokensPerSecond: throughput needs it, no other objective takes it",
                "self.sli",
                "has(self.tokensPerSecond) ? 'a' : 'no'",
            ),
            holds=lambda it: (it.tokens_per_second is not None) == (it.sli is Sli.THROUGHPUT),
            field="tokensPerSecond",
        ),
    )


class HpaMode(StrEnum):
    """What is done with the HorizontalPodAutoscaler of the workload."""

    CREATE = "Create"
    ADOPT = "Adopt"
    ADVISE = "Advise"


class DataPolicy(StrEnum):
    """What missing data does in steering."""

    HOLD = "Hold"
    UP_ONLY = "UpOnly"


class VpaMode(StrEnum):
    """What is done with the VerticalPodAutoscaler of the workload."""

    CREATE = "Create"
    ADOPT = "Adopt"
    ADVISE = "Advise"
    OFF = "Off"


Replicas = Annotated[int, Strict(), Field(ge=1, le=MAX_REPLICAS)]
Least = Annotated[int, Strict(), Field(ge=0, le=MAX_REPLICAS)]


class Scaling(ApiModel):
    """How many replicas there may be, with how much CPU and memory, and who may be told so."""

    min_replicas: Least = 1
    """Never fewer replicas. 0 lets the endpoint sleep while nobody asks; it needs wakeUp."""
    max_replicas: Replicas | None = None
    """Never more replicas than this; absent: as many as the HPA allows already."""
    hpa: HpaMode = HpaMode.ADVISE
    """Advise writes nothing. Adopt writes minReplicas, maxReplicas and behavior of the workload's own HPA (of
    KEDA's HPA the ScaledObject that owns it), under an enforced pool or without any; its own values are kept
    on it and come back. Create makes an HPA on the metric gpupool_required_replicas and deletes it again;
    where no metrics API serves that it acts as Advise."""
    wake_up: WakeUp | None = None
    """With minReplicas 0: what wakes the endpoint."""
    vpa: VpaMode = VpaMode.ADVISE
    """Advise shows bounds for CPU and memory of the inference container in status.resources. Adopt writes
    them to the workload's own VerticalPodAutoscaler, if its updateMode is Initial or Off. Create makes one
    with updateMode Initial. Neither restarts a pod. Off says nothing."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minReplicas != 0 || has(self.wakeUp)",
            message="minReplicas 0 needs wakeUp.series, a gauge that tells that somebody asks while no pod"
            " runs: name it, or write minReplicas: 1",
            holds=lambda it: it.min_replicas != 0 or it.wake_up is not None,
            field="minReplicas",
        ),
        Rule(
            cel="!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            message="minReplicas is above maxReplicas: lower minReplicas or raise maxReplicas",
            shows=(
                "minReplicas %s is above maxReplicas %s: lower minReplicas or raise maxReplicas",
                "string(self.minReplicas)",
                "string(self.maxReplicas)",
            ),
            holds=lambda it: it.max_replicas is None or it.min_replicas <= it.max_replicas,
            field="minReplicas",
        ),
    )


class RequestRef(ApiModel):
    """A CapacityRequest in the same namespace."""

    name: ObjectName
    """Its name."""


class InferenceSLOSpec(ApiModel):
    """Which workload, which objectives, over which time."""

    target_ref: WorkloadRef
    """The workload, in this namespace. Cannot change."""
    engine: Engine | None = None
    """Its engine; absent: found from what its pods export."""
    metrics: MetricMap | None = None
    """What an engine without an adapter calls what is measured; in place of engine."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=MAX_OBJECTIVES)]
    """What is promised."""
    window: Annotated[Duration, span("window", "5m", "720h")] = Field(
        default=parse_duration("28d"), json_schema_extra={"default": "28d"}
    )
    """Time over which the promise holds, and its error budget is counted."""
    min_events: Annotated[int, Strict(), Field(ge=1, le=1_000_000_000)] = 100
    """Fewer requests than this in the window give no verdict; what was measured is shown all the same."""
    scaling: Scaling = Field(default_factory=Scaling)
    """How many replicas there may be."""
    data_policy: DataPolicy = DataPolicy.HOLD
    """While data is neither OK nor NoTraffic no replica goes. Hold: the floor does not move either, but by
    scaling.minReplicas. UpOnly: it may rise from what is known, such as a queue, and never falls."""
    rollout: RolloutSpec = Field(default_factory=RolloutSpec)
    """What is done about a new revision that is worse than the one before."""
    capacity_request_ref: RequestRef | None = None
    """The CapacityRequest whose grant bounds the replicas; absent: the one that the pods belong to."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.objectives.all(a, self.objectives.exists_one(b, a.sli == b.sli &&"
            " has(a.threshold) == has(b.threshold) && (!has(a.threshold) || a.threshold == b.threshold)))",
            message="objectives: two have the same sli and threshold: keep one of them",
            holds=lambda it: len({(o.sli, o.threshold) for o in it.objectives}) == len(it.objectives),
            field="objectives",
        ),
        Rule(
            cel="!(has(self.engine) && has(self.metrics))",
            message="engine names an engine that is known, metrics the names of one that is not: keep one",
            shows=(
                "engine %s is known by its name, metrics is for one that is not: keep one of them",
                "self.engine",
            ),
            holds=lambda it: it.engine is None or it.metrics is None,
            field="metrics",
        ),
        Rule(
            cel="self.targetRef == oldSelf.targetRef",
            message="targetRef cannot change: delete this InferenceSLO and make a new one",
            shows=(
                "targetRef cannot change from %s to %s: delete this InferenceSLO and make a new one",
                "oldSelf.targetRef.kind + '/' + oldSelf.targetRef.name",
                "self.targetRef.kind + '/' + self.targetRef.name",
            ),
            field="targetRef",
        ),
    )


class InferenceSLO(ApiModel):
    """What the users of an inference endpoint are promised."""

    api_version: Literal["gpupool.dev/v1alpha1"] = API_VERSION
    """Group and version."""
    kind: Literal["InferenceSLO"] = "InferenceSLO"
    """Kind."""
    metadata: ObjectMeta
    """Standard metadata."""
    spec: InferenceSLOSpec
    """What is promised."""
    status: InferenceSLOStatus = Field(default_factory=InferenceSLOStatus)
    """What is."""

"""What the operator says about an InferenceSLO beside its objectives: what limits it, what it can do."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Timestamp
from gpupool.api.v1alpha1.durations import Duration

Text = Annotated[str, StringConstraints(max_length=1024)]
Word = Annotated[str, StringConstraints(max_length=256)]
Count = Annotated[float, Field(ge=0)]
MAX_EVIDENCE = 8
MAX_STARTS = 20
MAX_PROFILES = 4
MAX_ADVICE = 3
MAX_TRAITS = 15
MAX_EFFECTS = 8


class Cause(StrEnum):
    """What limits an endpoint."""

    NONE = "None"
    UNKNOWN = "Unknown"
    NO_TRAFFIC = "NoTraffic"
    QUEUE_BOUND = "QueueBound"
    KV_CACHE_BOUND = "KVCacheBound"
    PREFILL_BOUND = "PrefillBound"
    DECODE_BOUND = "DecodeBound"
    BATCH_TOO_SMALL = "BatchTooSmall"
    PREFILL_INTERFERENCE = "PrefillInterference"
    INFEASIBLE_AT_BATCH_ONE = "InfeasibleAtBatchOne"
    ROUTING_SKEW = "RoutingSkew"
    CPU_BOUND = "CPUBound"
    DATA_STARVED = "DataStarved"
    NETWORK_BOUND = "NetworkBound"
    THROTTLED = "Throttled"
    GPU_FAULT = "GPUFault"
    COLD_START = "ColdStart"
    DEFERRED = "Deferred"
    ERROR_BOUND = "ErrorBound"


class Confidence(StrEnum):
    """How sure a cause is."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class Help(StrEnum):
    """Whether more replicas help."""

    YES = "Yes"
    NO = "No"
    PARTLY = "Partly"
    UNKNOWN = "Unknown"


class Evidence(ApiModel):
    """A signal that speaks for a cause."""

    signal: Word
    """What was looked at."""
    value: float
    """What it shows, over the evaluation window."""
    bound: Word
    """What it is beyond."""


class DiagnosisStatus(ApiModel):
    """What limits the endpoint now."""

    cause: Cause
    """The cause, None where nothing does, Unknown where no two signals agree."""
    confidence: Confidence
    """Medium with two signals that agree, High with three."""
    replicas_help: Help
    """Whether more replicas help: from the profile, or what usually holds of the cause."""
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=MAX_EVIDENCE)] = Field(default_factory=tuple)
    """The signals that agree."""
    remedy: Text | None = None
    """What to do, the cheapest first."""
    blind: Annotated[tuple[Word, ...], Field(max_length=8)] = Field(default_factory=tuple)
    """What to switch on, so that more can be told."""


class Stat(ApiModel):
    """A number that was learned."""

    value: Count
    """The number."""
    samples: Annotated[int, Field(ge=0)]
    """Windows that it was learned from."""
    last: Timestamp
    """The newest of them."""


class Shape(ApiModel):
    """Mean tokens of a request."""

    prompt: Count
    """Of its prompt, when the profile began."""
    output: Count
    """Of its answer, when the profile began."""
    recent_prompt: Count
    """Of its prompt lately; a fifth more or less begins a new profile."""
    recent_output: Count
    """Of its answer lately."""


class ColdStart(ApiModel):
    """How long it takes until a new pod serves."""

    p50: Duration | None = None
    """Half of the start-ups took no longer."""
    p90: Duration | None = None
    """Nine of ten took no longer."""
    seconds: Annotated[tuple[Count, ...], Field(max_length=MAX_STARTS)] = Field(default_factory=tuple)
    """The last start-ups."""
    until: Timestamp
    """Up to when they were counted."""


class TraitStatus(ApiModel):
    """How requests or answers are."""

    name: Word
    """What it is; latencies with the load at which they were seen."""
    base: Count
    """As it was learned, in the first five good windows."""
    recent: Count
    """Lately."""
    samples: Annotated[int, Field(ge=0)]
    """Windows that were seen."""
    last: Timestamp
    """The newest of them."""
    since: Timestamp | None = None
    """When it began to differ."""


class ProfileStatus(ApiModel):
    """What one replica can do on one GPU model, learned while all objectives were met."""

    gpu: Annotated[str, StringConstraints(max_length=128)] = ""
    """The model, as DCGM names it."""
    recipe: Annotated[str, StringConstraints(max_length=32)] = ""
    """Digest of image, command, arguments: another one begins a new profile."""
    since: Timestamp
    """When it began."""
    shape: Shape | None = None
    """What the requests are like."""
    requests_per_second: Stat | None = None
    """The most that a replica answered with the objectives met."""
    tokens_per_second: Stat | None = None
    """The most tokens that it wrote then."""
    batch: Stat | None = None
    """The most requests that ran at once then."""
    kv_cache: Stat | None = None
    """The fullest KV cache then, 0 to 1."""
    memory_mebibytes: Stat | None = None
    """GPU memory in use."""
    cache_hits: Stat | None = None
    """Part of the prompt tokens that the prefix cache knew, 0 to 1."""
    missed: Stat | None = None
    """What a replica answered when objectives were missed last, and how often that was: after each time it is
    longer until fewer replicas are tried."""
    cold_start: ColdStart | None = None
    """How long it takes until a new pod is Ready."""
    first_token: ColdStart | None = None
    """And until it was seen to write, where it was asked within a window."""
    traits: Annotated[tuple[TraitStatus, ...], Field(max_length=MAX_TRAITS)] = Field(default_factory=tuple)
    """How requests and answers are; the condition Drift says what differs from when it was learned."""


class AdviceStatus(ApiModel):
    """Something that may bring more than another GPU."""

    kind: Annotated[str, StringConstraints(max_length=32)]
    """Batching, Routing, PrefixCaching, SmallerModel, Quantization, Consolidation."""
    because: Text
    """The measured numbers."""
    expect: Text
    """What it may bring, by arithmetic on these numbers."""


class Measure(StrEnum):
    """What an effect is seen in."""

    ITL = "ms between tokens"
    TTFT = "ms to the first token"
    RUNNING = "requests running at a pod"
    FULLEST = "requests waiting at the fullest pod"
    FITS = "requests that the KV cache holds"


class Lever(StrEnum):
    """What is moved by whoever follows an advice."""

    RECIPE = "Recipe"
    REPLICAS = "Replicas"
    CACHE_HITS = "CacheHits"
    SPREAD = "Spread"


class EffectStatus(ApiModel):
    """Advice that was given, and what became of it."""

    kind: Annotated[str, StringConstraints(max_length=32)]
    """Of the advice."""
    measure: Measure
    """What the effect is seen in."""
    before: Count
    """Its value when the advice was given last."""
    predicted: Count
    """What it was expected to become."""
    given: Timestamp
    """When the advice was given last."""
    lever: Lever
    """What is moved by whoever follows it."""
    level: Count = 0
    """Where that stood: replicas, part of cache hits, requests at the fullest pod."""
    recipe: Annotated[str, StringConstraints(max_length=32)] = ""
    """And the recipe."""
    since: Timestamp | None = None
    """When it was followed."""
    real: Count | None = None
    """What was measured then, once nothing from before was in the window any more."""
    measured: Timestamp | None = None
    """When."""

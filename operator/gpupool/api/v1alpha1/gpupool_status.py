"""What the operator says about a GpuPool."""

from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Flag, Gpus, Percent, PositivePercent, Timestamp
from gpupool.api.v1alpha1.common import (
    MAX_CONDITIONS,
    Condition,
    Counts,
    Mode,
    Namespace,
    Purpose,
    Visibility,
)
from gpupool.api.v1alpha1.durations import Duration
from gpupool.api.v1alpha1.gpupool_parts import AdmissionSpec, TelemetrySpec
from gpupool.api.v1alpha1.names import DnsName, TeamName
from gpupool.api.v1alpha1.rules import Distinct

MAX_ROWS = 300
MAX_QUEUE = 20
MAX_DENIED = 20
MAX_OWNER = 320
MAX_FOREIGN = 100
Word = Annotated[str, StringConstraints(max_length=128)]


class EffectiveQuota(ApiModel):
    """The quota layer as it acts."""

    mode: Mode
    """The mode that holds."""


class EffectiveIsolation(ApiModel):
    """The isolation layer as it acts."""

    mode: Mode
    """The mode that holds."""
    taint: Flag
    """Whether nodes are tainted under Enforce."""
    cpu_pods: Word | None = None
    """Whether pods without GPUs may go to the nodes."""
    priority_class_names: Annotated[tuple[Word, ...], Field(max_length=20)] = Field(default_factory=tuple)
    """PriorityClasses GPU pods may name; none: all but those of the system."""
    scheduler_names: Annotated[tuple[Word, ...], Field(max_length=20)] = Field(default_factory=tuple)
    """Schedulers GPU pods may name."""


class EffectiveReclaim(ApiModel):
    """The reclaim layer as it acts, every value resolved."""

    mode: Mode
    """The mode that holds."""
    window: Duration
    """Time over which use is judged."""
    lookback: Duration
    """Time whose peak is kept."""
    threshold: PositivePercent
    """Percent of `expectedUtilization` below which a request is under-used."""
    headroom: Percent
    """Percent of the peak that is kept on top of it."""
    coverage: PositivePercent
    """Percent of held GPU-hours that must have good data."""
    grace: Duration
    """Time between the notice and the taking."""
    release_after: Duration
    """Time after which what was lent stops being the owner's claim."""
    startup_grace: Duration
    """Time after the grant in which nothing is judged."""


class EffectiveRecall(ApiModel):
    """The recall as it acts."""

    within: Duration
    """Time in which the owner has lent GPUs back."""
    notice: Duration
    """Notice before whole units are evicted."""


class EffectivePolicy(ApiModel):
    """Every value that holds, whether it was written or comes from the purpose."""

    mode: Mode
    """How far the operator goes."""
    purpose: Purpose
    """Where the values come from that spec does not give."""
    quota: EffectiveQuota
    """The quota layer."""
    isolation: EffectiveIsolation
    """The isolation layer."""
    reclaim: EffectiveReclaim
    """The reclaim layer."""
    recall: EffectiveRecall
    """The recall of what was lent."""
    admission: AdmissionSpec = Field(default_factory=AdmissionSpec)
    """Gates that a request passes beside the rules of its share."""
    visibility: Visibility
    """How much of others a decision record shows."""
    telemetry: TelemetrySpec
    """What is believed about the use of GPUs."""


class PoolCapacity(ApiModel):
    """What the pool has."""

    total: Counts = Field(default_factory=dict)
    """GPUs of the member nodes, or the declared numbers."""
    usable: Counts = Field(default_factory=dict)
    """GPUs that may be granted: of Ready, schedulable nodes, plus held ones elsewhere, less the reserve."""
    observed: Counts = Field(default_factory=dict)
    """Of declared resources: GPUs of the nodes that are there."""
    provisioning: Counts = Field(default_factory=dict)
    """Of declared resources: GPUs that are granted and on no node yet."""
    surge_lent: Counts = Field(default_factory=dict)
    """GPUs lent to rolling updates beside all grants, out of the reserve first."""


class ShareStatus(ApiModel):
    """One team's row of the table."""

    team: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Name of the team; of the namespace where no share lists it."""
    declared: Flag
    """False for a namespace that holds GPUs without a share."""
    namespaces: Annotated[tuple[Namespace, ...], Field(max_length=50)] = Field(default_factory=tuple)
    """Namespaces counted in this row, at most 50 of them."""
    guaranteed: Counts = Field(default_factory=dict)
    """GPUs promised, by resource."""
    limit: Counts = Field(default_factory=dict)
    """Most GPUs that may be granted, by resource."""
    granted: Counts = Field(default_factory=dict)
    """GPUs granted, by resource."""
    lent: Counts = Field(default_factory=dict)
    """GPUs granted and lent out right now, by resource."""
    held: Counts = Field(default_factory=dict)
    """GPUs of bound pods, by resource."""
    busy: Counts = Field(default_factory=dict)
    """Held GPUs that worked in the window, by resource."""


class QueueEntry(ApiModel):
    """One waiting request."""

    namespace: Namespace
    """Namespace of the request."""
    name: DnsName
    """Name of the request."""
    team: TeamName
    """Team whose share it draws on."""
    resource: Word
    """Resource it asks for."""
    gpus: Gpus
    """GPUs it still waits for."""
    position: Annotated[int, Field(ge=1)]
    """Place in the queue, from 1."""
    reason: Word
    """Why it waits, in one word."""
    since: Timestamp
    """Since when it waits."""


class WouldBeDenied(ApiModel):
    """A workload whose next pod would be denied under Enforce."""

    namespace: Namespace
    """Where it lives."""
    owner: Annotated[str, StringConstraints(min_length=1, max_length=MAX_OWNER)]
    """Kind and name of the controller, or of the pod."""
    message: Annotated[str, StringConstraints(max_length=1024)]
    """What the policy says: what is wrong and which lines mend it."""


class ForeignObject(ApiModel):
    """Something of somebody else that counts quota in a namespace of the pool. It is never edited."""

    kind: Word
    """ResourceQuota or LocalQueue."""
    namespace: Namespace
    """Where it is."""
    name: DnsName
    """Its name."""
    hard: Counts = Field(default_factory=dict)
    """GPUs it allows, by resource."""


class RequestCounts(ApiModel):
    """How many requests there are, by phase."""

    requests: Annotated[int, Field(ge=0)] = 0
    """All of them."""
    pending: Annotated[int, Field(ge=0)] = 0
    """Not decided."""
    queued: Annotated[int, Field(ge=0)] = 0
    """Waiting with nothing granted."""
    granted: Annotated[int, Field(ge=0)] = 0
    """Granted in full."""
    partial: Annotated[int, Field(ge=0)] = 0
    """Granted in part."""
    refused: Annotated[int, Field(ge=0)] = 0
    """Refused."""


class PoolSummary(ApiModel):
    """The counts of the first resource, for the printed columns."""

    usable: Gpus = 0
    """GPUs that may be granted."""
    granted: Gpus = 0
    """GPUs granted."""
    lent: Gpus = 0
    """GPUs granted and lent out right now."""
    held: Gpus = 0
    """GPUs of bound pods."""
    busy: Gpus | None = None
    """Held GPUs that worked in the window."""
    queued: Gpus = 0
    """GPUs that requests wait for."""


class GpuPoolStatus(ApiModel):
    """What the operator found and decided; written by the operator alone."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Number of the spec this status speaks of."""
    effective_policy: EffectivePolicy | None = None
    """Every value that holds."""
    capacity: PoolCapacity | None = None
    """What the pool has."""
    granted: Counts = Field(default_factory=dict)
    """GPUs granted, by resource."""
    lent: Counts = Field(default_factory=dict)
    """GPUs granted and lent out right now, by resource."""
    held: Counts = Field(default_factory=dict)
    """GPUs of bound pods, by resource."""
    busy: Counts = Field(default_factory=dict)
    """Held GPUs that worked in the window, by resource."""
    unattributed: Counts = Field(default_factory=dict)
    """GPUs of pods that no request claims, waiting pods included, by resource."""
    overcommitted: Counts = Field(default_factory=dict)
    """GPUs committed beyond what there is, by resource."""
    summary: PoolSummary | None = None
    """The counts of the first resource."""
    shares: Annotated[tuple[ShareStatus, ...], Field(max_length=MAX_ROWS), Distinct("team")] = Field(
        default_factory=tuple
    )
    """One row per team, and per namespace that holds GPUs without a share."""
    queue: Annotated[tuple[QueueEntry, ...], Field(max_length=MAX_QUEUE)] = Field(default_factory=tuple)
    """The first 20 waiting requests."""
    counts: RequestCounts | None = None
    """How many requests there are."""
    would_be_denied: Annotated[tuple[WouldBeDenied, ...], Field(max_length=MAX_DENIED)] = Field(
        default_factory=tuple
    )
    """The first 20 workloads whose next pod would be denied under Enforce."""
    foreign: Annotated[tuple[ForeignObject, ...], Field(max_length=MAX_FOREIGN)] = Field(
        default_factory=tuple
    )
    """Quotas and queues of others in the pool's namespaces, at most 100 of them."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS), Distinct("type")] = Field(
        default_factory=tuple
    )
    """Ready, Enforced, ReadyToEnforce, Overcommitted, TelemetryHealthy, DaemonSetsTolerate, and others."""

"""What the operator says about a CapacityRequest."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Gpus, Percent, Timestamp
from gpupool.api.v1alpha1.common import MAX_CONDITIONS, Condition, Namespace
from gpupool.api.v1alpha1.names import DnsName
from gpupool.api.v1alpha1.rules import Distinct

MAX_BLOCKERS = 10
Sentence = Annotated[str, StringConstraints(max_length=1024)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Phase(StrEnum):
    """A summary of the decision; conditions are the truth."""

    PENDING = "Pending"
    QUEUED = "Queued"
    GRANTED = "Granted"
    PARTIAL = "Partial"
    REFUSED = "Refused"


class DataState(StrEnum):
    """What is known about the use; Idle and Busy are verdicts on good data."""

    OK = "OK"
    MISSING = "Missing"
    PARTIAL = "Partial"
    STALE = "Stale"
    CONFLICTING = "Conflicting"
    IDLE = "Idle"
    BUSY = "Busy"


class ReclaimStage(StrEnum):
    """How far the lending of unheld GPUs, or their return, has come."""

    NONE = "None"
    WARNED = "Warned"
    LENT = "Lent"
    RECALLING = "Recalling"


class Blocker(ApiModel):
    """Somebody who holds what stands in the way; how much is shown depends on the pool's visibility."""

    team: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Team."""
    namespace: Namespace | None = None
    """Namespace."""
    request: DnsName | None = None
    """Name of the request."""
    gpus: Gpus
    """GPUs in the way."""
    reason: Reason
    """How they stand in the way, in one word."""


class Decision(ApiModel):
    """The decision record: what was decided and why."""

    reason: Reason
    """Machine reason in one word."""
    message: Sentence
    """The sentence for people."""
    arithmetic: Sentence | None = None
    """The sum behind it, such as `64 usable - 40 committed = 24 free, asked 32`."""
    grantable_now: Gpus | None = None
    """GPUs that a smaller request would be granted now."""
    blockers: Annotated[tuple[Blocker, ...], Field(max_length=MAX_BLOCKERS)] = Field(default_factory=tuple)
    """Who holds what stands in the way, the largest first."""


class Reclaim(ApiModel):
    """Where the lending of unheld GPUs stands."""

    stage: ReclaimStage
    """None, Warned, Lent or Recalling."""
    since: Timestamp | None = None
    """When this stage began."""
    deadline: Timestamp | None = None
    """When the next step falls due; it only ever moves later."""
    forced_at: Timestamp | None = None
    """When a recall stops waiting for PodDisruptionBudgets."""
    quiet_since: Timestamp | None = None
    """Since when nothing was taken or given back; a window of quiet follows each shrink."""
    keep: Gpus | None = None
    """GPUs that stay with the request after the step."""
    message: Sentence | None = None
    """The sentence for people."""


class CapacityRequestStatus(ApiModel):
    """What the operator found and decided; written by the operator alone."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Number of the spec this status speaks of."""
    phase: Phase | None = None
    """Summary of the decision."""
    pool: DnsName | None = None
    """Pool that was asked."""
    resource: Annotated[str, StringConstraints(max_length=128)] | None = None
    """Resource that was asked for."""
    granted: Gpus | None = None
    """GPUs the decision gives."""
    allowance: Gpus | None = None
    """Granted less what is lent out right now: what may be used at this moment."""
    used: Gpus | None = None
    """GPUs of all live pods, waiting ones included."""
    held: Gpus | None = None
    """GPUs of bound pods."""
    busy: Gpus | None = None
    """Held GPUs that worked in the window."""
    demand: Gpus | None = None
    """GPUs that the workload's controllers want beyond the pods that exist."""
    position: Annotated[int, Field(ge=0)] | None = None
    """Place in the queue, from 1."""
    efficiency: Percent | None = None
    """Busy GPU-hours of granted GPU-hours in the window, in percent."""
    activity: Percent | None = None
    """Mean activity of held GPUs in the window, in percent."""
    coverage: Percent | None = None
    """Held GPU-hours with good data in the window, in percent."""
    data_state: DataState | None = None
    """What is known about the use."""
    decision: Decision | None = None
    """The decision record."""
    reclaim: Reclaim | None = None
    """Where the lending of unheld GPUs stands."""
    asked_gpus: Gpus | None = None
    """The number of `spec.gpus` that the decision speaks of."""
    released_gpus: Gpus | None = None
    """GPUs that the claim ended at after `releaseAfter`; it holds until `spec.gpus` changes."""
    queued_at: Timestamp | None = None
    """When the request began to wait."""
    granted_at: Timestamp | None = None
    """When the grant last rose."""
    last_proved_at: Timestamp | None = None
    """When an under-use was last proved on fresh data."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS), Distinct("type")] = Field(
        default_factory=tuple
    )
    """Granted, UnderUsed; Overlap, Overdrawn, Provisioning, WantsMoreGPUs where so."""

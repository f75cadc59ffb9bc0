"""CapacityRequest: GPUs that a team asks for."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Strict, StringConstraints

from gpupool.api.v1alpha1.base import API_VERSION, MAX_GPUS, ApiModel, Flag, PositivePercent
from gpupool.api.v1alpha1.capacityrequest_status import CapacityRequestStatus
from gpupool.api.v1alpha1.common import LabelSelector, ObjectMeta
from gpupool.api.v1alpha1.names import DnsLabel, ObjectName, ResourceName, TeamName
from gpupool.api.v1alpha1.rules import Rule, form

Asked = Annotated[int, Strict(), Field(ge=1, le=MAX_GPUS)]


class Priority(StrEnum):
    """Order inside the own share."""

    LOW = "Low"
    NORMAL = "Normal"


class Owner(ApiModel):
    """Who answers for the request."""

    team: TeamName
    """Team that asks."""
    contact: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """Where its people are reached: an address, a channel, a pager."""


class WorkloadRef(ApiModel):
    """One controller, in the request's namespace."""

    api_version: Annotated[
        str,
        StringConstraints(min_length=1, max_length=317),
        form(
            r"^([a-z0-9][-a-z0-9.]*/)?v[0-9][a-z0-9]*$",
            "is no group and version: write both, such as apps/v1 or batch/v1",
        ),
    ]
    """Group and version, such as `batch/v1`."""
    kind: Annotated[
        str,
        StringConstraints(min_length=1, max_length=63),
        form(r"^[A-Z][A-Za-z0-9]*$", "is no kind: write one that begins with a capital, such as Deployment"),
    ]
    """Kind, such as `Job`."""
    name: ObjectName
    """Name."""


class Workload(ApiModel):
    """What the GPUs are for."""

    ref: WorkloadRef | None = None
    """The top controller of the pods. Either this or `selector`."""
    selector: LabelSelector | None = None
    """Labels of the pods. Either this or `ref`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.ref) != has(self.selector)",
            message="workload: give exactly one of ref and selector",
            shows=(
                "workload has %s: give exactly one of ref and selector",
                "has(self.ref) ? 'both ref and selector' : 'neither ref nor selector'",
            ),
            holds=lambda it: (it.ref is None) != (it.selector is None),
        ),
    )


def _immutable(field: str, how: str) -> Rule:
    """Refuse every change of an optional field, setting and unsetting included."""
    new, old = (f"(has({side}.{field}) ? {side}.{field} : '(not set)')" for side in ("self", "oldSelf"))
    return Rule(
        cel=f"has(self.{field}) == has(oldSelf.{field}) &&"
        f" (!has(self.{field}) || self.{field} == oldSelf.{field})",
        message=f"{field} cannot change: {how}",
        shows=(f"{field} cannot change from %s to %s: {how}", old, new),
    )


class CapacityRequestSpec(ApiModel):
    """What is asked, by whom and for what."""

    gpus: Asked
    """GPUs asked for."""
    min_gpus: Asked | None = None
    """Fewest GPUs that are of use; absent: all of `gpus` or none. It governs granting only."""
    owner: Owner
    """Who answers for the request."""
    workload: Workload
    """What the GPUs are for."""
    expected_utilization: PositivePercent
    """Percent of time the GPUs will be busy; use is measured against it."""
    pool: DnsLabel | None = None
    """Pool to ask; must be the namespace's. Absent: the namespace's pool. Cannot change."""
    resource: ResourceName | None = None
    """Resource to ask for; absent: the pool's first. Cannot change."""
    priority: Priority = Priority.NORMAL
    """Order inside the own share."""
    preemptible: Flag = False
    """May exceed the share's guarantee, and gives back what it borrowed when the owner needs it."""
    justification: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Why, for the people who read requests."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.minGpus) || self.minGpus <= self.gpus",
            message="minGpus is above gpus: lower minGpus or raise gpus",
            shows=(
                "minGpus %s is above gpus %s: lower minGpus or raise gpus",
                "string(self.minGpus)",
                "string(self.gpus)",
            ),
            holds=lambda it: it.min_gpus is None or it.min_gpus <= it.gpus,
            field="minGpus",
        ),
        _immutable("pool", "delete this request and make a new one for the other pool"),
        _immutable("resource", "delete this request and make a new one for the other resource"),
    )


class CapacityRequest(ApiModel):
    """GPUs that a team asks for."""

    api_version: Literal["gpupool.dev/v1alpha1"] = API_VERSION
    """Group and version."""
    kind: Literal["CapacityRequest"] = "CapacityRequest"
    """Kind."""
    metadata: ObjectMeta
    """Standard metadata."""
    spec: CapacityRequestSpec
    """What is asked."""
    status: CapacityRequestStatus = Field(default_factory=CapacityRequestStatus)
    """What is."""

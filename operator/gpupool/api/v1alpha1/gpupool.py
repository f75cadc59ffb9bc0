"""GpuPool: GPU nodes that a platform team shares out."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gpupool.api.v1alpha1.base import API_VERSION, ApiModel, Gpus
from gpupool.api.v1alpha1.common import MAX_RESOURCES, Mode, ObjectMeta, Purpose, Visibility
from gpupool.api.v1alpha1.gpupool_parts import (
    AdmissionSpec,
    CostSpec,
    IsolationSpec,
    NodesSpec,
    QuotaSpec,
    RecallSpec,
    ReclaimSpec,
    ShareSpec,
    TelemetrySpec,
)
from gpupool.api.v1alpha1.gpupool_status import GpuPoolStatus
from gpupool.api.v1alpha1.names import ResourceName
from gpupool.api.v1alpha1.rules import Distinct, Rule

MAX_SHARES = 200
_LONG_WINDOW = timedelta(minutes=10)
_SLACK = timedelta(minutes=5)


def _no_namespace_twice(shares: tuple[ShareSpec, ...]) -> bool:
    listed = [namespace for share in shares for namespace in share.namespaces or ()]
    return len(listed) == len(set(listed))


# Comparing every pair costs eleven times what the API server allows at 200 shares of 50 names. Pouring all
# names into one map is linear: it fails on the first key that is there already, and the API server then
# prints that key and this message.
_NAMESPACE_STANDS_ONCE = Rule(
    cel="self.transformMapEntry(i, share, has(share.namespaces),"
    " share.namespaces.transformMapEntry(j, name, {name: true})).size() >= 0",
    message="shares: a namespace stands in two shares: keep it in one of them",
    holds=_no_namespace_twice,
)

_NAMES_LATER_RESOURCES = (
    "!has(s.perResource) || s.perResource.all(r, r in self.resources && r != self.resources[0])"
)
_PER_RESOURCE = (
    "shares: perResource of team %s may name only what follows the first in %s:"
    " write guaranteed and limit of the first on the share itself"
)


class GpuPoolSpec(ApiModel):
    """What a pool is made of, who shares it, and by which rules."""

    mode: Mode = Mode.OBSERVE
    """How far the operator goes: Observe writes only status, Recommend warns, Enforce acts."""
    purpose: Purpose = Purpose.EXPERIMENTATION
    """What the pool is for: a set of defaults for reclaim and recall, printed in `status.effectivePolicy`."""
    nodes: NodesSpec
    """Which nodes belong to the pool."""
    resources: Annotated[
        tuple[ResourceName, ...], Field(min_length=1, max_length=MAX_RESOURCES), Distinct()
    ] = ("nvidia.com/gpu",)
    """GPU resources that the pool governs; the first is the default of requests. One ledger each."""
    shares: Annotated[
        tuple[ShareSpec, ...], Field(max_length=MAX_SHARES), Distinct("team"), _NAMESPACE_STANDS_ONCE
    ] = Field(default_factory=tuple)
    """What each team is promised."""
    reserve: Gpus = 0
    """GPUs of the first resource kept back for failure and surge."""
    quota: QuotaSpec = Field(default_factory=QuotaSpec)
    """The layer that keeps grants by ResourceQuota."""
    isolation: IsolationSpec = Field(default_factory=IsolationSpec)
    """The layer that keeps GPU pods in their pool."""
    reclaim: ReclaimSpec = Field(default_factory=ReclaimSpec)
    """The layer that lends out what was promised and is not requested."""
    recall: RecallSpec = Field(default_factory=RecallSpec)
    """How lent GPUs come back when their owner needs them."""
    admission: AdmissionSpec = Field(default_factory=AdmissionSpec)
    """Gates that a request passes beside the rules of its share."""
    visibility: Visibility = Visibility.TEAMS
    """How much of others a decision record shows: their names, their teams, or sums only."""
    telemetry: TelemetrySpec = Field(default_factory=TelemetrySpec)
    """What is believed about the use of GPUs."""
    cost: CostSpec | None = None
    """What GPUs cost; absent: nothing is said of money."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.nodes.capacity) || self.nodes.capacity.declared.all(r, r in self.resources)",
            message="nodes.capacity.declared names more than resources: add it there or remove it here",
            shows=(
                "nodes.capacity.declared names %s and resources is %s: add it there or remove it here",
                "self.nodes.capacity.declared.filter(r, !(r in self.resources))[0]",
                "self.resources.join(', ')",
            ),
            holds=lambda it: (
                it.nodes.capacity is None or set(it.nodes.capacity.declared) <= set(it.resources)
            ),
            field="nodes.capacity.declared",
        ),
        Rule(
            cel="!has(self.cost) || self.cost.perGpuHour.all(r, r in self.resources)",
            message="cost.perGpuHour names more than resources: add it there or remove it here",
            shows=(
                "cost.perGpuHour names %s and resources is %s: add it there or remove it here",
                "self.cost.perGpuHour.filter(r, !(r in self.resources))[0]",
                "self.resources.join(', ')",
            ),
            holds=lambda it: it.cost is None or set(it.cost.per_gpu_hour) <= set(it.resources),
            field="cost.perGpuHour",
        ),
        Rule(
            cel=f"!has(self.shares) || self.shares.all(s, {_NAMES_LATER_RESOURCES})",
            message="shares: perResource may name only resources of the pool after the first;"
            " guaranteed and limit of the share govern the first",
            shows=(
                _PER_RESOURCE,
                f"self.shares.filter(s, !({_NAMES_LATER_RESOURCES}))[0].team",
                "self.resources.join(', ')",
            ),
            holds=lambda it: all(set(share.per_resource) <= set(it.resources[1:]) for share in it.shares),
            field="shares",
        ),
        Rule(
            cel="!has(self.recall) || !has(self.recall.within) || !has(self.recall.notice) ||"
            " !has(self.reclaim) || !has(self.reclaim.window) || self.reclaim.window < duration('10m') ||"
            " self.recall.within >= self.recall.notice + duration('5m')",
            message="recall.within is not 5m above recall.notice: raise within or shorten notice",
            shows=(
                "recall.within %s is not 5m above recall.notice %s: raise within to %s or shorten notice",
                "string(self.recall.within)",
                "string(self.recall.notice)",
                "string(self.recall.notice + duration('5m'))",
            ),
            holds=lambda it: (
                it.reclaim.window is None
                or it.reclaim.window < _LONG_WINDOW
                or it.recall.slack is None
                or it.recall.slack >= _SLACK
            ),
            field="recall.within",
        ),
    )


class GpuPool(ApiModel):
    """GPU nodes that a platform team shares out among teams."""

    api_version: Literal["gpupool.dev/v1alpha1"] = API_VERSION
    """Group and version."""
    kind: Literal["GpuPool"] = "GpuPool"
    """Kind."""
    metadata: ObjectMeta
    """Standard metadata; the name becomes a label value."""
    spec: GpuPoolSpec
    """What is asked."""
    status: GpuPoolStatus = Field(default_factory=GpuPoolStatus)
    """What is."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.metadata.name.size() <= 63",
            message="metadata.name becomes a label value: write a name of at most 63 characters",
            shows=(
                "metadata.name has %s characters and becomes a label value: write a name of at most 63",
                "string(self.metadata.name.size())",
            ),
            holds=lambda it: len(it.metadata.name) <= 63,  # noqa: PLR2004 - the limit of label values
        ),
    )

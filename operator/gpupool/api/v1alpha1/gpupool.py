"""GpuPool: GPU nodes that a platform team shares out."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gpupool.api.v1alpha1.base import API_VERSION, ApiModel, Gpus
from gpupool.api.v1alpha1.common import MAX_RESOURCES, Mode, ObjectMeta, Purpose, Visibility
from gpupool.api.v1alpha1.gpupool_parts import (
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


class GpuPoolSpec(ApiModel):
    """What a pool is made of, who shares it, and by which rules."""

    mode: Mode = Mode.OBSERVE
    """How far the operator goes: Observe writes only status, Recommend warns, Enforce acts."""
    purpose: Purpose = Purpose.EXPERIMENTATION
    """What the pool is for: a set of defaults for reclaim and recall, printed in `status.effectivePolicy`."""
    nodes: NodesSpec
    """Which nodes belong to the pool."""
    resources: Annotated[tuple[ResourceName, ...], Field(min_length=1, max_length=MAX_RESOURCES), Distinct()] = (
        "nvidia.com/gpu",
    )
    """GPU resources that the pool governs; the first is the default of requests. One ledger each."""
    shares: Annotated[tuple[ShareSpec, ...], Field(max_length=MAX_SHARES), Distinct("team")] = Field(
        default_factory=tuple
    )
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
    visibility: Visibility = Visibility.TEAMS
    """How much of others a decision record shows: their names, their teams, or sums only."""
    telemetry: TelemetrySpec = Field(default_factory=TelemetrySpec)
    """What is believed about the use of GPUs."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.nodes.capacity) || self.nodes.capacity.declared.all(r, r in self.resources)",
            message="nodes.capacity.declared names a resource that is not in resources: add it there or remove it here",
            shows=(
                "nodes.capacity.declared names %s and resources is %s: add it to resources or remove it from declared",
                "self.nodes.capacity.declared.filter(r, !(r in self.resources))[0]",
                "self.resources.join(', ')",
            ),
            holds=lambda it: it.nodes.capacity is None or set(it.nodes.capacity.declared) <= set(it.resources),
            field="nodes.capacity.declared",
        ),
        Rule(
            cel="!has(self.shares) || self.shares.all(s, !has(s.perResource) ||"
            " s.perResource.all(r, r in self.resources && r != self.resources[0]))",
            message="shares: perResource may name only resources of the pool after the first;"
            " guaranteed and limit of the share govern the first",
            shows=(
                "shares: perResource of team %s may name only resources of the pool after the first (resources is %s):"
                " write guaranteed and limit of the first on the share itself",
                "self.shares.filter(s, has(s.perResource) && s.perResource.exists(r,"
                " !(r in self.resources) || r == self.resources[0]))[0].team",
                "self.resources.join(', ')",
            ),
            holds=lambda it: all(set(share.per_resource) <= set(it.resources[1:]) for share in it.shares),
            field="shares",
        ),
        Rule(
            cel="!has(self.recall) || !has(self.recall.within) || !has(self.recall.notice) || !has(self.reclaim) ||"
            " !has(self.reclaim.window) || self.reclaim.window < duration('10m') ||"
            " self.recall.within >= self.recall.notice + duration('5m')",
            message="recall.within leaves less than 5m after recall.notice: raise within or shorten notice",
            shows=(
                "recall.within %s leaves less than 5m after recall.notice %s: raise within to at least %s"
                " or shorten notice",
                "string(self.recall.within)",
                "string(self.recall.notice)",
                "string(self.recall.notice + duration('5m'))",
            ),
            holds=lambda it: it.reclaim.window is None
            or it.reclaim.window < _LONG_WINDOW
            or it.recall.slack is None
            or it.recall.slack >= _SLACK,
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
            message="metadata.name is longer than 63 characters and becomes a label value: write a shorter name",
            shows=(
                "metadata.name has %s characters and becomes a label value: write a name of at most 63",
                "string(self.metadata.name.size())",
            ),
            holds=lambda it: len(it.metadata.name) <= 63,  # noqa: PLR2004 - the limit of label values
        ),
    )

"""The parts of a GpuPool's spec."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, Strict, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Flag, Gpus, Percent, PositivePercent
from gpupool.api.v1alpha1.common import MAX_RESOURCES, LabelSelector, Mode, Namespace
from gpupool.api.v1alpha1.durations import Duration
from gpupool.api.v1alpha1.names import DnsName, ResourceName, TeamName
from gpupool.api.v1alpha1.rules import Distinct, Rule, form, span
from gpupool.model.pool import DEFAULT_SCHEDULER

_LIMIT_COVERS_GUARANTEE = Rule(
    cel="!has(self.limit) || self.limit >= self.guaranteed",
    message="limit is below guaranteed: raise limit or lower guaranteed",
    shows=(
        "limit %s is below guaranteed %s: raise limit or lower guaranteed",
        "string(self.limit)",
        "string(self.guaranteed)",
    ),
    holds=lambda it: it.limit is None or it.limit >= it.guaranteed,
    field="limit",
)


class NodeCapacity(ApiModel):
    """How many GPUs the pool counts on."""

    declared: Annotated[dict[ResourceName, Gpus], Field(min_length=1, max_length=MAX_RESOURCES)]
    """GPUs per resource to count on instead of what the nodes show: for pools that an autoscaler grows."""


class NodesSpec(ApiModel):
    """Which nodes belong to the pool."""

    selector: LabelSelector | None = None
    """Nodes with these labels. Either this or `names`."""
    names: Annotated[tuple[DnsName, ...], Field(min_length=1, max_length=1000), Distinct()] | None = None
    """Nodes with these names. Either this or `selector`."""
    capacity: NodeCapacity | None = None
    """Numbers to count on instead of observed ones; absent: what the nodes show."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.selector) != has(self.names)",
            message="nodes: give exactly one of selector and names",
            shows=(
                "nodes has %s: give exactly one of selector and names",
                "has(self.names) ? 'both selector and names' : 'neither selector nor names'",
            ),
            holds=lambda it: (it.selector is None) != (it.names is None),
        ),
    )


class ResourceShare(ApiModel):
    """What a team is promised of one more resource of the pool."""

    guaranteed: Gpus = 0
    """GPUs that are the team's whenever it asks for them."""
    limit: Gpus | None = None
    """Most GPUs the team may be granted, borrowed ones included; absent: all usable ones."""

    rules: ClassVar[tuple[Rule, ...]] = (_LIMIT_COVERS_GUARANTEE,)


class ShareSpec(ApiModel):
    """What one team is promised, and where it works."""

    team: TeamName
    """Name of the team; unique in the pool."""
    namespaces: Annotated[tuple[Namespace, ...], Field(min_length=1, max_length=50), Distinct()] | None = None
    """Namespaces of the team. Either this or `namespaceSelector`."""
    namespace_selector: LabelSelector | None = None
    """Namespaces with these labels are the team's. Either this or `namespaces`."""
    guaranteed: Gpus = 0
    """GPUs of the first resource that are the team's whenever it asks for them."""
    limit: Gpus | None = None
    """Most GPUs of the first resource the team may be granted, borrowed ones included; absent: all usable."""
    weight: Annotated[int, Strict(), Field(ge=1, le=1000)] = 1
    """Part of what nobody claims that this team gets, against the weights of the others."""
    mode: Mode | None = None
    """Mode of this share instead of the pool's; where a layer sets one too, the weaker holds."""
    per_resource: Annotated[dict[ResourceName, ResourceShare], Field(max_length=MAX_RESOURCES)] = Field(
        default_factory=dict
    )
    """Promises for the pool's other resources, by resource name; the plain fields speak of the first."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.namespaces) != has(self.namespaceSelector)",
            message="shares: give exactly one of namespaces and namespaceSelector",
            shows=(
                "shares: team %s has %s: give exactly one of namespaces and namespaceSelector",
                "self.team",
                "has(self.namespaces) ? 'both' : 'neither'",
            ),
            holds=lambda it: (it.namespaces is None) != (it.namespace_selector is None),
        ),
        _LIMIT_COVERS_GUARANTEE,
    )


class CpuPods(StrEnum):
    """Whether pods without GPUs may go to the pool's nodes."""

    DENY = "Deny"
    ALLOW = "Allow"


class QuotaSpec(ApiModel):
    """The layer that keeps grants by ResourceQuota."""

    mode: Mode | None = None
    """Mode of this layer instead of the pool's; where a share sets one too, the weaker holds."""


class IsolationSpec(ApiModel):
    """The layer that keeps GPU pods in their pool."""

    mode: Mode | None = None
    """Mode of this layer instead of the pool's; where a share sets one too, the weaker holds."""
    taint: Flag = True
    """Taint the nodes under Enforce, once every DaemonSet on them tolerates it."""
    cpu_pods: CpuPods = CpuPods.DENY
    """Whether pods without GPUs of the pool's namespaces may select its nodes and tolerate its taint."""
    priority_class_names: (
        Annotated[tuple[DnsName, ...], Field(min_length=1, max_length=20), Distinct()] | None
    ) = None
    """PriorityClasses GPU pods may name; absent: all but those whose name begins with `system-`."""
    scheduler_names: Annotated[tuple[DnsName, ...], Field(min_length=1, max_length=20), Distinct()] = (
        DEFAULT_SCHEDULER,
    )
    """Schedulers GPU pods may name; their users are the chart value `policies.schedulers`."""


class ReclaimSpec(ApiModel):
    """The layer that lends out what was promised and is not requested. Absent values come from `purpose`."""

    mode: Mode | None = None
    """Mode of this layer instead of the pool's; where a share sets one too, the weaker holds."""
    window: Annotated[Duration, span("reclaim.window", "5s", "2160h")] | None = None
    """Time over which use is judged."""
    lookback: Annotated[Duration, span("reclaim.lookback", "5s", "2160h")] | None = None
    """Time whose peak is kept; at least the window."""
    threshold: PositivePercent | None = None
    """Percent of `expectedUtilization` below which a request is under-used."""
    headroom: Percent | None = None
    """Percent of the peak that is kept on top of it, at least one pod."""
    coverage: PositivePercent | None = None
    """Percent of held GPU-hours that must have good data before anything is judged."""
    grace: Annotated[Duration, span("reclaim.grace", "5s", "720h")] | None = None
    """Time between the notice and the taking."""
    release_after: Annotated[Duration, span("reclaim.releaseAfter", "5s", "8760h")] | None = None
    """Time after which what was lent and never asked back stops being the owner's claim."""
    startup_grace: Annotated[Duration, span("reclaim.startupGrace", "0s", "168h")] | None = None
    """Time after the grant in which nothing is judged."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.lookback) || !has(self.window) || self.lookback >= self.window",
            message="reclaim.lookback is shorter than reclaim.window: write at least the window",
            shows=(
                "reclaim.lookback %s is shorter than reclaim.window %s: write at least the window",
                "string(self.lookback)",
                "string(self.window)",
            ),
            holds=lambda it: it.lookback is None or it.window is None or it.lookback >= it.window,
            field="lookback",
        ),
    )


class RecallSpec(ApiModel):
    """How lent GPUs come back when their owner needs them. Absent values come from `purpose`."""

    within: Annotated[Duration, span("recall.within", "5s", "168h")] | None = None
    """Time in which the owner has them back."""
    notice: Annotated[Duration, span("recall.notice", "0s", "168h")] | None = None
    """Notice a borrower gets before whole units are evicted; at most `within`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.within) || !has(self.notice) || self.within >= self.notice",
            message="recall.within is shorter than recall.notice: raise within or shorten notice",
            shows=(
                "recall.within %s is shorter than recall.notice %s: raise within or shorten notice",
                "string(self.within)",
                "string(self.notice)",
            ),
            holds=lambda it: it.within is None or it.notice is None or it.within >= it.notice,
            field="within",
        ),
    )

    @property
    def slack(self) -> timedelta | None:
        """Time between notice and deadline; None while one of them is left to the purpose."""
        return None if self.within is None or self.notice is None else self.within - self.notice


class SloGate(StrEnum):
    """What becomes of GPUs that would not help an endpoint under an InferenceSLO."""

    OFF = "Off"
    WARN = "Warn"
    ENFORCE = "Enforce"


class AdmissionSpec(ApiModel):
    """Gates that a request passes beside the rules of its share."""

    slo: SloGate = SloGate.ENFORCE
    """More GPUs for an endpoint whose InferenceSLO is met with head-room, or missed for a cause that replicas
    do not cure: Enforce refuses them, Warn grants them and says so, Off does not look. What was granted
    stays. Where it is not known how the endpoint fares, Enforce grants within the guarantee only."""


_PRICE = r"^[0-9]{1,7}([.][0-9]{1,4})?$"
Price = Annotated[
    str,
    StringConstraints(min_length=1, max_length=12),
    form(_PRICE, "is no price: write a decimal number alone, in quotes, such as 2.50"),
    Rule(
        cel=f"!self.matches('{_PRICE}') || double(self) > 0.0",
        message="a price of 0 says nothing: write what a GPU-hour costs, or leave cost out",
        shows=(
            "price %s says nothing: write what a GPU-hour costs, such as 2.50, or leave cost out",
            "self",
        ),
        holds=lambda price: re.fullmatch(_PRICE, price) is None or float(price) > 0,
    ),
]


class CostSpec(ApiModel):
    """What GPUs cost."""

    per_gpu_hour: Annotated[dict[ResourceName, Price], Field(min_length=1, max_length=MAX_RESOURCES)]
    """Price of a GPU for an hour by resource, a decimal number in quotes such as "2.50"."""
    currency: Annotated[
        str,
        StringConstraints(min_length=1, max_length=8),
        form(r"^[A-Z]{3}$", "is no currency: write its three letters in capitals, such as USD or EUR"),
    ]
    """Three letters (ISO 4217), such as USD or EUR."""


class TelemetrySpec(ApiModel):
    """What is believed about the use of GPUs."""

    jobs: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=128)], ...],
        Field(min_length=1, max_length=10),
        Distinct(),
    ] = ("dcgm-exporter",)
    """Prometheus jobs whose series count; others are ignored."""

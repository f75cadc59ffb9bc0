"""The objects that decisions look at, as few facts as they need.

Counts are GPUs of one resource unless a mapping says otherwise (resource name -> GPUs). Times are the API
server's, timezone-aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from gpupool.model.reasons import Phase, Stage
from gpupool.model.selector import Selector

Counts = Mapping[str, int]
"""GPUs by resource."""


class Priority(StrEnum):
    """Orders requests inside their own share."""

    LOW = "Low"
    NORMAL = "Normal"

    @property
    def rank(self) -> int:
        """Higher is served first."""
        return _RANK[self]


_RANK: Final = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Namespace and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """A controller: apiVersion, kind, name (its namespace is known from the context)."""

    api_version: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A member node; `gpus` is allocatable per resource, `selected` says that the spec names it still."""

    name: str
    gpus: Counts
    ready: bool = True
    schedulable: bool = True
    pool_label: str | None = None
    taints: tuple[str, ...] = ()
    selected: bool = True
    model: str = ""
    uid: str = ""
    ours: bool = False  # its label or taint was written by us, not by an admin or an autoscaler's template


@dataclass(frozen=True, slots=True)
class Container:
    """A container that uses GPUs; `cpu_limit` is cores, None without a limit."""

    name: str
    cpu_limit: float | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """A non-terminal pod that requests governed GPUs; `owner` is its top controller.

    `running`: a container runs or has run lately, so that a bound pod which never starts is told apart;
    `ready`: it serves, since `ready_at`; `recipe` is a digest of image, command and arguments.
    `selects` is the pool its selector names; `template` is what admission would judge of the next one;
    `containers` are those that use GPUs.
    """

    key: Key
    uid: str
    gpus: Counts
    node: str | None = None
    created: datetime | None = None
    started: datetime | None = None
    running: bool = True
    terminating: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: ObjectRef | None = None
    direct_owner_kind: str = ""
    selects: str = ""
    template: str = ""
    ready: bool = True
    ready_at: datetime | None = None
    recipe: str = ""
    containers: tuple[Container, ...] = ()

    @property
    def unit(self) -> str:
        """The smallest thing taken as a whole: a replica of a ReplicaSet, a bare pod, else the controller."""
        if self.owner is None or self.direct_owner_kind == "ReplicaSet":
            return f"Pod/{self.key.name}"
        return str(self.owner)


@dataclass(frozen=True, slots=True)
class Timer:
    """An open taking, as it stands on the quota (Enforce) or in status.

    `target` is the allowance that will be left; `forced_at` is when a recall stops waiting for budgets;
    `workload` is what the timed request is for; `granted` is what is taken of: the claim that
    a lending leaves to its owner, the GPUs that a recall announced; `asked` is what was asked then.
    """

    stage: Stage
    since: datetime
    deadline: datetime | None = None
    target: int | None = None
    forced_at: datetime | None = None
    workload: str = ""
    granted: int | None = None
    asked: int | None = None


@dataclass(frozen=True, slots=True)
class Loan:
    """GPUs lent to a rolling update, beside all grants, for pods that it has beyond its replicas.

    Attributes:
        gpus: the wall lets pods in on them.
        since: when the first of its rollouts that followed each other without an end was lent to.
        until: by then it has come further, or has failed.
        over: lent before; the wall lets nobody in on them any more, and pods may hold them still.
        spent: the template that had its time; empty for none.
    """

    resource: str
    gpus: int
    since: datetime
    until: datetime
    over: int = 0
    spent: str = ""

    def kept(self, gpus: int) -> Loan:
        """The same with so many GPUs of it; the others are over."""
        return replace(self, gpus=gpus, over=self.over + self.gpus - gpus)


@dataclass(frozen=True, slots=True)
class Quota:
    """Our ResourceQuota in a namespace, per resource (without the `requests.` prefix), written by `pool`.

    `timers` are keyed by request name and carry the workload, so that a request recreated under either
    inherits its open deadline (law 5). `opening`: it says less than is granted behind it, until every wall of
    the pool is in force. `owners` are the uids of the pools it is collected with.
    """

    hard: Counts
    status_hard: Counts
    used: Counts
    resource_version: str = ""
    timers: Mapping[str, Timer] = field(default_factory=dict)
    implicit: Counts = field(default_factory=dict)
    created: datetime | None = None
    pool: str = ""
    uid: str = ""
    opening: bool = False
    owners: tuple[str, ...] = ()
    labelled: bool = True  # our labels are on it
    left_out: int = 0  # timers of live requests that found no room
    loans: Mapping[str, Loan] = field(default_factory=dict)  # of surge, by workload and resource


@dataclass(frozen=True, slots=True)
class ForeignQuota:
    """A ResourceQuota of somebody else: never edited, always named. `scoped` ones count some pods only."""

    name: str
    hard: Counts
    scoped: bool = False


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace as this pool sees it; `team` is None without a share, `queues` are Kueue's by name."""

    name: str
    team: str | None
    pool_label: str | None = None
    quota: Quota | None = None
    foreign: tuple[ForeignQuota, ...] = ()
    system: bool = False
    uid: str = ""
    queues: tuple[str, ...] = ()
    ending: bool = False  # being deleted: nothing can be made in it, and what its quota let in may live
    ours: bool = False  # its label was written by us


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a request's status says from earlier cycles; None where nothing was written yet.

    `released` is the number a claim ended at after `releaseAfter`; it holds until `spec.gpus` changes.
    """

    granted: int | None = None
    allowance: int | None = None
    asked: int | None = None
    queued_at: datetime | None = None
    granted_at: datetime | None = None
    proved_at: datetime | None = None
    quiet_since: datetime | None = None
    timer: Timer | None = None
    phase: Phase | None = None
    released: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A CapacityRequest. `min_gpus` equals `gpus` when it was not set."""

    key: Key
    uid: str
    generation: int
    created: datetime
    gpus: int
    min_gpus: int
    team: str
    contact: str
    expected_utilization: int
    resource: str
    ref: ObjectRef | None = None
    selector: Selector | None = None
    pool: str | None = None
    priority: Priority = Priority.NORMAL
    preemptible: bool = False
    justification: str = ""
    remembered: Remembered = field(default_factory=Remembered)

    @property
    def workload(self) -> str:
        """What the GPUs are for, as a stable word: timers are keyed by it (law 5)."""
        return str(self.ref) if self.ref is not None else str(self.selector)


@dataclass(frozen=True, slots=True)
class Demand:
    """GPUs that a controller wants and our quota refused: desired less existing replicas."""

    namespace: str
    owner: ObjectRef
    labels: Mapping[str, str]
    resource: str
    gpus: int
    gpus_per_pod: int

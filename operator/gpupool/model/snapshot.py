"""What a decision is made of: one pool at one moment, frozen and recordable.

Counts are GPUs of one resource unless a mapping says otherwise (resource name -> GPUs). Times are the API
server's, timezone-aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gpupool.model.enforcement import Enforcement
from gpupool.model.pool import Pool
from gpupool.model.reasons import Phase, Stage
from gpupool.model.selector import Selector

Counts = Mapping[str, int]


class Priority(StrEnum):
    """Orders requests inside their own share."""

    LOW = "Low"
    NORMAL = "Normal"

    @property
    def rank(self) -> int:
        """Higher is served first."""
        return list(Priority).index(self)


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


@dataclass(frozen=True, slots=True)
class Pod:
    """A non-terminal pod that requests governed GPUs.

    `owner` is its top controller; `running` says that a container runs or has run lately, so that a bound pod
    which never starts is told apart from one that computes. `selects` is the pool its selector names;
    `template` is what admission would judge of the next pod like it, where no controller shows that.
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
    `workload` is what the timed request is for; `granted` is what is taken of, `asked` what was asked then.
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
class Quota:
    """Our ResourceQuota in a namespace, per resource (without the `requests.` prefix), written by `pool`.

    `timers` go by request name and carry the workload: recreated under either, a deadline stands (law 5).
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


@dataclass(frozen=True, slots=True)
class PodUsage:
    """Samples of one pod's GPUs over the window, from believed exporters.

    `held_seconds` is what should have been seen (GPU-seconds), `seen_seconds` what was, `busy_seconds` the
    part with activity > 0; `activity` is the mean in percent over what was seen; `age` is the newest
    sample's age in seconds.
    """

    key: Key
    gpus: int
    held_seconds: float
    seen_seconds: float
    busy_seconds: float
    busy_gpus: int
    activity: float
    age: float | None = None
    conflicting: bool = False
    alive: bool = True
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The most a request used over the lookback, and how long our own series reaches back, in seconds."""

    used: int
    history: float


@dataclass(frozen=True, slots=True)
class Usage:
    """All that Prometheus said in this cycle. `fresh` is the precondition of any taking for under-use.

    `problem` and `reason` (one word) say why it is not; `findings` what is wrong with single nodes and pods.
    """

    fresh: bool = False
    problem: str = "Prometheus is not configured"
    scrape_interval: float = 1.0
    pods: tuple[PodUsage, ...] = ()
    peaks: Mapping[Key, Peak] = field(default_factory=dict)
    reason: str = "NotConfigured"
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one decision may look at.

    Attributes:
        now: the API server's time, monotone per pool.
        uninterrupted_since: since when cycles of this pool have followed each other without a gap.
        nodes, namespaces: members only; of namespaces also those that hold GPUs on member nodes.
        requests: those of member namespaces, and those that name this pool.
        pods: non-terminal pods requesting a governed resource, on member nodes or in member namespaces.
        nodes_elsewhere, namespaces_elsewhere: what the pool's spec names and another pool has -> that pool.
        moving: member namespaces that no share lists any more -> the pool whose share does.
        stray_nodes, stray_namespaces: no members, and they carry this pool's label (or quota): it goes.
    """

    now: datetime
    uninterrupted_since: datetime
    pool: Pool
    nodes: tuple[Node, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    requests: tuple[Request, ...] = ()
    pods: tuple[Pod, ...] = ()
    demands: tuple[Demand, ...] = ()
    usage: Usage = field(default_factory=Usage)
    enforcement: Enforcement = field(default_factory=Enforcement)
    nodes_claimed_twice: tuple[str, ...] = ()
    namespaces_claimed_twice: tuple[str, ...] = ()
    nodes_elsewhere: Mapping[str, str] = field(default_factory=dict)
    namespaces_elsewhere: Mapping[str, str] = field(default_factory=dict)
    moving: Mapping[str, str] = field(default_factory=dict)
    intolerant_daemonsets: tuple[str, ...] = ()
    intolerant_system: tuple[str, ...] = ()  # those of them in exempt namespaces
    stray_nodes: tuple[Node, ...] = ()
    stray_namespaces: tuple[Namespace, ...] = ()

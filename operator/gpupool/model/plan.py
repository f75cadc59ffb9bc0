"""The plan as a value: what will be done, what will be said, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gpupool.model.enforcement import Replay
from gpupool.model.objects import Counts, Key, Loan, Timer
from gpupool.model.reasons import DataState, Phase, Reason


@dataclass(frozen=True, slots=True)
class SetQuota:
    """Write our ResourceQuota. `raises` ones carry the resourceVersion they were decided on (law 2).

    `left_out` is how many timers of live requests found no room beside `timers`.
    """

    namespace: str
    hard: Counts
    timers: Mapping[str, Timer]
    implicit: Counts
    resource_version: str
    raises: bool
    uid: str = ""
    opening: bool = False
    left_out: int = 0
    loans: Mapping[str, Loan] = field(default_factory=dict)

    def __str__(self) -> str:
        numbers = ", ".join(f"{k}={v}" for k, v in sorted(self.hard.items()))
        return f"{'raise' if self.raises else 'set'} quota {self.namespace}: {numbers}"


@dataclass(frozen=True, slots=True)
class DropQuota:
    """Delete our ResourceQuota: the namespace is no longer governed. Only the very object that was seen."""

    namespace: str
    uid: str = ""
    resource_version: str = ""

    def __str__(self) -> str:
        return f"drop quota {self.namespace}"


@dataclass(frozen=True, slots=True)
class LabelNamespace:
    """Set or remove (None) the pool label of a namespace; `uid` tells it from a namesake made later.

    Removed is what we wrote, with `theirs` also what somebody else did.
    """

    namespace: str
    pool: str | None
    uid: str = ""
    theirs: bool = False

    def __str__(self) -> str:
        return f"label namespace {self.namespace}: {self.pool or 'none'}"


@dataclass(frozen=True, slots=True)
class MarkNode:
    """Set or remove the pool label and taint of a node; `uid` tells it from a namesake made later.

    Removed is the label that we wrote, with `theirs` also one that somebody else did.
    """

    node: str
    pool: str | None
    taint: bool
    uid: str = ""
    theirs: bool = False

    def __str__(self) -> str:
        return f"mark node {self.node}: label {self.pool or 'none'}, taint {'on' if self.taint else 'off'}"


@dataclass(frozen=True, slots=True)
class SetPolicies:
    """The admission policies of the pool as they should be; nothing enforced and no namespace: none.

    `rehearse` asks for those of Enforce in the probe namespace alone, where live templates are tried.
    """

    enforce: bool
    recommend: tuple[str, ...]
    nodes_labelled: bool
    mutate: bool
    rehearse: bool = False

    @property
    def judges(self) -> bool:
        """Whether pods are denied anywhere, be it in the probe namespace."""
        return self.enforce or self.rehearse

    def __str__(self) -> str:
        more = " rehearse=True" if self.rehearse else ""
        return f"policies: enforce={self.enforce} recommend={len(self.recommend)} mutate={self.mutate}{more}"


@dataclass(frozen=True, slots=True)
class Evict:
    """Ask a pod of a recalled unit to leave; `force` deletes it once budgets no longer count."""

    pod: Key
    uid: str
    request: str
    force: bool

    def __str__(self) -> str:
        return f"{'delete' if self.force else 'evict'} pod {self.pod} (request {self.request or 'none'})"


Action = SetQuota | DropQuota | LabelNamespace | MarkNode | SetPolicies | Evict


class Status(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition without its times, which the writer keeps."""

    type: str
    status: Status
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event to publish, once: `kind` and `key` name its object, cluster-scoped ones have no namespace.

    Where the next snapshot cannot show that it was told already, `once` is what tells two of them apart. What
    a later process tells again, in whatever words, is the same Event if it speaks of the same `since`.
    """

    kind: str
    key: Key
    uid: str
    reason: str
    message: str
    warning: bool = False
    once: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Blocker:
    """Who holds GPUs that stand in the way; None where the pool's visibility hides it."""

    gpus: int
    team: str | None = None
    namespace: str | None = None
    request: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision record of a request (law 8)."""

    reason: Reason
    message: str
    arithmetic: str = ""
    grantable_now: int = 0
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """The whole desired status of a CapacityRequest. Percentages are 0 to 100 or None where unknown.

    `uid` is the request that was decided on: its status is never written to one recreated under its name.
    """

    key: Key
    generation: int
    phase: Phase
    pool: str
    resource: str
    verdict: Verdict
    conditions: tuple[Condition, ...]
    granted: int = 0
    allowance: int = 0
    used: int = 0
    held: int = 0
    busy: int | None = None
    demand: int = 0
    position: int = 0
    efficiency: int | None = None
    activity: int | None = None
    coverage: int | None = None
    data_state: DataState | None = None
    timer: Timer | None = None
    stage_message: str = ""
    asked: int = 0
    queued_at: datetime | None = None
    granted_at: datetime | None = None
    proved_at: datetime | None = None
    quiet_since: datetime | None = None
    released: int | None = None
    uid: str = ""


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One line of the pool's table: a share, or a namespace that holds GPUs without one."""

    team: str
    declared: bool
    namespaces: tuple[str, ...]
    guaranteed: Counts
    limit: Counts
    granted: Counts
    lent: Counts
    held: Counts
    busy: Counts


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the pool's queue."""

    key: Key
    team: str
    resource: str
    gpus: int
    position: int
    reason: Reason
    since: datetime


@dataclass(frozen=True, slots=True)
class ForeignRow:
    """Something of somebody else that counts quota in a namespace of the pool; `hard` is what it allows."""

    kind: str
    namespace: str
    name: str
    hard: Counts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The whole desired status of a GpuPool; maps are resource -> GPUs.

    `observed` and `provisioning` are told of declared capacity: what the nodes have, and what is granted
    beyond it. `surge` is lent to rolling updates beside all grants.
    """

    generation: int
    total: Counts
    usable: Counts
    granted: Counts
    lent: Counts
    held: Counts
    busy: Counts
    unattributed: Counts
    overcommitted: Counts
    shares: tuple[ShareRow, ...]
    queue: tuple[QueueRow, ...]
    counts: Mapping[str, int]
    conditions: tuple[Condition, ...]
    waiting: Counts = field(default_factory=dict)
    observed: Counts = field(default_factory=dict)
    provisioning: Counts = field(default_factory=dict)
    surge: Counts = field(default_factory=dict)
    foreign: tuple[ForeignRow, ...] = ()
    would_be_denied: tuple[Replay, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cycle of one pool does. Actions are in the order in which they must be applied."""

    pool: str
    actions: tuple[Action, ...] = ()
    requests: tuple[RequestStatus, ...] = ()
    status: PoolStatus | None = None
    notices: tuple[Notice, ...] = ()

    def __str__(self) -> str:
        lines = [f"pool {self.pool}: {len(self.actions)} actions"]
        lines += [f"  {a}" for a in self.actions]
        lines += [f"  {r.key}: {r.phase} {r.granted} ({r.verdict.reason})" for r in self.requests]
        return "\n".join(lines)

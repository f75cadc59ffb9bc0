"""Who has what several pools want: the pool whose marks are on it, else the only one that claims it.

A mark is the label of a pool that enforces isolation or, on a namespace, our quota of a pool that enforces
quotas. So nothing leaves a pool while it holds GPUs there, and a second pool that lists the same namespace
takes nothing away: it is told who has it. Of a pool that cannot be read nobody knows what it enforces: every
mark of it counts, because its walls stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpupool.model.marks import NODE_LABEL, POOL_LABEL
from gpupool.model.pool import Pool
from gpupool.model.world import NamespaceFacts


@dataclass(frozen=True, slots=True)
class Place:
    """A node or namespace: the pool whose mark it carries, and the pools whose specs name it."""

    name: str
    holder: str | None
    named_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """Places by name.

    Attributes:
        pool: what has a pool.
        twice: what several pools claim and none holds: it belongs to none.
        elsewhere: pool -> what it claims in vain -> the pool that has it.
        moving: what its holder no longer claims -> the pool that does.
    """

    pool: dict[str, str] = field(default_factory=dict)
    twice: dict[str, tuple[str, ...]] = field(default_factory=dict)
    elsewhere: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    moving: dict[str, str] = field(default_factory=dict)


def assign(places: Iterable[Place]) -> Assignment:
    """Give every place to its holder, else to the only pool that claims it."""
    found = Assignment()
    for place in places:
        if place.holder is not None:
            found.pool[place.name] = place.holder
            others = [c for c in place.named_by if c != place.holder]
            for other in others:
                found.elsewhere[other][place.name] = place.holder
            if others and len(others) == len(place.named_by):
                found.moving[place.name] = others[0]
        elif len(place.named_by) == 1:
            found.pool[place.name] = place.named_by[0]
        elif place.named_by:
            found.twice[place.name] = place.named_by
    return found


@dataclass(frozen=True, slots=True)
class Marks:
    """Pools whose marks count: those that enforce isolation, or quotas, and all that cannot be read."""

    labelling: frozenset[str]
    walling: frozenset[str]

    def of_node(self, labels: Mapping[str, str]) -> str | None:
        """The pool whose label is on a node."""
        label = labels.get(NODE_LABEL)
        return label if label in self.labelling else None

    def of_namespace(self, namespace: NamespaceFacts) -> str | None:
        """The pool whose label, or else whose quota, is on a namespace."""
        label = namespace.labels.get(POOL_LABEL)
        if label in self.labelling:
            return label
        quota = namespace.quota
        return quota.pool if quota is not None and quota.pool in self.walling else None


def marks(pools: Iterable[Pool], unreadable: frozenset[str]) -> Marks:
    """Whose marks count, and those of the pools that cannot be read."""
    known = tuple(pools)
    return Marks(
        labelling=unreadable | {p.name for p in known if p.isolates},
        walling=unreadable | {p.name for p in known if p.walls},
    )

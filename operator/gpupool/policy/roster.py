"""What a pool's spec names, by node and by namespace, found without looking at every share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpupool.model.pool import Pool, Share


@dataclass(frozen=True, slots=True)
class Roster:
    """A pool's nodes and shares by name; of several shares that list a namespace the first has it."""

    pool: Pool
    nodes: frozenset[str]
    by_name: Mapping[str, int]
    selecting: tuple[tuple[int, Share], ...]

    def selects(self, node: str, labels: Mapping[str, str]) -> bool:
        """Whether the pool's `nodes` name this node."""
        selector = self.pool.node_selector
        return node in self.nodes or (selector is not None and selector.matches(labels))

    def share_of(self, namespace: str, labels: Mapping[str, str]) -> Share | None:
        """The first share that lists the namespace, by name or by label, if any."""
        named = self.by_name.get(namespace)
        places = [] if named is None else [named]
        places += [i for i, s in self.selecting if s.selector is not None and s.selector.matches(labels)]
        return self.pool.shares[min(places)] if places else None


def roster(pool: Pool) -> Roster:
    """Index a pool's spec."""
    by_name: dict[str, int] = {}
    for place, share in enumerate(pool.shares):
        for namespace in share.namespaces:
            by_name.setdefault(namespace, place)
    return Roster(
        pool=pool,
        nodes=frozenset(pool.node_names),
        by_name=by_name,
        selecting=tuple((i, s) for i, s in enumerate(pool.shares) if s.selector is not None),
    )


def rosters(pools: Iterable[Pool]) -> tuple[Roster, ...]:
    """Index all pools."""
    return tuple(roster(p) for p in pools)

"""Which node and which namespace belong to which pool (DESIGN.md 5).

Where a pool enforces, its marks decide, so that nothing leaves it while it holds GPUs there; otherwise the
selectors do, and what two pools claim belongs to none (`ownership`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpupool.model.pool import Pool
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.policy.localqueues import held_back
from gpupool.policy.ownership import Assignment, Place, assign, marks
from gpupool.policy.roster import Roster, rosters


@dataclass(frozen=True, slots=True)
class Members:
    """What belongs to one pool, and what it claims in vain: because two do, or because another one has it."""

    nodes: tuple[NodeFacts, ...] = ()
    namespaces: tuple[NamespaceFacts, ...] = ()
    nodes_claimed_twice: tuple[str, ...] = ()
    namespaces_claimed_twice: tuple[str, ...] = ()
    nodes_elsewhere: Mapping[str, str] = field(default_factory=dict)
    namespaces_elsewhere: Mapping[str, str] = field(default_factory=dict)
    moving: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Membership:
    """Members by pool, the requests no pool answers for, and the pools with the modes that may act."""

    members: Mapping[str, Members] = field(default_factory=dict)
    pool_of_namespace: Mapping[str, str] = field(default_factory=dict)
    claimed_twice: frozenset[str] = field(default_factory=frozenset)
    pools: Mapping[str, Pool] = field(default_factory=dict)


def resolve(world: World) -> Membership:
    """Assign nodes and namespaces to pools."""
    claims = rosters(world.pools)
    pools = _held_back(world, claims)
    on = marks(pools, world.unreadable_pools)
    nodes = assign(Place(n.name, on.of_node(n.labels), _selecting(claims, n)) for n in world.nodes)
    spaces = assign(Place(n.name, on.of_namespace(n), _listing(claims, n)) for n in world.namespaces)
    own_nodes: dict[str, list[NodeFacts]] = defaultdict(list)
    for node in world.nodes:
        own_nodes[nodes.pool.get(node.name, "")].append(node)
    own_spaces: dict[str, list[NamespaceFacts]] = defaultdict(list)
    for space in world.namespaces:
        own_spaces[spaces.pool.get(space.name, "")].append(space)
    return Membership(
        members={
            p.name: Members(
                nodes=tuple(own_nodes[p.name]),
                namespaces=tuple(own_spaces[p.name]),
                nodes_claimed_twice=_twice(nodes, p),
                namespaces_claimed_twice=_twice(spaces, p),
                nodes_elsewhere=dict(sorted(nodes.elsewhere[p.name].items())),
                namespaces_elsewhere=dict(sorted(spaces.elsewhere[p.name].items())),
                moving={n: to for n, to in sorted(spaces.moving.items()) if spaces.pool[n] == p.name},
            )
            for p in world.pools
        },
        pool_of_namespace=spaces.pool,
        claimed_twice=frozenset(spaces.twice),
        pools={p.name: p for p in pools},
    )


def _held_back(world: World, claims: Iterable[Roster]) -> tuple[Pool, ...]:
    """The pools beside Kueue's queues; in most clusters there are none."""
    if world.queues_known and not any(n.queues for n in world.namespaces):
        return world.pools
    return tuple(held_back(c, world.namespaces, known=world.queues_known) for c in claims)


def _selecting(claims: Iterable[Roster], node: NodeFacts) -> tuple[str, ...]:
    return tuple(r.pool.name for r in claims if r.selects(node.name, node.labels))


def _listing(claims: Iterable[Roster], namespace: NamespaceFacts) -> tuple[str, ...]:
    return tuple(r.pool.name for r in claims if r.share_of(namespace.name, namespace.labels) is not None)


def _twice(found: Assignment, pool: Pool) -> tuple[str, ...]:
    return tuple(sorted(n for n, by in found.twice.items() if pool.name in by))

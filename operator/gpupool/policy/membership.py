"""Which node and which namespace belong to which pool (DESIGN.md 5).

Where a pool enforces, its marks decide, so that nothing leaves it while it holds GPUs there; otherwise the
selectors do, and what two pools claim belongs to none (`holders`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from gpupool.model.enforcement import Enforcement
from gpupool.model.pool import Pool
from gpupool.model.snapshot import Key, Namespace, Node, Pod, Request, Snapshot, Usage
from gpupool.model.world import DaemonSetFacts, NamespaceFacts, NodeFacts, World
from gpupool.policy.holders import NAMESPACE_LABEL, NODE_LABEL, Assignment, Thing, assign, marks
from gpupool.policy.localqueues import held_back
from gpupool.policy.roster import Roster, roster, rosters

__all__ = ["NAMESPACE_LABEL", "NODE_LABEL", "TAINT", "Map", "Members", "resolve", "view"]

TAINT = "gpupool.dev/pool"


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
class Map:
    """Members by pool, the requests no pool answers for, and the pools with the modes that may act."""

    members: Mapping[str, Members] = field(default_factory=dict)
    pool_of_namespace: Mapping[str, str] = field(default_factory=dict)
    claimed_twice: frozenset[str] = field(default_factory=frozenset)
    pools: Mapping[str, Pool] = field(default_factory=dict)


def resolve(world: World) -> Map:
    """Assign nodes and namespaces to pools."""
    claims = rosters(world.pools)
    pools = tuple(held_back(c, world.namespaces) for c in claims) if _queued(world) else world.pools
    on = marks(pools)
    nodes = assign(Thing(n.name, on.of_node(n.labels), _selecting(claims, n)) for n in world.nodes)
    spaces = assign(Thing(n.name, on.of_namespace(n), _listing(claims, n)) for n in world.namespaces)
    own_nodes: dict[str, list[NodeFacts]] = defaultdict(list)
    for node in world.nodes:
        own_nodes[nodes.pool.get(node.name, "")].append(node)
    own_spaces: dict[str, list[NamespaceFacts]] = defaultdict(list)
    for space in world.namespaces:
        own_spaces[spaces.pool.get(space.name, "")].append(space)
    return Map(
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


def _queued(world: World) -> bool:
    return any(n.queues for n in world.namespaces)


def _selecting(claims: Iterable[Roster], node: NodeFacts) -> tuple[str, ...]:
    return tuple(r.pool.name for r in claims if r.selects(node.name, node.labels))


def _listing(claims: Iterable[Roster], namespace: NamespaceFacts) -> tuple[str, ...]:
    return tuple(r.pool.name for r in claims if r.share_of(namespace.name, namespace.labels) is not None)


def _twice(found: Assignment, pool: Pool) -> tuple[str, ...]:
    return tuple(sorted(n for n, by in found.twice.items() if pool.name in by))


def view(  # the snapshot has this many sources; each is named at the call
    world: World,
    found: Map,
    pool: Pool,
    *,
    uninterrupted_since: datetime,
    usage: Usage | None = None,
    enforcement: Enforcement | None = None,
) -> Snapshot:
    """What one pool may look at."""
    pool = found.pools[pool.name]
    members, listed = found.members[pool.name], roster(pool)
    node_names = {n.name for n in members.nodes}
    own = {n.name for n in members.namespaces}
    pods = tuple(p for p in world.pods if _concerns(p, pool, node_names, own))
    strangers = {p.key.namespace for p in pods} - own
    facts = {n.name: n for n in world.namespaces}
    intolerant = _intolerant(world.daemonsets, pool, members.nodes)
    return Snapshot(
        now=world.now,
        uninterrupted_since=uninterrupted_since,
        pool=pool,
        nodes=tuple(_node(n, listed) for n in members.nodes),
        namespaces=(
            *(_namespace(n, listed) for n in members.namespaces),
            *(_stranger(facts.get(n), n, world.exempt_namespaces) for n in sorted(strangers)),
        ),
        requests=tuple(_addressed(world.requests, pool, own)),
        pods=pods,
        demands=tuple(d for d in world.demands if d.namespace in own and d.resource in pool.resources),
        usage=usage or Usage(),
        enforcement=enforcement or Enforcement(),
        nodes_claimed_twice=members.nodes_claimed_twice,
        namespaces_claimed_twice=members.namespaces_claimed_twice,
        nodes_elsewhere=members.nodes_elsewhere,
        namespaces_elsewhere=members.namespaces_elsewhere,
        moving=members.moving,
        intolerant_daemonsets=_names(intolerant),
        intolerant_system=_names(d for d in intolerant if d.namespace in world.exempt_namespaces),
        stray_nodes=tuple(
            _node(n, listed)
            for n in world.nodes
            if n.name not in node_names and n.labels.get(NODE_LABEL) == pool.name
        ),
        stray_namespaces=tuple(
            _namespace(n, listed) for n in world.namespaces if n.name not in own and _carries(n, pool)
        ),
    )


def _carries(namespace: NamespaceFacts, pool: Pool) -> bool:
    """Whether something of this pool is still on a namespace."""
    labelled = namespace.labels.get(NAMESPACE_LABEL) == pool.name
    return labelled or (namespace.quota is not None and namespace.quota.pool == pool.name)


def _concerns(pod: Pod, pool: Pool, nodes: set[str], namespaces: set[str]) -> bool:
    if not any(r in pod.gpus for r in pool.resources):
        return False
    return pod.node in nodes or pod.key.namespace in namespaces


def _addressed(requests: Iterable[Request], pool: Pool, namespaces: set[str]) -> Iterable[Request]:
    """The requests this pool answers, asking for its first resource where they name none."""
    for request in requests:
        if request.key.namespace in namespaces and request.pool in {None, pool.name}:
            yield request if request.resource else replace(request, resource=pool.resources[0])


def _node(facts: NodeFacts, listed: Roster) -> Node:
    return Node(
        name=facts.name,
        gpus={r: facts.gpus[r] for r in listed.pool.resources if r in facts.gpus},
        ready=facts.ready,
        schedulable=facts.schedulable,
        pool_label=facts.labels.get(NODE_LABEL),
        taints=facts.taints,
        selected=listed.selects(facts.name, facts.labels),
        model=facts.labels.get("nvidia.com/gpu.product", ""),
        uid=facts.uid,
    )


def _namespace(facts: NamespaceFacts, listed: Roster) -> Namespace:
    share = listed.share_of(facts.name, facts.labels)
    return Namespace(
        name=facts.name,
        team=None if share is None else share.team,
        pool_label=facts.labels.get(NAMESPACE_LABEL),
        quota=facts.quota,
        foreign=facts.foreign,
        uid=facts.uid,
        queues=facts.queues,
    )


def _stranger(facts: NamespaceFacts | None, name: str, exempt: frozenset[str]) -> Namespace:
    """A namespace that holds GPUs on our nodes and belongs to no share of ours."""
    foreign = () if facts is None else facts.foreign
    return Namespace(name=name, team=None, foreign=foreign, system=name in exempt)


def _intolerant(
    daemonsets: Iterable[DaemonSetFacts], pool: Pool, nodes: Iterable[NodeFacts]
) -> list[DaemonSetFacts]:
    """DaemonSets that run on the pool's nodes and would not come back after our taint."""
    members = tuple(nodes)
    return [
        d
        for d in daemonsets
        if any(d.node_selector is None or d.node_selector.matches(n.labels) for n in members)
        and not any(t.tolerates(TAINT, pool.name, "NoSchedule") for t in d.tolerations)
    ]


def _names(daemonsets: Iterable[DaemonSetFacts]) -> tuple[str, ...]:
    return tuple(sorted(str(Key(d.namespace, d.name)) for d in daemonsets))

"""What one pool may look at: the world cut to its members, as the snapshot that its plan is made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT
from gpupool.model.objects import Key, Namespace, Node, Pod, Request
from gpupool.model.pool import Pool
from gpupool.model.senses import NODES, Senses
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Usage
from gpupool.model.world import DaemonSetFacts, NamespaceFacts, NodeFacts, World
from gpupool.policy.membership import Membership
from gpupool.policy.roster import Roster, roster


def view(
    world: World,
    found: Membership,
    pool: Pool,
    *,
    uninterrupted_since: datetime,
    usage: Usage | None = None,
) -> Snapshot:
    """What one pool may look at."""
    asked, pool = pool, found.pools[pool.name]
    members, listed = found.members[pool.name], roster(pool)
    node_names = {n.name for n in members.nodes}
    own = {n.name for n in members.namespaces}
    ending = tuple(n for n in world.ending if n.quota is not None and n.quota.pool == pool.name)
    seen = own | {n.name for n in ending}
    pods = tuple(p for p in world.pods if _concerns(p, pool, node_names, seen))
    strangers = {p.key.namespace for p in pods} - seen
    facts = {n.name: n for n in (*world.namespaces, *world.ending)}
    intolerant = _intolerant(world.daemonsets, pool, members.nodes)
    return Snapshot(
        now=world.now,
        uninterrupted_since=uninterrupted_since,
        pool=pool,
        nodes=tuple(_node(n, listed) for n in members.nodes),
        namespaces=(
            *(_namespace(n, listed) for n in members.namespaces),
            *(_ending(n) for n in ending),
            *(_stranger(facts.get(n), n, world.exempt_namespaces) for n in sorted(strangers)),
        ),
        requests=tuple(addressed(world.requests, pool, own)),
        pods=pods,
        demands=tuple(d for d in world.demands if d.namespace in own and d.resource in pool.resources),
        usage=usage or Usage(),
        senses=_senses(world.senses, node_names, own),
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
        unsure=() if world.queues_known else tuple(_lowered(asked, pool)),
        endpoints=tuple(e for e in world.endpoints if e.key.namespace in own),
    )


def _lowered(asked: Pool, acting: Pool) -> Iterable[str]:
    """Teams whose share does not act as it is asked to."""
    return (a.team for a, b in zip(asked.shares, acting.shares, strict=True) if a != b)


def _senses(found: Senses, nodes: set[str], namespaces: set[str]) -> Senses:
    """Of a node that cannot be read nobody knows whose it is; of others their place tells."""
    unread = (u for u in found.unread if u.kind == NODES or u.namespace in namespaces or u.node in nodes)
    return replace(found, unread=tuple(unread))


def _carries(namespace: NamespaceFacts, pool: Pool) -> bool:
    """Whether something of this pool is still on a namespace."""
    labelled = namespace.labels.get(POOL_LABEL) == pool.name
    return labelled or (namespace.quota is not None and namespace.quota.pool == pool.name)


def _concerns(pod: Pod, pool: Pool, nodes: set[str], namespaces: set[str]) -> bool:
    if not any(r in pod.gpus for r in pool.resources):
        return False
    return pod.node in nodes or pod.key.namespace in namespaces


def addressed(requests: Iterable[Request], pool: Pool, namespaces: Collection[str]) -> Iterable[Request]:
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
        ours=facts.ours,
    )


def _namespace(facts: NamespaceFacts, listed: Roster) -> Namespace:
    share = listed.share_of(facts.name, facts.labels)
    return Namespace(
        name=facts.name,
        team=None if share is None else share.team,
        pool_label=facts.labels.get(POOL_LABEL),
        quota=facts.quota,
        foreign=facts.foreign,
        uid=facts.uid,
        queues=facts.queues,
        ours=facts.ours,
    )


def _ending(facts: NamespaceFacts) -> Namespace:
    """A namespace on its way out, which no share has any more: what its quota lets be is committed still."""
    return Namespace(
        name=facts.name,
        team=None,
        pool_label=facts.labels.get(POOL_LABEL),
        quota=facts.quota,
        foreign=facts.foreign,
        uid=facts.uid,
        ending=True,
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

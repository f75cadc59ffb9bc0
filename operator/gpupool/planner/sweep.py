"""What we left of pools that are gone: labels and taints. Their quotas and policies go with their owner.

What others wrote stays, as the labels that an admin gives nodes before there is a pool; but no label of a
pool that does not exist keeps a namespace from being judged by the pool that enforces there.
"""

from __future__ import annotations

from collections.abc import Iterable

from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT
from gpupool.model.plan import LabelNamespace, MarkNode
from gpupool.model.world import World
from gpupool.policy.membership import Membership


def sweep(world: World, found: Membership) -> tuple[LabelNamespace | MarkNode, ...]:
    """Marks to take back, namespaces first, so that no pod is sent to a node that lost its label."""
    pools = {p.name for p in world.pools}
    return (*_namespaces(world, found, pools), *_nodes(world, pools))


def _namespaces(world: World, found: Membership, pools: set[str]) -> Iterable[LabelNamespace]:
    enforced = {p.name for p in found.pools.values() if p.isolates}
    for namespace in world.namespaces:
        pool = namespace.labels.get(POOL_LABEL)
        misleads = found.pool_of_namespace.get(namespace.name) in enforced
        if pool is not None and pool not in pools and (namespace.ours or misleads):
            yield LabelNamespace(namespace.name, None, namespace.uid, theirs=misleads)


def _nodes(world: World, pools: set[str]) -> Iterable[MarkNode]:
    for node in world.nodes:
        tainted = {t.partition("=")[2].partition(":")[0] for t in node.taints if t.startswith(f"{TAINT}=")}
        marks = tainted | {p for p in (node.labels.get(NODE_LABEL),) if p is not None}
        if node.ours and marks - pools:
            yield MarkNode(node.name, None, taint=False, uid=node.uid)

"""What we left of pools that are gone: labels and taints. Their quotas and policies go with their owner.

What others wrote stays, as the labels that an admin gives nodes before there is a pool.
"""

from __future__ import annotations

from collections.abc import Iterable

from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT
from gpupool.model.plan import LabelNamespace, MarkNode
from gpupool.model.world import World


def sweep(world: World) -> tuple[LabelNamespace | MarkNode, ...]:
    """Marks to take back, namespaces first, so that no pod is sent to a node that lost its label."""
    pools = {p.name for p in world.pools}
    return (*_namespaces(world, pools), *_nodes(world, pools))


def _namespaces(world: World, pools: set[str]) -> Iterable[LabelNamespace]:
    for namespace in world.namespaces:
        pool = namespace.labels.get(POOL_LABEL)
        if namespace.ours and pool is not None and pool not in pools:
            yield LabelNamespace(namespace.name, None, namespace.uid)


def _nodes(world: World, pools: set[str]) -> Iterable[MarkNode]:
    for node in world.nodes:
        tainted = {t.partition("=")[2].partition(":")[0] for t in node.taints if t.startswith(f"{TAINT}=")}
        marks = tainted | {p for p in (node.labels.get(NODE_LABEL),) if p is not None}
        if node.ours and marks - pools:
            yield MarkNode(node.name, None, taint=False, uid=node.uid)

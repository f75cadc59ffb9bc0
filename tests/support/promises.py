"""What an observer counts on the simulated cluster: all that could be taken, and all there is (law 2)."""

from __future__ import annotations

from collections.abc import Iterable

from gpupool.model.objects import Quota
from gpupool.simulator.cluster import Cluster
from support.builders import GPU


def committed(cluster: Cluster, walled: Iterable[str]) -> int:
    """GPUs committed behind these namespaces' walls, and held in all others."""
    outside = {p.key.namespace for p in cluster.pods.values()} - set(walled)
    return _walls(cluster, walled) + sum(cluster.held(n, GPU) for n in outside)


def committed_or_promised(cluster: Cluster) -> int:
    """Where no quota stands, what statuses promise counts as much: it comes back with the quota."""
    total = _walls(cluster, cluster.quotas)
    outside = {p.key.namespace for p in cluster.pods.values()} | {k.namespace for k in cluster.requests}
    for name in outside - set(cluster.quotas):
        granted = sum(r.remembered.allowance or 0 for k, r in cluster.requests.items() if k.namespace == name)
        total += max(granted, cluster.charged(name, GPU), cluster.held(name, GPU))
    return total


def admitted(cluster: Cluster, name: str) -> int:
    """What quota lets in, and what it has let in. Pods that linger after their grace are not in it."""
    quota = cluster.quotas[name]
    return max(quota.hard[GPU], quota.status_hard.get(GPU, 0), cluster.charged(name, GPU))


def usable(cluster: Cluster) -> int:
    """GPUs that may be committed: free ones of sound nodes, held ones of all, or what is declared."""
    total = lost = 0
    for node in cluster.nodes.values():
        held = sum(p.template.gpus for p in cluster.pods.values() if p.node == node.name)
        free = node.gpus[GPU] - held if node.ready and node.schedulable else 0
        lost += max(0, node.gpus[GPU] - held - free)
        total += node.gpus[GPU]
    reserve = cluster.pool.reserve[GPU]
    return cluster.pool.declared.get(GPU, total) - lost - reserve + min(reserve, on_loan(cluster))


def on_loan(cluster: Cluster) -> int:
    """GPUs lent to rollouts, and those of loans that are over and that their pods hold still."""
    total = 0
    for name, quota in cluster.quotas.items():
        over = sum(loan.over for loan in quota.loans.values())
        standing = sum(loan.gpus for loan in quota.loans.values())
        total += standing + min(over, max(0, _walls(cluster, (name,)) - quota.hard.get(GPU, 0)))
    return total


def _walls(cluster: Cluster, walled: Iterable[str]) -> int:
    total = 0
    for name in walled:
        quota = cluster.quotas[name]
        charged = max(quota.used.get(GPU, 0), cluster.charged(name, GPU))
        walls = max(quota.hard.get(GPU, 0), quota.status_hard.get(GPU, 0)) + _beside(cluster, name, quota)
        total += max(walls, charged, cluster.held(name, GPU))
    return total


def _beside(cluster: Cluster, name: str, quota: Quota) -> int:
    """GPUs of pods that outstay their grace: quota lets others in beside them."""
    pods = [p for p in cluster.pods.values() if p.key.namespace == name]
    there = sum(p.template.gpus for p in pods)
    going = sum(p.template.gpus for p in pods if p.deleted is not None and p.node is not None)
    return min(going, max(0, there - quota.used.get(GPU, 0))) if GPU in quota.status_hard else 0

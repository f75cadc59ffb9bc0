"""The pool's own objects around pods: node labels and taints, namespace labels, policies.

Going forward nodes come first, so that nobody is sent to a node that does not carry the label yet; going
back the namespaces come first. Back in Observe nothing of ours is left (law 12).
"""

from __future__ import annotations

from collections.abc import Iterable

from gpupool.model.plan import Action, LabelNamespace, MarkNode, SetPolicies
from gpupool.model.pool import Mode, Pool
from gpupool.model.snapshot import Node, Snapshot
from gpupool.policy.membership import TAINT


def actions(snapshot: Snapshot, held: dict[str, int]) -> tuple[Action, ...]:
    """Marks and policies as they should be. `held` is GPUs per namespace on the pool's nodes."""
    marks = tuple(_nodes(snapshot))
    labels = tuple(_namespaces(snapshot, held))
    policies = (policies_of(snapshot),)
    if snapshot.pool.isolates:
        return (*marks, *policies, *labels)
    return (*labels, *policies, *marks)


def policies_of(snapshot: Snapshot) -> SetPolicies:
    """The policies the pool's modes ask for."""
    pool = snapshot.pool
    modes = _modes(snapshot)
    return SetPolicies(
        enforce=pool.isolates,
        recommend=tuple(sorted(n for n, m in modes.items() if m is Mode.RECOMMEND)),
        nodes_labelled=bool(snapshot.nodes) and all(n.pool_label == pool.name for n in snapshot.nodes),
        mutate=snapshot.enforcement.mutate,
    )


def unlabelled(snapshot: Snapshot) -> tuple[str, ...]:
    """Namespaces whose pods are to be judged and are not yet, because their label is still missing."""
    modes = _modes(snapshot)
    return tuple(
        n.name
        for n in snapshot.namespaces
        if modes[n.name] is Mode.ENFORCE and n.pool_label != snapshot.pool.name
    )


def taints(snapshot: Snapshot) -> bool:
    """Whether the pool's nodes are to carry the taint: only when every DaemonSet on them tolerates it."""
    pool = snapshot.pool
    return pool.isolates and pool.taint and not snapshot.intolerant_daemonsets


def _modes(snapshot: Snapshot) -> dict[str, Mode]:
    """The isolation layer's mode of every namespace; without a share it is only looked at."""
    pool = snapshot.pool
    by_team = {s.team: pool.isolation_for(s) for s in pool.shares}
    return {n.name: by_team.get(n.team or "", Mode.OBSERVE) for n in snapshot.namespaces}


def _nodes(snapshot: Snapshot) -> Iterable[MarkNode]:
    busy = {p.node for p in snapshot.pods}
    isolates, tainting = snapshot.pool.isolates, taints(snapshot)
    yield from (MarkNode(n.name, None, taint=False) for n in snapshot.stray_nodes)
    for node in snapshot.nodes:
        if isolates:
            wanted = _mark(snapshot.pool, node, tainting=tainting, in_use=node.name in busy)
        else:
            ours = node.pool_label == snapshot.pool.name
            wanted = MarkNode(node.name, None, taint=False) if ours else None
        if wanted is not None and (wanted.pool != node.pool_label or not _tainted_as(wanted, node)):
            yield wanted


def _tainted_as(wanted: MarkNode, node: Node) -> bool:
    """Whether the node carries our taint exactly as wanted: key, value and effect, and once."""
    ours = [t for t in node.taints if t.startswith(f"{TAINT}=")]
    return ours == ([f"{TAINT}={wanted.pool}:NoSchedule"] if wanted.taint else [])


def _mark(pool: Pool, node: Node, *, tainting: bool, in_use: bool) -> MarkNode | None:
    """The marks of one node under enforced isolation; None where it is left as it is."""
    if not node.selected:
        return None if in_use else MarkNode(node.name, None, taint=False)
    # A new node gets its label first; the taint waits until the device plugin has published GPUs.
    labelled = node.pool_label == pool.name
    return MarkNode(node.name, pool.name, taint=labelled and any(node.gpus.values()) and tainting)


def _proved(snapshot: Snapshot) -> bool:
    return snapshot.enforcement.policies_current and snapshot.enforcement.probe == ()


def _namespaces(snapshot: Snapshot, held: dict[str, int]) -> Iterable[LabelNamespace]:
    pool = snapshot.pool
    # A namespace is judged only once its nodes carry the label and the policies were seen to work: the
    # injecting one takes effect a moment after the denying one, and nobody is to fall in between.
    ready = all(n.pool_label == pool.name for n in snapshot.nodes if n.selected) and _proved(snapshot)
    for stray in snapshot.stray_namespaces:
        if stray.pool_label == pool.name:
            yield LabelNamespace(stray.name, None)
    modes, isolates = _modes(snapshot), pool.isolates
    for namespace in snapshot.namespaces:
        wanted = modes[namespace.name] is Mode.ENFORCE
        if wanted and namespace.pool_label is None and ready:
            yield LabelNamespace(namespace.name, pool.name)
        elif not wanted and namespace.pool_label == pool.name:
            leaving = namespace.team is None and isolates
            if not (leaving and held.get(namespace.name, 0) > 0):
                yield LabelNamespace(namespace.name, None)

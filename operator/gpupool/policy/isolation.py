"""The pool's own objects around pods: node labels and taints, namespace labels, policies.

Going forward nodes come first, so that nobody is sent to a node that does not carry the label yet; going
back the namespaces come first. Back in Observe nothing that we wrote is left, and what an admin or an
autoscaler's template wrote stands as before (law 12).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gpupool.model.marks import TAINT
from gpupool.model.objects import Node
from gpupool.model.plan import Action, LabelNamespace, MarkNode, SetPolicies
from gpupool.model.pool import Mode, Pool
from gpupool.model.snapshot import Snapshot
from gpupool.policy.readiness import waiting


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
        nodes_labelled=_expects(snapshot) and all(n.pool_label == pool.name for n in snapshot.nodes),
        mutate=snapshot.enforcement.mutate,
        rehearse=bool(waiting(pool)),
    )


def _expects(snapshot: Snapshot) -> bool:
    """Whether there are nodes, or an autoscaler is to bring some, labelled as the others are."""
    return bool(snapshot.nodes or snapshot.pool.declared)


def unlabelled(snapshot: Snapshot) -> tuple[str, ...]:
    """Namespaces whose pods are to be judged and are not yet, because their label is still missing."""
    modes = _modes(snapshot)
    return tuple(
        n.name
        for n in snapshot.namespaces
        if modes[n.name] is Mode.ENFORCE and n.pool_label != snapshot.pool.name
    )


def taints(snapshot: Snapshot) -> bool:
    """Whether the pool's nodes may carry the taint: only when every DaemonSet on them tolerates it.

    A taint that stands is taken off for DaemonSets of exempt namespaces alone. Else anybody who may make a
    DaemonSet could open a whole pool by one that tolerates nothing.
    """
    pool = snapshot.pool
    holding = snapshot.intolerant_system if tainted(snapshot) else snapshot.intolerant_daemonsets
    return pool.isolates and pool.taint and not holding


def tainted(snapshot: Snapshot) -> bool:
    """Whether the pool's taint stands on any of its nodes."""
    own = f"{TAINT}={snapshot.pool.name}:NoSchedule"
    return any(own in n.taints for n in snapshot.nodes)


def stranded(snapshot: Snapshot) -> tuple[str, ...]:
    """Pods that a new taint would keep from ever starting: they wait for a node and were never judged.

    A pod that was made before its namespace was judged carries neither selector nor toleration, and nothing
    adds them later.
    """
    modes, pool = _modes(snapshot), snapshot.pool.name
    return tuple(
        str(p.key)
        for p in snapshot.pods
        if p.node is None and p.selects != pool and modes.get(p.key.namespace) is Mode.ENFORCE
    )


def _unjudged(snapshot: Snapshot) -> bool:
    """Whether a namespace is about to be judged: the pods it makes until then tolerate nothing of ours."""
    modes = _modes(snapshot)
    return any(modes[n.name] is Mode.ENFORCE and n.pool_label is None for n in snapshot.namespaces)


def _labels_first(snapshot: Snapshot) -> bool:
    """Where nothing injects the two lines, people can add them only once the nodes carry the label."""
    return bool(waiting(snapshot.pool)) and not snapshot.enforcement.mutate


def _modes(snapshot: Snapshot) -> dict[str, Mode]:
    """The isolation layer's mode of every namespace; without a share it is only looked at."""
    pool = snapshot.pool
    by_team = {s.team: pool.isolation_for(s) for s in pool.shares}
    return {n.name: by_team.get(n.team or "", Mode.OBSERVE) for n in snapshot.namespaces}


def _nodes(snapshot: Snapshot) -> Iterable[MarkNode]:
    busy = {p.node for p in snapshot.pods}
    isolates = snapshot.pool.isolates or _labels_first(snapshot)
    # A taint that stands stays; a new one waits until nobody is left whom it would strand.
    tainting = taints(snapshot)
    adding = tainting and not _unjudged(snapshot) and not stranded(snapshot)
    yield from (_unmark(n) for n in snapshot.stray_nodes if n.ours)
    for node in snapshot.nodes:
        if isolates:
            tainted = tainting if _tainted(node) else adding
            wanted = _mark(snapshot.pool, node, tainting=tainted, in_use=node.name in busy)
        else:
            wanted = _unmark(node) if _ours(node, snapshot.pool) else None
        if wanted is not None and (wanted.pool != node.pool_label or not _tainted_as(wanted, node)):
            yield wanted


def _ours(node: Node, pool: Pool) -> bool:
    """Whether a mark of the pool that we wrote is on a node."""
    return node.ours and (node.pool_label == pool.name or f"{TAINT}={pool.name}:NoSchedule" in node.taints)


def _tainted_as(wanted: MarkNode, node: Node) -> bool:
    """Whether the node carries our taint exactly as wanted: key, value and effect, and once."""
    return _tainted(node) == ([f"{TAINT}={wanted.pool}:NoSchedule"] if wanted.taint else [])


def _tainted(node: Node) -> list[str]:
    """Our taints on a node."""
    return [t for t in node.taints if t.startswith(f"{TAINT}=")]


def _mark(pool: Pool, node: Node, *, tainting: bool, in_use: bool) -> MarkNode | None:
    """The marks of one node under enforced isolation; None where it is left as it is."""
    if not node.selected:
        return None if in_use else replace(_unmark(node), theirs=True)
    # A new node gets its label first; the taint waits until the device plugin has published GPUs. One that
    # arrives with both, as an autoscaler's template makes it, keeps them; so does one that lost its label to
    # somebody's hand, so that nothing is open while it is set back.
    ours = _tainted(node) == [f"{TAINT}={pool.name}:NoSchedule"]
    works = node.pool_label == pool.name and any(node.gpus.values())
    return MarkNode(node.name, pool.name, taint=(works or ours) and tainting, uid=node.uid)


def _unmark(node: Node) -> MarkNode:
    return MarkNode(node.name, None, taint=False, uid=node.uid)


def _proved(snapshot: Snapshot) -> bool:
    return snapshot.enforcement.policies_current and snapshot.enforcement.probe == ()


def _namespaces(snapshot: Snapshot, held: dict[str, int]) -> Iterable[LabelNamespace]:
    pool = snapshot.pool
    # A namespace is judged only once its nodes carry the label and the policies were seen to work: the
    # injecting one takes effect a moment after the denying one, and nobody is to fall in between.
    ready = all(n.pool_label == pool.name for n in snapshot.nodes if n.selected) and _proved(snapshot)
    for stray in snapshot.stray_namespaces:
        if stray.pool_label == pool.name and stray.ours:
            yield LabelNamespace(stray.name, None, stray.uid)
    modes, isolates = _modes(snapshot), pool.isolates
    for namespace in (n for n in snapshot.namespaces if not n.ending):
        wanted = modes[namespace.name] is Mode.ENFORCE
        if wanted and namespace.pool_label is None and ready:
            yield LabelNamespace(namespace.name, pool.name, namespace.uid)
        elif not wanted and namespace.pool_label == pool.name and (isolates or namespace.ours):
            leaving = namespace.team is None and isolates
            if not (leaving and held.get(namespace.name, 0) > 0):
                # While a pool judges anybody, whom it judges is said by it alone.
                yield LabelNamespace(namespace.name, None, namespace.uid, theirs=isolates)

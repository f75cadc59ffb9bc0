"""What stands against a pool: nodes, namespaces and queues of others. Named, never fought over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpupool.model.annotations import QUOTA_NAME
from gpupool.model.plan import Condition, Status
from gpupool.model.snapshot import Snapshot
from gpupool.policy.ledger import name_taken
from gpupool.policy.naming import some


def conflict(snapshot: Snapshot) -> Condition:
    """The condition `Conflict`: the first cause is its reason, the message names all."""
    found = list(_causes(snapshot))
    if not found:
        return Condition("Conflict", Status.FALSE, "NoConflict")
    return Condition("Conflict", Status.TRUE, found[0][0], " ".join(text for _, text in found))


def _causes(snapshot: Snapshot) -> Iterable[tuple[str, str]]:
    if contested := snapshot.enforcement.contested:
        text = "Somebody else rewrites what is the pool's own"
        yield "Rewritten", f"{text}: {some(contested)}. metadata.managedFields there says who."
    if snapshot.namespaces_elsewhere:
        names = _held_by(snapshot.namespaces_elsewhere)
        text = "Shares list namespaces that another pool has until they hold nothing there"
        yield "NamespaceElsewhere", f"{text}: {names}."
    if snapshot.nodes_elsewhere:
        names = _held_by(snapshot.nodes_elsewhere)
        text = "spec.nodes names nodes that another pool has until nothing of it runs there"
        yield "NodeElsewhere", f"{text}: {names}."
    if snapshot.unsure:
        text = (
            "Kueue's LocalQueues are served and cannot be listed, so shares that are not enforced yet stay in"
            " Observe; see that `kubectl get localqueues.kueue.x-k8s.io -A` answers, also to the operator"
        )
        yield "LocalQueuesUnknown", f"{text}: {some(snapshot.unsure)}."

    taken = [n.name for n in snapshot.namespaces if n.team is not None and name_taken(n)]
    if taken:
        text = (
            f"No wall can stand where a ResourceQuota {QUOTA_NAME} is not ours or has scopes, which leave"
            " pods uncounted; delete it, or make it anew under another name"
        )
        yield "QuotaNameTaken", f"{text}: {some(taken)}."

    queues = [f"{n.name}/{q}" for n in snapshot.namespaces if n.team is not None for q in n.queues]
    if queues:
        text = (
            "Kueue's LocalQueues count quota in namespaces of shares, which stay in Observe unless they were"
            " enforced before; keep the queues or the shares"
        )
        yield "LocalQueue", f"{text}: {some(queues)}."


def _held_by(found: Mapping[str, str]) -> str:
    return some(f"{name} (pool {pool})" for name, pool in found.items())

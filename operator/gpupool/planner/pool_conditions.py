"""The conditions of a GpuPool: is it ready, enforced, within capacity, measured, tolerated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpupool.model.marks import TAINT
from gpupool.model.plan import Condition, Status
from gpupool.model.reasons import DataState
from gpupool.model.snapshot import Snapshot
from gpupool.planner import chartguards
from gpupool.planner.conflicts import conflict
from gpupool.planner.readiness_report import readiness
from gpupool.policy.isolation import stranded, tainted, taints, unlabelled
from gpupool.policy.measure import Measures
from gpupool.policy.naming import some
from gpupool.policy.senses import cannot_give, cannot_take
from gpupool.policy.territory import Territory


def conditions(
    snapshot: Snapshot,
    territory: Territory,
    measures: Measures,
    *,
    over: Mapping[str, int],
    short: Mapping[str, int],
) -> tuple[Condition, ...]:
    """All conditions.

    Args:
        snapshot: what was decided on.
        territory: walls of the namespaces.
        measures: what is known of use.
        over: GPUs committed beyond capacity, per resource.
        short: GPUs granted within guarantees beyond all that exist, per resource.
    """
    return (
        _seen(snapshot) or _ready(snapshot),
        _enforced(snapshot, territory),
        _overcommitted(over, short),
        _telemetry(snapshot, measures),
        _daemonsets(snapshot),
        conflict(snapshot),
        *_heterogeneous(snapshot),
        readiness(snapshot),
    )


def _seen(snapshot: Snapshot) -> Condition | None:
    """What is not known well enough to act on, which comes before anything that is said of it."""
    blind = cannot_take(snapshot)
    if blind is None:
        return None
    waits = "granted, lent or evicted" if cannot_give(snapshot) else "lent or evicted"
    return Condition("Ready", Status.FALSE, blind.reason, f"{blind.message} Nothing is {waits} meanwhile.")


def _ready(snapshot: Snapshot) -> Condition:
    if not snapshot.nodes and not snapshot.nodes_claimed_twice and not snapshot.pool.declared:
        return Condition("Ready", Status.FALSE, "NoNodes", "No node matches spec.nodes.")
    if snapshot.nodes_claimed_twice:
        names = some(snapshot.nodes_claimed_twice)
        message = f"Another pool selects these nodes too, so they belong to none: {names}."
        return Condition("Ready", Status.FALSE, "NodeClaimedTwice", message)
    if snapshot.namespaces_claimed_twice:
        names = some(snapshot.namespaces_claimed_twice)
        message = f"Another pool's shares list these namespaces too, so they belong to none: {names}."
        return Condition("Ready", Status.FALSE, "NamespaceClaimedTwice", message)
    broken = next(iter(_promised_too_much(snapshot)), None)
    if broken is not None:
        return Condition("Ready", Status.FALSE, "GuaranteesExceedCapacity", broken)
    return Condition("Ready", Status.TRUE, "Ready", f"{len(snapshot.nodes)} nodes.")


def _promised_too_much(snapshot: Snapshot) -> Iterable[str]:
    """A sentence per resource of which more is guaranteed and reserved than there is."""
    pool = snapshot.pool
    for resource in pool.resources:
        promised = sum(s.guaranteed.get(resource, 0) for s in pool.shares)
        reserve = pool.reserve.get(resource, 0)
        observed = sum(n.gpus.get(resource, 0) for n in snapshot.nodes)
        capacity = pool.declared.get(resource, observed)
        if promised + reserve > capacity:
            yield (
                f"Shares are guaranteed {promised} {resource} and {reserve} are in reserve,"
                f" and the pool has {capacity}."
            )


def _enforced(snapshot: Snapshot, territory: Territory) -> Condition:
    pool = snapshot.pool
    if not (pool.walls or pool.isolates):
        message = f"spec.mode is {pool.mode}: nothing outside this status is enforced."
        return Condition("Enforced", Status.FALSE, pool.mode, message)
    if lost := chartguards.lost(snapshot):
        message = " ".join([chartguards.sentence(lost), *_let_in(snapshot)])
        return Condition("Enforced", Status.FALSE, "Open", message)
    late = [
        n.name
        for n in snapshot.namespaces
        if n.name in territory.walled and (n.quota is None or n.quota.hard != n.quota.status_hard)
    ]
    if late:
        message = f"Quota is not in force yet in {some(late)}."
        return Condition("Enforced", Status.FALSE, "QuotaNotInForce", message)
    message = "Quotas, labels and policies were read back as written."
    if not snapshot.enforcement.guards.installed:
        message += chartguards.NONE
    if held := snapshot.enforcement.outsiders.held:
        message += f" Pods outside the pools are warned, not refused: {held}."
    if (lost := stranded(snapshot)) and taints(snapshot):
        message += (
            f" No new taint is set, because these pods, made before, could never start: {some(lost)}."
            " Delete them, so that their controllers make them anew."
        )
    return (_isolated(snapshot) if pool.isolates else None) or Condition(
        "Enforced", Status.TRUE, "Enforced", message
    )


def _isolated(snapshot: Snapshot) -> Condition | None:
    """What is still open in the isolation of GPU pods."""
    facts = snapshot.enforcement
    unlabelled_nodes = any(n.pool_label != snapshot.pool.name for n in snapshot.nodes)
    if not facts.policies_current or unlabelled_nodes:
        return Condition("Enforced", Status.FALSE, "BeingWritten", "Labels and policies are being written.")
    shared = facts.outsiders
    if (shared.stands and not shared.current) or shared.misses(snapshot.pool.uid):
        return Condition(
            "Enforced", Status.FALSE, "BeingWritten", "Policies for outsiders are being written."
        )
    if facts.probe is None or (shared.stands and shared.probe is None):
        return Condition("Enforced", Status.UNKNOWN, "NotProbed", "The policies have not been probed yet.")
    for message in _let_in(snapshot):
        return Condition("Enforced", Status.FALSE, "Open", message)
    waiting = unlabelled(snapshot)
    if waiting:
        message = f"GPU pods are not judged yet in {some(waiting)}: the label is being written."
        return Condition("Enforced", Status.FALSE, "BeingWritten", message)
    return None


def _let_in(snapshot: Snapshot) -> Iterable[str]:
    """A sentence, if a probe was let in."""
    facts = snapshot.enforcement
    if opened := (*(facts.probe or ()), *(facts.outsiders.probe or ())):
        yield f"These attempts were not refused: {some(opened)}."


def _overcommitted(over: Mapping[str, int], short: Mapping[str, int]) -> Condition:
    if not any(over.values()):
        return Condition("Overcommitted", Status.FALSE, "WithinCapacity")
    message = f"Committed beyond capacity: {_counted(over)}. Nothing is raised until this is gone."
    if not any(short.values()):
        return Condition("Overcommitted", Status.TRUE, "CommitmentsExceedCapacity", message)
    broken = f"Guarantees are short of {_counted(short)}: nothing guaranteed is cut, borrowed GPUs go back."
    return Condition("Overcommitted", Status.TRUE, "GuaranteesShort", f"{broken} {message}")


def _counted(gpus: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {r}" for r, n in sorted(gpus.items()) if n > 0)


def _heterogeneous(snapshot: Snapshot) -> Iterable[Condition]:
    """Quota counts names, not models: GPUs of two models under one name cannot be told apart."""
    for resource in snapshot.pool.resources:
        models = sorted({n.model for n in snapshot.nodes if n.model and n.gpus.get(resource, 0) > 0})
        if len(models) > 1:
            message = (
                f"{resource} is {some(models)} in this pool, and a request cannot say which:"
                " split the pool by model."
            )
            yield Condition("Heterogeneous", Status.TRUE, "SeveralModels", message)
            return


def _telemetry(snapshot: Snapshot, measures: Measures) -> Condition:
    usage = snapshot.usage
    found = "".join(f" {sentence}." for sentence in usage.findings)
    if not usage.fresh:
        message = f"{usage.problem}. Nothing is taken for under-use meanwhile.{found}"
        return Condition("TelemetryHealthy", Status.FALSE, usage.reason, message)
    bad = [f"{n} {m.state}" for n, m in sorted(measures.namespaces.items()) if m.state is not DataState.OK]
    if bad:
        message = f"Samples are not good in: {some(bad)}. Nothing is taken for under-use there.{found}"
        return Condition("TelemetryHealthy", Status.FALSE, "BadData", message)
    return Condition("TelemetryHealthy", Status.TRUE, "Fresh", found.strip())


def _daemonsets(snapshot: Snapshot) -> Condition:
    if not snapshot.intolerant_daemonsets:
        return Condition("DaemonSetsTolerate", Status.TRUE, "AllTolerate")
    names = some(snapshot.intolerant_daemonsets)
    said = f"No taint is set, because these DaemonSets would not come back: {names}."
    if taints(snapshot) and tainted(snapshot):
        said = f"The taint was there before these DaemonSets, whose pods do not come to the nodes: {names}."
    message = f"{said} Add a toleration for key {TAINT}."
    return Condition("DaemonSetsTolerate", Status.FALSE, "NotTolerated", message)

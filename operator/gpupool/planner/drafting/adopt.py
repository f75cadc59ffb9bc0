"""Drafts for a cluster that has a life already: shares and requests of what runs today, for people to read.

Nothing here is a decision. A draft never asks for less than what is held, so that applying it takes nothing
from anybody.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gpupool.model.objects import ObjectRef, Pod
from gpupool.model.pool import Share
from gpupool.model.snapshot import Snapshot
from gpupool.planner.drafting.draft import Draft, Hints, Workload
from gpupool.planner.drafting.shares import fitting, remarks, shares
from gpupool.policy.attribution import attribute

APP_LABELS = ("app.kubernetes.io/name", "app", "k8s-app")
"""Labels by which people group pods that no controller owns; the first one found counts."""
_TEAM = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_NO_NAME = re.compile(r"[^a-z0-9.-]+")
LONGEST_NAME = 63
"""Characters of a draft's name: it may become a label's value."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """All drafts: shares to be added or widened, and requests."""

    shares: tuple[Share, ...] = ()
    widened: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drafts: tuple[Draft, ...] = ()
    remarks: tuple[str, ...] = ()


def adopt(snapshot: Snapshot, hints: Hints) -> Adoption:
    """Draft what is missing in the pool: what is shared and asked for already is left alone."""
    teams = _teams(snapshot, hints)
    drafts = tuple(_drafts(snapshot, hints, teams))
    added, widened = shares(snapshot, teams, drafts)
    promised, fits = fitting(snapshot, added)
    return Adoption(promised, widened, drafts, tuple(remarks(snapshot, promised, drafts, teams, fits=fits)))


def _teams(snapshot: Snapshot, hints: Hints) -> dict[str, str]:
    """The team of every namespace: its share's, what its label says, else its own name."""
    found = {}
    for namespace in snapshot.namespaces:
        label = hints.teams.get(namespace.name, "")
        hinted = label if _TEAM.fullmatch(label) else namespace.name
        found[namespace.name] = namespace.team or hinted
    return found


# ------------------------------------------------------------------ requests


def _drafts(snapshot: Snapshot, hints: Hints, teams: Mapping[str, str]) -> Iterable[Draft]:
    taken: dict[str, set[str]] = defaultdict(set)
    for request in snapshot.requests:
        taken[request.key.namespace].add(request.key.name)
    for workload, pods in sorted(_workloads(snapshot), key=lambda found: str(found[0])):
        name = _name(workload, taken[workload.namespace])
        taken[workload.namespace].add(name)
        yield _draft(snapshot, hints, teams, workload, pods=pods, name=name)


def _workloads(snapshot: Snapshot) -> Iterable[tuple[Workload, Sequence[Pod]]]:
    """Pods that no request answers for, by workload."""
    system = {n.name for n in snapshot.namespaces if n.system}
    found: dict[Workload, list[Pod]] = defaultdict(list)
    for namespace, pods in attribute(snapshot).unattributed.items():
        for pod in pods:
            resource = next((r for r in snapshot.pool.resources if pod.gpus.get(r)), None)
            if resource is not None and namespace not in system:
                found[_workload(pod, resource)].append(pod)
    return found.items()


def _workload(pod: Pod, resource: str) -> Workload:
    namespace = pod.key.namespace
    if pod.owner is not None:
        return Workload(namespace, resource, ref=pod.owner)
    label = next(((k, v) for k in APP_LABELS if (v := pod.labels.get(k))), None)
    if label is not None:
        return Workload(namespace, resource, label=label)
    return Workload(namespace, resource, ref=ObjectRef("v1", "Pod", pod.key.name))


def _name(workload: Workload, taken: set[str]) -> str:
    plain = _NO_NAME.sub("-", workload.name.lower())[:LONGEST_NAME].strip("-.") or "workload"
    kind = workload.ref.kind.lower() if workload.ref is not None else "pods"
    numbered = (f"{plain[: LONGEST_NAME - 24]}-{kind[:16]}-{n}" for n in range(2, len(taken) + 3))
    longer = f"{plain[: LONGEST_NAME - 24]}-{kind[:16]}"
    return next(n for n in (plain, longer, *numbered) if n not in taken)


def _draft(
    snapshot: Snapshot,
    hints: Hints,
    teams: Mapping[str, str],
    workload: Workload,
    *,
    pods: Sequence[Pod],
    name: str,
) -> Draft:
    members = {n.name for n in snapshot.nodes}
    wanted = sum(p.gpus.get(workload.resource, 0) for p in pods)
    held = sum(p.gpus.get(workload.resource, 0) for p in pods if p.node in members)
    peak = hints.peaks.get((workload.namespace, workload.name))
    contacts = sorted({c for p in pods if (c := hints.contacts.get(p.key))})
    return Draft(
        name=name,
        workload=workload,
        team=teams[workload.namespace],
        contact=contacts[0] if contacts else None,
        gpus=max(wanted, peak or 0),
        held=held,
        pods=len(pods),
        peak=peak,
        use=_use(hints, pods),
    )


def _use(hints: Hints, pods: Iterable[Pod]) -> int | None:
    """Percent of the time that the GPUs were busy, in steps of 5; None where nothing was seen."""
    rows = [hints.use[p.key] for p in pods if p.key in hints.use]
    seen = sum(s for _, s in rows)
    return None if not seen else min(100, max(5, 5 * round(20 * sum(b for b, _ in rows) / seen)))

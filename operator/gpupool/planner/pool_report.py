"""The status of a GpuPool: the table of granted, held and busy GPUs per share, the queue, the conditions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from gpupool.model.plan import Condition, PoolStatus, QueueRow, RequestStatus, ShareRow, Status
from gpupool.model.pool import Share
from gpupool.model.reasons import DataState, Phase
from gpupool.model.snapshot import Namespace, Snapshot
from gpupool.planner.decision import Decision
from gpupool.policy.attribution import Books, gpus
from gpupool.policy.isolation import policies_of
from gpupool.policy.ledger import enforced
from gpupool.policy.measure import Measures

LONGEST_QUEUE = 20


def status(
    snapshot: Snapshot,
    books: Books,
    measures: Measures,
    decisions: Mapping[str, Decision],
    requests: tuple[RequestStatus, ...],
) -> PoolStatus:
    """The whole status of the pool."""
    rows = tuple(_rows(snapshot, measures, decisions))
    over = {r: max(0, -_free(d)) for r, d in decisions.items()}
    return PoolStatus(
        generation=snapshot.pool.generation,
        total={r: d.desk.ledger.total for r, d in decisions.items()},
        usable={r: d.desk.ledger.usable for r, d in decisions.items()},
        granted=_sum(r.granted for r in rows),
        lent=_sum(r.lent for r in rows),
        held=_sum(r.held for r in rows),
        busy=_sum(r.busy for r in rows),
        unattributed={r: sum(gpus(p, r) for p in books.unattributed.values()) for r in decisions},
        overcommitted=over,
        shares=rows,
        queue=_queue(snapshot, requests),
        counts=_counts(requests),
        conditions=tuple(_conditions(snapshot, measures, over)),
    )


def _free(decision: Decision) -> int:
    """Room before anything was kept for guarantees."""
    return decision.desk.room + sum(o.gpus for o in decision.outcome.owed)


def _sum(maps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in maps:
        total.update(counts)
    return dict(total)


def _rows(snapshot: Snapshot, measures: Measures, decisions: Mapping[str, Decision]) -> Iterable[ShareRow]:
    by_team: dict[str, list[Namespace]] = defaultdict(list)
    for namespace in snapshot.namespaces:
        if namespace.team is not None:
            by_team[namespace.team].append(namespace)
    for share in snapshot.pool.shares:
        yield _row(measures, decisions, share.team, share, by_team.get(share.team, []))
    for namespace in snapshot.namespaces:
        if namespace.team is None and not namespace.system:
            yield _row(measures, decisions, namespace.name, None, [namespace])


def _row(
    measures: Measures,
    decisions: Mapping[str, Decision],
    team: str,
    share: Share | None,
    namespaces: Iterable[Namespace],
) -> ShareRow:
    names = sorted(n.name for n in namespaces)
    claims = {r: [c for c in d.desk.claims if share and c.share.team == team] for r, d in decisions.items()}
    usable = {r: d.desk.ledger.usable for r, d in decisions.items()}
    first = next(iter(decisions))
    return ShareRow(
        team=team,
        declared=share is not None,
        namespaces=tuple(names),
        guaranteed={r: share.guaranteed.get(r, 0) for r in decisions} if share else {},
        limit={r: share.limit.get(r, usable[r]) for r in decisions} if share else {},
        granted={r: sum(c.granted for c in own) for r, own in claims.items()},
        lent={r: sum(c.lent for c in own) for r, own in claims.items()},
        held={r: sum(d.desk.ledger.books[n].held for n in names) for r, d in decisions.items()},
        # Samples are per pod, and a pod asks for one GPU resource: they are shown on the pool's first.
        busy={first: sum(measures.around(n).busy for n in names)},
    )


def _queue(snapshot: Snapshot, requests: Iterable[RequestStatus]) -> tuple[QueueRow, ...]:
    teams = {n.name: n.team or "" for n in snapshot.namespaces}
    waiting = [r for r in requests if r.position > 0 and r.queued_at is not None]
    rows = [
        QueueRow(
            key=r.key,
            team=teams.get(r.key.namespace, ""),
            resource=r.resource,
            gpus=r.asked - r.granted,
            position=r.position,
            reason=r.verdict.reason,
            since=r.queued_at or snapshot.now,
        )
        for r in waiting
    ]
    return tuple(sorted(rows, key=lambda q: (q.position, q.since, q.key))[:LONGEST_QUEUE])


def _counts(requests: tuple[RequestStatus, ...]) -> dict[str, int]:
    phases = Counter(r.phase for r in requests)
    return {"requests": len(requests), **{p.lower(): phases.get(p, 0) for p in Phase}}


def _conditions(snapshot: Snapshot, measures: Measures, over: Mapping[str, int]) -> Iterable[Condition]:
    yield _ready(snapshot)
    yield _enforced(snapshot)
    yield _overcommitted(over)
    yield _telemetry(snapshot, measures)
    yield _daemonsets(snapshot)


def _ready(snapshot: Snapshot) -> Condition:
    if not snapshot.nodes:
        return Condition("Ready", Status.FALSE, "NoNodes", "No node matches spec.nodes.")
    if snapshot.nodes_claimed_twice:
        names = ", ".join(snapshot.nodes_claimed_twice[:5])
        return Condition(
            "Ready",
            Status.FALSE,
            "NodeClaimedTwice",
            f"Another pool selects these nodes too, so they belong to none: {names}.",
        )
    if snapshot.namespaces_claimed_twice:
        names = ", ".join(snapshot.namespaces_claimed_twice[:5])
        return Condition(
            "Ready",
            Status.FALSE,
            "NamespaceClaimedTwice",
            f"Another pool's shares list these namespaces too, so they belong to none: {names}.",
        )
    promised = {r: sum(s.guaranteed.get(r, 0) for s in snapshot.pool.shares) for r in snapshot.pool.resources}
    capacity = {r: sum(n.gpus.get(r, 0) for n in snapshot.nodes) for r in promised}
    capacity |= {r: n for r, n in snapshot.pool.declared.items() if r in promised}
    broken = [r for r in promised if promised[r] + snapshot.pool.reserve.get(r, 0) > capacity[r]]
    if broken:
        r = broken[0]
        return Condition(
            "Ready",
            Status.FALSE,
            "GuaranteesExceedCapacity",
            f"Shares are guaranteed {promised[r]} {r} and {snapshot.pool.reserve.get(r, 0)} are in reserve,"
            f" and the pool has {capacity[r]}.",
        )
    return Condition("Ready", Status.TRUE, "Ready", f"{len(snapshot.nodes)} nodes.")


def _enforced(snapshot: Snapshot) -> Condition:
    pool, facts = snapshot.pool, snapshot.enforcement
    if not (pool.walls or pool.isolates):
        return Condition(
            "Enforced",
            Status.FALSE,
            pool.mode,
            f"spec.mode is {pool.mode}: nothing outside this status is enforced.",
        )
    late = [
        n.name
        for n in snapshot.namespaces
        if enforced(snapshot, n) and (n.quota is None or n.quota.hard != n.quota.status_hard)
    ]
    if late:
        return Condition(
            "Enforced",
            Status.FALSE,
            "QuotaNotInForce",
            f"Quota is not in force yet in {', '.join(late[:5])}.",
        )
    if pool.isolates:
        if not facts.policies_current or not policies_of(snapshot).nodes_labelled:
            return Condition(
                "Enforced", Status.FALSE, "BeingWritten", "Labels and policies are being written."
            )
        if facts.probe is None:
            return Condition(
                "Enforced", Status.UNKNOWN, "NotProbed", "The policies have not been probed yet."
            )
        if facts.probe:
            return Condition(
                "Enforced",
                Status.FALSE,
                "Open",
                f"These attempts were not refused: {', '.join(facts.probe)}.",
            )
    return Condition(
        "Enforced", Status.TRUE, "Enforced", "Quotas, labels and policies were read back as written."
    )


def _overcommitted(over: Mapping[str, int]) -> Condition:
    found = {r: n for r, n in over.items() if n > 0}
    if not found:
        return Condition("Overcommitted", Status.FALSE, "WithinCapacity", "")
    text = ", ".join(f"{n} {r}" for r, n in sorted(found.items()))
    return Condition(
        "Overcommitted",
        Status.TRUE,
        "CommitmentsExceedCapacity",
        f"Committed beyond capacity: {text}. Nothing is raised until this is gone.",
    )


def _telemetry(snapshot: Snapshot, measures: Measures) -> Condition:
    if not snapshot.usage.fresh:
        return Condition(
            "TelemetryHealthy",
            Status.FALSE,
            "NoFreshTelemetry",
            f"{snapshot.usage.problem}. Nothing is taken for under-use meanwhile.",
        )
    bad = {n: m.state for n, m in sorted(measures.namespaces.items()) if m.state is not DataState.OK}
    if bad:
        text = ", ".join(f"{n} {s}" for n, s in list(bad.items())[:5])
        return Condition("TelemetryHealthy", Status.FALSE, "BadData", f"Samples are not good in: {text}.")
    return Condition("TelemetryHealthy", Status.TRUE, "Fresh", "")


def _daemonsets(snapshot: Snapshot) -> Condition:
    if not snapshot.intolerant_daemonsets:
        return Condition("DaemonSetsTolerate", Status.TRUE, "AllTolerate", "")
    names = ", ".join(snapshot.intolerant_daemonsets[:5])
    return Condition(
        "DaemonSetsTolerate",
        Status.FALSE,
        "NotTolerated",
        f"No taint is set, because these DaemonSets would not come back: {names}."
        " Add a toleration for key gpupool.dev/pool.",
    )

"""The status of a GpuPool: the table of granted, held and busy GPUs per share, and the queue."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gpupool.model.plan import ForeignRow, PoolStatus, QueueRow, RequestStatus, ShareRow
from gpupool.model.reasons import Phase
from gpupool.model.snapshot import Snapshot
from gpupool.planner.decision import Decision
from gpupool.planner.pool_conditions import conditions
from gpupool.planner.readiness_report import would_be_denied
from gpupool.policy.attribution import Books, gpus
from gpupool.policy.desk import queues
from gpupool.policy.measure import Measures
from gpupool.policy.provisioning import observed
from gpupool.policy.shortage import short_guarantees
from gpupool.policy.territory import Territory

LONGEST_QUEUE = 20


def status(
    snapshot: Snapshot,
    *,
    territory: Territory,
    books: Books,
    measures: Measures,
    decisions: Mapping[str, Decision],
    requests: tuple[RequestStatus, ...],
) -> PoolStatus:
    """The whole status of the pool."""
    rows = tuple(_rows(snapshot, measures, decisions))
    over = {r: max(0, -d.desk.free) for r, d in decisions.items()}
    short = {r: short_guarantees(d.desk) for r, d in decisions.items()}
    return PoolStatus(
        generation=snapshot.pool.generation,
        total={r: d.desk.ledger.total for r, d in decisions.items()},
        usable={r: d.desk.ledger.usable for r, d in decisions.items()},
        granted=_sum(r.granted for r in rows),
        lent=_sum(r.lent for r in rows),
        held=_sum(r.held for r in rows),
        busy={**_nothing(decisions), **_sum(r.busy for r in rows)} if all(r.busy for r in rows) else {},
        unattributed={
            r: sum(gpus(books.unattributed.get(n, ()), r) for n in d.desk.ledger.books)
            for r, d in decisions.items()
        },
        overcommitted=over,
        surge={r: d.desk.on_loan for r, d in decisions.items()},
        shares=rows,
        queue=_queue(snapshot, requests),
        waiting={
            r: sum(s.asked - s.granted for s in requests if s.position > 0 and s.resource == r)
            for r in decisions
        },
        counts=_counts(requests),
        conditions=conditions(snapshot, territory, measures, over=over, short=short),
        observed={r: observed(snapshot, r) for r in snapshot.pool.declared if r in decisions},
        provisioning={
            r: sum(d.provisioning.values()) for r, d in decisions.items() if r in snapshot.pool.declared
        },
        foreign=tuple(_foreign(snapshot)),
        would_be_denied=would_be_denied(snapshot),
    )


def _foreign(snapshot: Snapshot) -> Iterable[ForeignRow]:
    """All that others count quota with in the pool's namespaces, whatever it allows."""
    for namespace in snapshot.namespaces:
        for quota in namespace.foreign:
            hard = {r: n for r, n in quota.hard.items() if r in snapshot.pool.resources}
            if hard:
                yield ForeignRow("ResourceQuota", namespace.name, quota.name, hard)
        for queue in namespace.queues:
            yield ForeignRow("LocalQueue", namespace.name, queue)


def _nothing(decisions: Mapping[str, Decision]) -> dict[str, int]:
    """No busy GPU, said of the pool's first resource, on which samples are shown."""
    return {next(iter(decisions)): 0}


def _sum(maps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in maps:
        total.update(counts)
    return dict(total)


def _rows(snapshot: Snapshot, measures: Measures, decisions: Mapping[str, Decision]) -> Iterable[ShareRow]:
    """One row per share, then one per namespace that holds GPUs without a share."""
    namespaces: dict[str, list[str]] = defaultdict(list)
    for namespace in snapshot.namespaces:
        namespaces[namespace.team or ""].append(namespace.name)
    claims = {r: queues([c for c in d.desk.claims if not c.unowned]) for r, d in decisions.items()}
    for share in snapshot.pool.shares:
        own = {r: by_team.get(share.team, []) for r, by_team in claims.items()}
        usable = {r: d.desk.ledger.usable for r, d in decisions.items()}
        yield replace(
            _holding(measures, decisions, share.team, namespaces[share.team]),
            declared=True,
            guaranteed={r: share.guaranteed.get(r, 0) for r in decisions},
            limit={r: share.limit.get(r, usable[r]) for r in decisions},
            granted={r: sum(c.granted for c in found) for r, found in own.items()},
            lent={r: sum(c.lent for c in found) for r, found in own.items()},
        )
    for namespace in snapshot.namespaces:
        if namespace.team is None and not namespace.system:
            yield _holding(measures, decisions, namespace.name, [namespace.name])


def _holding(
    measures: Measures, decisions: Mapping[str, Decision], team: str, namespaces: Iterable[str]
) -> ShareRow:
    """A row with what its namespaces hold, and nothing granted."""
    names = tuple(sorted(namespaces))
    nothing = dict.fromkeys(decisions, 0)
    return ShareRow(
        team=team,
        declared=False,
        namespaces=names,
        guaranteed={},
        limit={},
        granted=nothing,
        lent=nothing,
        held={r: sum(d.desk.ledger.books[n].held for n in names) for r, d in decisions.items()},
        # Samples are per pod, and a pod asks for one GPU resource: they are shown on the pool's first.
        busy=_busy(measures, next(iter(decisions)), names),
    )


def _busy(measures: Measures, resource: str, namespaces: Iterable[str]) -> dict[str, int]:
    """Held GPUs that worked; nothing at all where that is not known of one of the namespaces (law 1)."""
    found = [measures.around(n) for n in namespaces]
    return {resource: sum(m.busy for m in found)} if all(m.known for m in found) else {}


def _queue(snapshot: Snapshot, requests: Iterable[RequestStatus]) -> tuple[QueueRow, ...]:
    teams = {n.name: n.team or "" for n in snapshot.namespaces}
    waiting = [r for r in requests if r.position > 0]
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

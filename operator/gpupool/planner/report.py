"""From decisions to what people read: statuses, conditions, Events. No decision is made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpupool.model.plan import Action, Evict, Notice, Plan, RequestStatus
from gpupool.model.snapshot import Key, Snapshot
from gpupool.planner import pool_report, request_report
from gpupool.planner.decision import Decision
from gpupool.policy.attribution import Books
from gpupool.policy.explain import convene
from gpupool.policy.measure import Measures


def write(
    snapshot: Snapshot,
    books: Books,
    measures: Measures,
    decisions: Mapping[str, Decision],
    actions: tuple[Action, ...],
) -> Plan:
    """The plan of a cycle."""
    requests: dict[Key, RequestStatus] = {}
    notices: list[Notice] = []
    for decision in decisions.values():
        court = convene(snapshot.pool.name, snapshot.pool.visibility, decision.desk, decision.outcome)
        for claim in decision.desk.claims:
            if not claim.unowned:
                found = request_report.status(snapshot, books, measures, decision, court=court, claim=claim)
                requests[claim.key] = found
                notices += request_report.notices(snapshot, decision, claim, found)
    for request in snapshot.requests:
        if request.key not in requests:
            requests[request.key] = request_report.ungoverned(snapshot, request)
    ordered = tuple(requests[k] for k in sorted(requests))
    return Plan(
        pool=snapshot.pool.name,
        actions=actions,
        requests=ordered,
        status=pool_report.status(snapshot, books, measures, decisions, ordered),
        notices=(*notices, *_evicted(snapshot, actions)),
    )


def _evicted(snapshot: Snapshot, actions: Iterable[Action]) -> Iterable[Notice]:
    uids = {r.key: r.uid for r in snapshot.requests}
    for action in actions:
        if isinstance(action, Evict) and action.request:
            key = Key(action.pod.namespace, action.request)
            yield Notice(
                "CapacityRequest",
                key,
                uids.get(key, ""),
                "PDBOverridden" if action.force else "Recalled",
                f"Pod {action.pod.name} is asked to leave: its GPUs go back to the share"
                " they were borrowed from.",
                warning=True,
            )

"""From decisions to what people read: statuses, conditions, Events. No decision is made here."""

from __future__ import annotations

from collections.abc import Mapping

from gpupool.model.objects import Key
from gpupool.model.plan import Action, Notice, Plan, RequestStatus
from gpupool.model.snapshot import Snapshot
from gpupool.planner import notices, pool_report, readiness_report, request_report
from gpupool.planner.decision import Decision
from gpupool.policy.attribution import Books
from gpupool.policy.explain import convene
from gpupool.policy.foreign import smallest
from gpupool.policy.measure import Measures
from gpupool.policy.senses import cannot_give
from gpupool.policy.territory import Territory


def write(
    snapshot: Snapshot,
    *,
    territory: Territory,
    books: Books,
    measures: Measures,
    decisions: Mapping[str, Decision],
    actions: tuple[Action, ...],
) -> Plan:
    """The plan of a cycle."""
    requests: dict[Key, RequestStatus] = {}
    told: list[Notice] = []
    for decision in decisions.values():
        court = convene(
            snapshot.pool.name,
            snapshot.pool.visibility,
            decision.desk,
            decision.outcome,
            decision.need,
            foreign=smallest(snapshot, decision.desk.ledger.resource),
            blind=cannot_give(snapshot),
        )
        for claim in decision.desk.claims:
            if not claim.unowned:
                found = request_report.status(snapshot, books, measures, decision, court=court, claim=claim)
                requests[claim.key] = found
                told += notices.of_request(snapshot, decision, claim, found)
        told += notices.of_unowned(snapshot, decision)
    for request in snapshot.requests:
        if request.key not in requests:
            found = request_report.ungoverned(snapshot, request)
            requests[request.key] = found
            told += notices.of_standing(request, found)
    ordered = tuple(requests[k] for k in sorted(requests))
    return Plan(
        pool=snapshot.pool.name,
        actions=actions,
        requests=ordered,
        status=pool_report.status(
            snapshot,
            territory=territory,
            books=books,
            measures=measures,
            decisions=decisions,
            requests=ordered,
        ),
        notices=(*told, *notices.of_evictions(snapshot, actions), *readiness_report.notices(snapshot)),
    )

"""The decision of one cycle of one pool, as a list of steps that can be read aloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpupool.model.objects import Key
from gpupool.model.plan import Action, Plan
from gpupool.model.snapshot import Snapshot
from gpupool.planner import report
from gpupool.planner.decision import Decision
from gpupool.policy import isolation, ledger, quotas, rebuilding, recall, reclaim, surge
from gpupool.policy.allocation import Outcome, allocate
from gpupool.policy.attribution import Books, attribute
from gpupool.policy.desk import Desk
from gpupool.policy.eviction import evictions
from gpupool.policy.measure import Measures, measure
from gpupool.policy.provisioning import provisioning
from gpupool.policy.senses import cannot_give, cannot_take, seen
from gpupool.policy.slo import admission
from gpupool.policy.slo.stake import Stake, briefed, stakes
from gpupool.policy.territory import Territory, territory_of


@dataclass(frozen=True, slots=True)
class Decided:
    """All decisions of one moment, what they rest on, and what they come to."""

    territory: Territory
    books: Books
    measures: Measures
    decisions: Mapping[str, Decision]
    actions: tuple[Action, ...]


def make_plan(snapshot: Snapshot) -> Plan:
    """What this cycle does and says. Same snapshot, same plan, byte for byte (law 9)."""
    found = decide(snapshot)
    return report.write(
        snapshot,
        territory=found.territory,
        books=found.books,
        measures=found.measures,
        decisions=found.decisions,
        actions=found.actions,
    )


def decide(snapshot: Snapshot) -> Decided:
    """What this cycle does, without what it says."""
    territory = territory_of(snapshot)
    books = attribute(snapshot)
    measures = measure(snapshot, books)
    behind = stakes(snapshot, books)
    decisions = {
        r: decide_resource(snapshot, territory, books, measures, r, behind=behind)
        for r in snapshot.pool.resources
    }
    desks = {r: d.desk for r, d in decisions.items()}
    held = {
        n.name: sum(d.ledger.books[n.name].held for d in desks.values())
        for n in snapshot.namespaces
        if not n.system
    }
    actions: tuple[Action, ...] = (
        *seen(snapshot, quotas.actions(snapshot, territory, desks)),
        *isolation.actions(snapshot, held),
        *(e for d in decisions.values() for e in d.evictions),
    )
    return Decided(territory, books, measures, decisions, actions)


def decide_resource(
    snapshot: Snapshot,
    territory: Territory,
    books: Books,
    measures: Measures,
    resource: str,
    *,
    behind: Mapping[Key, Stake],
) -> Decision:
    """Decide one resource. The order of these steps is the policy.

    Each step changes the desk that the next one reads: what is taken is known before anything is given, what
    is given before its owner's need is counted, and pods are chosen once every wall is known.
    """
    counts = ledger.build(snapshot, territory, resource)
    claims = rebuilding.claims(snapshot, territory, books, counts)
    known = (briefed(c, behind.get(c.key), snapshot.now) for c in claims)
    desk = Desk(counts, known, surge.standing(snapshot, resource))
    under_way = surge.rollouts(snapshot, desk, behind)
    surge.carry(snapshot, desk, under_way)
    # Lowering first: whatever the steps below give, they give of what the snapshot shows to be free.
    recall.lower(desk)
    rebuilding.reopen(desk)
    findings = reclaim.advance(snapshot, desk, books, measures)
    admission.judge(desk, behind, snapshot.pool.slo_gate, snapshot.now)
    outcome = allocate(desk) if cannot_give(snapshot) is None else Outcome()
    need = recall.decide(snapshot, desk, outcome)
    surge.decide(snapshot, desk, under_way)
    reclaim.settle(snapshot, desk)
    leaving = evictions(snapshot, desk, books, need.pods) if cannot_take(snapshot) is None else ()
    said = reclaim.look_again(snapshot, desk, findings)
    return Decision(desk, outcome, need, said, leaving, provisioning(snapshot, desk), behind)

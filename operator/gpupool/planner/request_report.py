"""The status of one CapacityRequest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from gpupool.model.objects import Request
from gpupool.model.plan import Condition, RequestStatus, Status, Verdict
from gpupool.model.pool import Mode
from gpupool.model.reasons import Phase, Reason, Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.decision import Decision
from gpupool.policy.attribution import Books, held
from gpupool.policy.claims import Claim
from gpupool.policy.explain import Court, explain
from gpupool.policy.measure import Measures
from gpupool.policy.provisioning import observed
from gpupool.policy.reclaim import Finding
from gpupool.policy.slo.wanting import wanting
from gpupool.policy.underuse import Answer

REFUSALS = {
    Reason.ABOVE_GUARANTEE,
    Reason.ABOVE_LIMIT,
    Reason.ABOVE_CAPACITY,
    Reason.OTHER_POOL,
    Reason.UNKNOWN_RESOURCE,
    Reason.SLO_MET,
    Reason.REPLICAS_DO_NOT_HELP,
}


def status(
    snapshot: Snapshot, books: Books, measures: Measures, decision: Decision, *, court: Court, claim: Claim
) -> RequestStatus:
    """The whole status of a governed request."""
    found = measures.of(claim.key)
    finding = decision.findings[claim.key]
    verdict = _with_nodes(snapshot, decision, claim, explain(court, claim))
    memory = claim.request.remembered
    known = found.known
    return RequestStatus(
        key=claim.key,
        generation=claim.request.generation,
        phase=phase(claim, verdict),
        pool=snapshot.pool.name,
        resource=claim.request.resource,
        verdict=verdict,
        conditions=(
            *_conditions(books, claim, verdict, finding),
            *_nodes_to_come(snapshot, decision, claim),
            *_wanting(snapshot, decision, claim),
        ),
        granted=claim.granted,
        allowance=claim.allowance,
        used=claim.used,
        held=claim.held,
        busy=found.busy if known else None,
        demand=claim.demand,
        position=court.positions.get(claim.key, 0) if claim.missing else 0,
        efficiency=finding.evidence.efficiency if known and claim.granted else None,
        activity=found.activity,
        coverage=found.coverage,
        data_state=found.state,
        timer=claim.timer,
        stage_message=_stage_message(finding, claim),
        asked=claim.request.gpus,
        queued_at=claim.since,
        granted_at=_granted_at(snapshot.now, claim),
        proved_at=snapshot.now if _proved(snapshot.now, claim) else memory.proved_at,
        quiet_since=snapshot.now if _lending_changed(claim) else memory.quiet_since,
        released=claim.released,
        uid=claim.request.uid,
    )


def _with_nodes(snapshot: Snapshot, decision: Decision, claim: Claim, verdict: Verdict) -> Verdict:
    """A grant above what exists says so."""
    if verdict.reason is not Reason.GRANTED or claim.key not in decision.provisioning:
        return verdict
    text = f"{verdict.message} {_to_come(snapshot, decision, claim)}"
    return replace(verdict, reason=Reason.PROVISIONING, message=text)


def _to_come(snapshot: Snapshot, decision: Decision, claim: Claim) -> str:
    resource = claim.request.resource
    return (
        f"{decision.provisioning[claim.key]} of them are on no node yet: pool {snapshot.pool.name} has"
        f" {observed(snapshot, resource)} of the {snapshot.pool.declared[resource]} declared {resource},"
        " and Pending pods bring the others."
    )


def _nodes_to_come(snapshot: Snapshot, decision: Decision, claim: Claim) -> Iterable[Condition]:
    if claim.key in decision.provisioning:
        yield Condition("Provisioning", Status.TRUE, "NodesToCome", _to_come(snapshot, decision, claim))


def _wanting(snapshot: Snapshot, decision: Decision, claim: Claim) -> Iterable[Condition]:
    stake = decision.stakes.get(claim.key)
    found = None if stake is None else wanting(claim, stake, snapshot.now)
    if found is not None:
        yield Condition("WantsMoreGPUs", Status.TRUE, found.reason, found.message)


def phase(claim: Claim, verdict: Verdict) -> Phase:
    """Summary of where a request stands."""
    if _whole(claim):
        return Phase.GRANTED
    if claim.granted > 0:
        return Phase.PARTIAL
    return Phase.REFUSED if verdict.reason in REFUSALS else Phase.QUEUED


def _whole(claim: Claim) -> bool:
    """Whether all that is asked is granted."""
    return claim.missing == claim.declined == 0 and claim.released is None


def _granted_at(now: datetime, claim: Claim) -> datetime | None:
    memory = claim.request.remembered
    if claim.granted == 0:
        return None
    if claim.fresh and claim.timer is not None:
        # A recreated request goes on where its workload was: its notice stands (law 5).
        return claim.timer.since
    raised = claim.granted > (memory.granted or 0)
    return now if raised or memory.granted_at is None else memory.granted_at


def _proved(now: datetime, claim: Claim) -> bool:
    """Whether a verdict was proved in this cycle; a notice that was inherited was not."""
    return claim.stage in {Stage.WARNED, Stage.LENT} and claim.timer is not None and claim.timer.since == now


def _lending_changed(claim: Claim) -> bool:
    memory = claim.request.remembered
    return (
        memory.granted is not None
        and memory.allowance is not None
        and memory.granted - memory.allowance != claim.lent
    )


def _stage_message(finding: Finding, claim: Claim) -> str:
    if claim.stage is Stage.WARNED:
        keep = max(claim.target, finding.evidence.keep)
        return (
            f"{max(0, claim.allowance - keep)} granted GPUs were never requested;"
            f" at the deadline they are lent out and {keep} stay."
        )
    if claim.stage is Stage.LENT:
        return (
            f"{claim.lent} GPUs are lent out; they return when they are requested."
            " At the deadline the claim to them ends."
        )
    if claim.stage is Stage.RECALLING:
        return (
            f"Borrowed GPUs go back to their owner: {claim.target} stay."
            " Pods above that are evicted after the deadline."
        )
    return ""


def _conditions(books: Books, claim: Claim, verdict: Verdict, finding: Finding) -> Iterable[Condition]:
    whole = Status.TRUE if _whole(claim) else Status.FALSE
    yield Condition("Granted", whole, verdict.reason, verdict.message)
    yield _under_used(finding)
    other = books.overlaps.get(claim.key)
    if other is not None:
        yield Condition(
            "Overlap",
            Status.TRUE,
            "SamePods",
            f"Pods match this request and {other.name}; the older one gets them."
            " Label pods gpupool.dev/request.",
        )
    over = claim.held - claim.allowance - claim.surge
    if over > 0:
        yield Condition(
            "Overdrawn",
            Status.TRUE,
            "HoldsMoreThanAllowed",
            f"{claim.held} GPUs are held on an allowance of {claim.allowance}:"
            f" {over} run on others' allowance.",
        )


def _under_used(finding: Finding) -> Condition:
    if finding.objection is None:
        proof = finding.evidence
        doing = (
            "are lent out after notice"
            if finding.mode is Mode.ENFORCE
            else "would be lent out after notice under Enforce"
        )
        return Condition(
            "UnderUsed",
            Status.TRUE,
            "Unheld",
            f"{proof.claim.granted} granted, peak use keeps {proof.keep}:"
            f" {proof.unheld} unheld GPUs {doing}.",
        )
    unknown = finding.objection.answer is Answer.UNKNOWN
    return Condition(
        "UnderUsed",
        Status.UNKNOWN if unknown else Status.FALSE,
        finding.objection.reason,
        finding.objection.message,
    )


def ungoverned(snapshot: Snapshot, request: Request) -> RequestStatus:
    """A request that no share or no ledger of its pool answers for."""
    pool = snapshot.pool
    if request.key.namespace in snapshot.moving:
        return outside(request, pool.name, Phase.PENDING, _moving(snapshot, request.key.namespace))
    if request.resource in pool.resources:
        verdict = Verdict(
            Reason.NAMESPACE_WITHOUT_POOL,
            f"No share of pool {pool.name} lists namespace {request.key.namespace} any more:"
            " have it added to spec.shares of a pool.",
        )
        return outside(request, pool.name, Phase.PENDING, verdict)
    verdict = Verdict(
        Reason.UNKNOWN_RESOURCE,
        f"spec.resource {request.resource} is not governed by pool {pool.name}:"
        f" ask for one of {', '.join(pool.resources)}.",
    )
    return outside(request, pool.name, Phase.REFUSED, verdict)


def _moving(snapshot: Snapshot, namespace: str) -> Verdict:
    members = frozenset(n.name for n in snapshot.nodes)
    own = [p for p in snapshot.pods if p.key.namespace == namespace]
    holds = ", ".join(f"{n} {r}" for r in snapshot.pool.resources if (n := held(own, r, members)))
    return Verdict(
        Reason.MOVING,
        f"Namespace {namespace} moves from pool {snapshot.pool.name} to pool {snapshot.moving[namespace]} as"
        f" soon as it holds nothing in {snapshot.pool.name}; now it holds {holds or 'nothing'}."
        " End its GPU pods, or have it listed by a share of the old pool again.",
    )


def outside(request: Request, pool: str, phase_: Phase, verdict: Verdict) -> RequestStatus:
    """A request that no ledger answers for; what was granted before is shown no more."""
    return RequestStatus(
        key=request.key,
        generation=request.generation,
        phase=phase_,
        pool=pool,
        resource=request.resource,
        verdict=verdict,
        conditions=(Condition("Granted", Status.FALSE, verdict.reason, verdict.message),),
        asked=request.gpus,
        queued_at=request.remembered.queued_at or request.created,
        uid=request.uid,
    )

"""Events: what changed since the status that was last written, told once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gpupool.model.annotations import QUOTA_NAME
from gpupool.model.objects import Key, Quota, Request, Timer
from gpupool.model.plan import Action, Evict, Notice, RequestStatus
from gpupool.model.reasons import Phase, Reason, Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.decision import Decision
from gpupool.policy.claims import Claim
from gpupool.policy.rebuilding import timer_name
from gpupool.policy.reclaim import Finding


def of_request(snapshot: Snapshot, decision: Decision, claim: Claim, now: RequestStatus) -> Iterable[Notice]:
    """Events of a governed request."""
    yield from _of_grant(snapshot, claim, now)
    yield from _of_gate(claim, now)
    if stage_moved(claim) or (claim.timer is not None and _resumed(snapshot)):
        yield _of_stage(claim, now, decision.findings[claim.key])


def _resumed(snapshot: Snapshot) -> bool:
    """The first cycle of a process: an Event that its predecessor could not publish any more is told now."""
    return snapshot.now == snapshot.uninterrupted_since


def stage_moved(claim: Claim) -> bool:
    """Whether a taking is at another stage than the status says."""
    before = claim.request.remembered.timer
    return (before.stage if before else Stage.NONE) is not claim.stage


def _of_grant(snapshot: Snapshot, claim: Claim, now: RequestStatus) -> Iterable[Notice]:
    before, asked = claim.request.remembered.granted or 0, claim.request.gpus
    if now.granted > before:
        message = f"{now.granted} of {asked} GPUs granted in pool {snapshot.pool.name}."
        yield _tell(claim.request, now.phase, message)
    elif now.granted < before and now.granted == asked:
        yield _tell(claim.request, "Decreased", f"Granted GPUs fell from {before} to {asked}, as asked.")
    elif now.granted < before:
        message = f"Granted GPUs fell from {before} to {now.granted}: {now.verdict.message}"
        reason = Reason.RELEASED if now.verdict.reason is Reason.RELEASED else "Lowered"
        yield _tell(claim.request, reason, message, warning=True)
    else:
        yield from of_standing(claim.request, now)


def _of_gate(claim: Claim, now: RequestStatus) -> Iterable[Notice]:
    """An Event for an increase that a gate refuses, or would refuse."""
    before = claim.request.remembered
    if claim.gate is None or before.asked is None:
        return
    granted_all_the_same = not claim.gate.enforced and now.granted > (before.granted or 0)
    if granted_all_the_same or (claim.declined and before.asked != claim.request.gpus):
        said = claim.gate.verdict
        yield _tell(claim.request, said.reason, said.message, warning=True)


def of_standing(request: Request, now: RequestStatus) -> Iterable[Notice]:
    """An Event for a first answer that is no grant, and for a request that begins or ceases to be refused."""
    before = request.remembered.phase
    first = request.remembered.granted is None and before is None
    turned = before is not None and (before is Phase.REFUSED) is not (now.phase is Phase.REFUSED)
    if first or turned:
        refused = now.phase is not Phase.QUEUED
        yield _tell(request, now.verdict.reason, now.verdict.message, warning=refused)


def _tell(request: Request, reason: str, message: str, *, warning: bool = False) -> Notice:
    return Notice("CapacityRequest", request.key, request.uid, reason, message, warning)


def _of_stage(claim: Claim, now: RequestStatus, finding: Finding) -> Notice:
    """One Event per move of a taking, with the deadline where one stands."""
    reasons = {Stage.WARNED: "UnderUsed", Stage.LENT: "Lent", Stage.RECALLING: "Recalling"}
    reason = reasons.get(claim.stage)
    if reason is None:
        return _tell(claim.request, *_settled(claim, finding))
    deadline = claim.timer.deadline if claim.timer else None
    until = f" Deadline {deadline:%Y-%m-%dT%H:%M:%SZ}." if deadline else ""
    told = _tell(claim.request, reason, now.stage_message + until, warning=True)
    return replace(told, since=claim.timer.since if claim.timer else None)


def _settled(claim: Claim, finding: Finding) -> tuple[str, str]:
    """How a taking ended: its notice was withdrawn, its GPUs returned, or neither."""
    memory = claim.request.remembered
    stage = Stage.NONE if memory.timer is None else memory.timer.stage
    if stage is Stage.WARNED and finding.objection is not None:
        return "Withdrawn", f"The notice is withdrawn: {finding.objection.message}"
    left = f"{claim.allowance} of {claim.granted} granted GPUs may be used."
    returned = stage is Stage.LENT and claim.granted == memory.granted
    return ("Returned", f"What was lent is back: {left}") if returned else ("Settled", left)


def of_unowned(snapshot: Snapshot, decision: Decision) -> Iterable[Notice]:
    """Events for GPUs held without a request: nobody's status can tell of them, so our quota does."""
    quotas = {n.name: n.quota for n in snapshot.namespaces if n.quota is not None}
    for claim in decision.desk.claims:
        quota = quotas.get(claim.key.namespace)
        if not claim.unowned or quota is None or claim.timer is None:
            continue
        before = quota.timers.get(timer_name(claim))
        if before is None or before.stage is not claim.stage:
            yield _of_unowned(claim, claim.timer, quota)


def _of_unowned(claim: Claim, timer: Timer, quota: Quota) -> Notice:
    recalled = timer.stage is Stage.RECALLING
    doing = "go back to their owner" if recalled else "were never requested and are taken back"
    until = f" Deadline {timer.deadline:%Y-%m-%dT%H:%M:%SZ}." if timer.deadline else ""
    return Notice(
        kind="ResourceQuota",
        key=Key(claim.key.namespace, QUOTA_NAME),
        uid=quota.uid,
        reason="UnattributedRecalled" if recalled else "UnattributedUnheld",
        message=f"{claim.request.resource} that no request answers for {doing}; {timer.target} stay.{until}",
        warning=True,
    )


def of_evictions(snapshot: Snapshot, actions: Iterable[Action]) -> Iterable[Notice]:
    """An Event per pod that must leave; `once` tells a pod asked again from another pod."""
    uids = {r.key: r.uid for r in snapshot.requests}
    for action in actions:
        if isinstance(action, Evict) and action.request:
            key = Key(action.pod.namespace, action.request)
            reason = "PDBOverridden" if action.force else "Recalled"
            yield Notice(
                kind="CapacityRequest",
                key=key,
                uid=uids.get(key, ""),
                reason=reason,
                message=f"Pod {action.pod.name} is asked to leave:"
                " its GPUs go back to the share they were borrowed from.",
                warning=True,
                once=f"{reason}/{action.uid}",
            )

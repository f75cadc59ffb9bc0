"""Lending out what was granted and never requested (laws 1, 3, 5, 7).

    under-used ─► Warned (deadline = now + grace) ─► proved again ─► Lent ─► wanted back, or released

What counts as under-used is in `underuse`. The allowance never falls below what the notice said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gpupool.model.objects import Key, Timer
from gpupool.model.pool import Mode, weaker
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.attribution import Books
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.evidence import Evidence, evidence, look_around
from gpupool.policy.measure import Measures
from gpupool.policy.senses import cannot_give
from gpupool.policy.underuse import STILL_UNUSED, Answer, Objection, object_to

RESUME_GRACE = timedelta(minutes=10)
"""After downtime nothing is taken for under-use for the smaller of this and the window (law 5)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What reclaim says of one request in this cycle, whatever it does."""

    claim: Claim
    evidence: Evidence
    objection: Objection | None
    mode: Mode

    @property
    def under_used(self) -> bool:
        """Proved in this cycle."""
        return self.objection is None


def advance(snapshot: Snapshot, desk: Desk, books: Books, measures: Measures) -> dict[Key, Finding]:
    """Move every request's taking one step; returns what was found per request."""
    around = look_around(snapshot, desk, books, measures)
    findings = {}
    for claim in desk.claims:
        proof = evidence(around, claim)
        mode = weaker(snapshot.pool.reclaim_for(claim.share), snapshot.pool.quota_for(claim.share))
        finding = Finding(claim, proof, object_to(proof), mode)
        findings[claim.key] = finding
        _step(snapshot, desk, finding)
    return findings


def look_again(snapshot: Snapshot, desk: Desk, findings: Mapping[Key, Finding]) -> dict[Key, Finding]:
    """The findings as the next cycle will see them: about requests that were given something in this one.

    Nothing is done about them here. They spare a status that says of a new grant that nothing is granted.
    """
    found = dict(findings)
    for key, finding in findings.items():
        claim = desk.claim(key)
        if claim.granted > finding.claim.granted:
            proof = replace(finding.evidence, claim=claim, granted_at=snapshot.now)
            found[key] = replace(finding, claim=claim, evidence=proof, objection=object_to(proof))
    return found


def _step(snapshot: Snapshot, desk: Desk, finding: Finding) -> None:
    claim = finding.claim
    # A recreated request may not have been given its GPUs yet: its notice is judged in the next cycle.
    if claim.stage is Stage.RECALLING or (claim.fresh and claim.granted == 0):
        return
    if finding.mode is not Mode.ENFORCE:
        _undo(snapshot, desk, claim)
        return
    if claim.stage is Stage.NONE:
        _warn(snapshot, desk, finding)
    elif claim.stage is Stage.WARNED:
        _prove_again(snapshot, desk, finding)
    else:
        _release(snapshot, desk, finding)


def _undo(snapshot: Snapshot, desk: Desk, claim: Claim) -> None:
    """Nothing is taken any more: notices end, and what is lent returns as far as it is free (law 2)."""
    if claim.stage is Stage.WARNED:
        desk.mark(replace(claim, timer=None))
    elif claim.lent > 0 and cannot_give(snapshot) is None:
        desk.give_back(claim.key, min(claim.lent, desk.affordable(claim.key.namespace)))


def _warn(snapshot: Snapshot, desk: Desk, finding: Finding) -> None:
    if not finding.under_used:
        return
    deadline = snapshot.now + snapshot.pool.reclaim.grace
    timer = Timer(Stage.WARNED, since=snapshot.now, deadline=deadline, target=finding.evidence.keep)
    desk.mark(replace(finding.claim, timer=timer))


def _prove_again(snapshot: Snapshot, desk: Desk, finding: Finding) -> None:
    """At the deadline the verdict must hold on fresh data; a deadline only ever moves later (law 5)."""
    claim = finding.claim
    if finding.objection is not None and finding.objection.answer is Answer.NO:
        desk.mark(replace(claim, timer=None))
        return
    if not _due(snapshot, desk, finding, finding.objection):
        return
    keep = max(finding.evidence.keep, claim.target)
    if claim.unowned:
        desk.mark(replace(claim, timer=None))
        desk.cut(claim.key, keep)
        return
    ends = snapshot.now + snapshot.pool.reclaim.release_after
    timer = Timer(Stage.LENT, since=snapshot.now, deadline=ends, target=keep, granted=claim.granted)
    desk.mark(replace(claim, timer=replace(timer, asked=claim.ask)))
    desk.lend(claim.key, keep)


def _due(snapshot: Snapshot, desk: Desk, finding: Finding, objection: Objection | None) -> bool:
    """Whether the deadline has come and nothing speaks against taking; else it moves where it must."""
    timer = finding.claim.timer
    if timer is None or timer.deadline is None or snapshot.now < timer.deadline:
        return False
    resumed = snapshot.uninterrupted_since + min(RESUME_GRACE, finding.evidence.window)
    if objection is None and snapshot.now >= resumed:
        # Proof at the moment of taking: the next answer is asked for at once, and is no reason for a delay.
        return not awaits_proof(snapshot, timer)
    desk.mark(replace(finding.claim, timer=replace(timer, deadline=_later(snapshot, finding, resumed))))
    return False


def awaits_proof(snapshot: Snapshot, timer: Timer) -> bool:
    """Whether a taking for under-use is due, and what is known of use was asked before it was."""
    if timer.stage not in {Stage.WARNED, Stage.LENT} or timer.deadline is None:
        return False
    asked = snapshot.usage.asked
    return timer.deadline <= snapshot.now and (asked is None or asked < timer.deadline)


def _later(snapshot: Snapshot, finding: Finding, resumed: datetime) -> datetime:
    return max(resumed, snapshot.now + min(snapshot.pool.reclaim.grace, finding.evidence.window))


def _release(snapshot: Snapshot, desk: Desk, finding: Finding) -> None:
    """Lent without demand until `releaseAfter`: the claim to the lent part ends (law 7), proved again."""
    claim = finding.claim
    if not _due(snapshot, desk, finding, object_to(finding.evidence, STILL_UNUSED)):
        return
    desk.mark(replace(claim, timer=None, ask=claim.allowance, released=claim.allowance))
    desk.cut(claim.key, claim.allowance)


def settle(snapshot: Snapshot, desk: Desk) -> None:
    """End the takings whose GPUs are all back with their owner; what came back in part lasts longer."""
    for claim in desk.claims:
        if claim.stage is Stage.LENT and claim.timer is not None:
            timer = None if claim.lent == 0 else _lent_on(snapshot, claim, claim.timer)
            if timer != claim.timer:
                desk.mark(replace(claim, timer=timer))


def _lent_on(snapshot: Snapshot, claim: Claim, timer: Timer) -> Timer:
    if timer.target == claim.allowance and timer.granted == claim.granted:
        return timer
    ends = snapshot.now + snapshot.pool.reclaim.release_after
    later = ends if timer.deadline is None else max(timer.deadline, ends)
    return replace(timer, target=claim.allowance, granted=claim.granted, deadline=later)

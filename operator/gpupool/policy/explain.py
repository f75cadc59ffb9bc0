"""Every "no" explains itself (law 8): reason, sentence, arithmetic, blockers, what would be granted now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gpupool.model.objects import ForeignQuota, Key
from gpupool.model.plan import Verdict
from gpupool.model.pool import Visibility
from gpupool.model.reasons import Reason, Stage
from gpupool.policy import blockers
from gpupool.policy.allocation import Outcome, queued, waits
from gpupool.policy.blockers import Holders
from gpupool.policy.claims import Claim, Gate, guarantee_of
from gpupool.policy.desk import Desk
from gpupool.policy.recall import Need
from gpupool.policy.refusal import refuse
from gpupool.policy.senses import Blindness


@dataclass(frozen=True, slots=True)
class Court:
    """What the explanation of one resource's decisions rests on, computed once per cycle."""

    pool: str
    desk: Desk
    owed: dict[Key, int]
    recalled: frozenset[Key]
    spared: frozenset[Key]
    behind: frozenset[Key]
    positions: dict[Key, int]
    heads: dict[str, Claim]
    holders: Holders
    foreign: Mapping[str, ForeignQuota] = field(default_factory=dict)
    blind: Blindness | None = None


def convene(
    pool: str,
    visibility: Visibility,
    desk: Desk,
    outcome: Outcome,
    need: Need,
    *,
    foreign: Mapping[str, ForeignQuota] | None = None,
    blind: Blindness | None = None,
) -> Court:
    """Prepare positions and holders.

    `foreign` are the tightest quotas of others by namespace; `blind` is why nothing may be given.
    """
    positions: dict[Key, int] = {}
    counters: dict[str, int] = defaultdict(int)
    heads: dict[str, Claim] = {}
    for claim in desk.claims:
        if not claim.unowned and queued(desk, claim):
            counters[claim.share.team] += 1
            positions[claim.key] = counters[claim.share.team]
            heads.setdefault(claim.share.team, claim)
    return Court(
        pool=pool,
        desk=desk,
        owed={o.key: o.gpus for o in outcome.owed},
        recalled=need.covered,
        spared=need.ended,
        behind=outcome.behind,
        positions=positions,
        heads=heads,
        holders=blockers.rank(visibility, desk.claims),
        foreign=foreign or {},
        blind=blind,
    )


def explain(court: Court, claim: Claim) -> Verdict:
    """The decision record of one claim as it stands at the end of the cycle."""
    verdict = _explain(court, claim)
    more = " ".join(text for text in (_beside(claim), _limited(court, claim)) if text)
    return replace(verdict, message=f"{verdict.message} {more}") if more else verdict


def _beside(claim: Claim) -> str:
    """What a gate says where it refuses a part beside what waits, or refuses nothing."""
    if claim.gate is None or (claim.gate.enforced and (claim.gate.within or not claim.missing)):
        return ""
    text = claim.gate.verdict.message
    return text if claim.gate.enforced else f"spec.admission.slo is Warn, so nothing is refused. {text}"


def _limited(court: Court, claim: Claim) -> str:
    """The quota of somebody else that keeps the namespace from using what is granted or asked there."""
    quota = court.foreign.get(claim.key.namespace)
    if quota is None:
        return ""
    resource = court.desk.ledger.resource
    asked = court.desk.walls[claim.key.namespace] + claim.missing
    if asked <= quota.hard[resource]:
        return ""
    return (
        f"ResourceQuota {quota.name} of the namespace allows {quota.hard[resource]} {resource} in all and is"
        f" not ours: of {asked} granted or asked there no more can be used."
    )


def _explain(court: Court, claim: Claim) -> Verdict:
    if claim.missing == claim.declined == 0:
        return _whole(claim)
    refused = refuse(claim, court.desk.ledger)
    if refused is None and claim.missing == 0 and claim.gate is not None:
        return _declined(claim, claim.gate)
    verdict = _unserved(court, claim) if refused is None else _with_hint(court, claim, refused)
    if claim.granted == 0:
        return verdict
    reason = Reason.INCREASE_QUEUED if _increase(claim) else Reason.GRANTED_IN_PART
    kept = refused is not None or verdict.reason is Reason.SLO_UNKNOWN
    reason = verdict.reason if kept else reason
    message = f"{claim.granted} of {claim.request.gpus} GPUs are granted.{_lent(claim)} {verdict.message}"
    return Verdict(reason, message, verdict.arithmetic, verdict.grantable_now, verdict.blockers)


def _declined(claim: Claim, gate: Gate) -> Verdict:
    """All that a gate lets through is granted."""
    if claim.granted == 0:
        return gate.verdict
    message = (
        f"{claim.granted} of {claim.request.gpus} GPUs are granted.{_lent(claim)} {gate.verdict.message}"
    )
    return replace(gate.verdict, message=message)


def _whole(claim: Claim) -> Verdict:
    """Nothing is missing: all is granted, or the claim to the rest has ended."""
    if claim.released is None:
        return Verdict(Reason.GRANTED, f"All {claim.granted} GPUs asked are granted.{_lent(claim)}")
    return Verdict(
        Reason.RELEASED,
        f"{claim.granted} of {claim.request.gpus} GPUs are granted: the others were lent out and nobody asked"
        f" for them, so the claim to them ended. A new number in spec.gpus is a new ask.{_lent(claim)}",
    )


def _increase(claim: Claim) -> bool:
    asked = claim.request.remembered.asked
    return claim.granted < claim.request.min_gpus or (asked is not None and asked <= claim.granted)


def _lent(claim: Claim) -> str:
    if claim.stage is not Stage.LENT:
        return ""
    if claim.asked_anew:
        return f" {claim.lent} of them are lent out and asked back by the new number; they return first."
    return f" {claim.lent} of them are lent out while nobody asks for them; they return on demand."


def _unserved(court: Court, claim: Claim) -> Verdict:
    """Why nothing more is given now: nobody in the queue is served while it is not known what is there."""
    if court.blind is None or not waits(claim):
        return _waiting(court, claim)
    where = f"position {court.positions.get(claim.key, 0)} in the queue of share {claim.share.team}"
    message = f"{court.blind.message} Nothing is granted meanwhile; {where}."
    return Verdict(court.blind.reason, message, arithmetic(court))


def _waiting(court: Court, claim: Claim) -> Verdict:
    """Why a claim waits: the nearest thing in its way."""
    desk, ledger = court.desk, court.desk.ledger
    guaranteed = guarantee_of(claim.share, ledger.resource)
    if not waits(claim):
        return _not_in_queue(court, claim)
    where = f"position {court.positions.get(claim.key, 0)} in the queue of share {claim.share.team}"
    if ledger.total == 0:
        return Verdict(
            Reason.NO_CAPACITY, f"Pool {court.pool} has no {ledger.resource} yet; {where}.", "0 total"
        )
    if claim.key in court.behind:
        return _verdict(
            court,
            claim,
            Reason.BEHIND_OTHERS,
            f"Others of share {claim.share.team} are served first; {where}.",
        )
    if claim.key in court.recalled:
        return _verdict(
            court,
            claim,
            Reason.WAITING_FOR_RECALL,
            f"Within the {guaranteed} GPUs guaranteed to share {claim.share.team};"
            f" {court.owed[claim.key]} GPUs are being brought back from borrowers; {where}.",
        )
    if not claim.may_borrow and desk.guarantee_left(claim) < _least(claim):
        return _own_share(court, claim, guaranteed, where)
    return _verdict(
        court,
        claim,
        Reason.WAITING_FOR_CAPACITY,
        f"{claim.missing} GPUs asked, {max(0, desk.spare(claim.key.namespace))} free in pool"
        f" {court.pool}; {where}.",
    )


def _least(claim: Claim) -> int:
    """GPUs that must be left of the guarantee for it to wait for others than its own share."""
    return max(1, claim.least) if claim.held_back else claim.least


def _not_in_queue(court: Court, claim: Claim) -> Verdict:
    """More is asked while something goes the other way: that ends first."""
    doing = "borrowed GPUs go back" if claim.stage is Stage.RECALLING else "GPUs of it are lent out"
    message = f"{claim.missing} GPUs more are not considered while {doing}."
    return Verdict(Reason.WAITING_FOR_CAPACITY, message, arithmetic(court))


def _verdict(court: Court, claim: Claim, reason: Reason, message: str) -> Verdict:
    found = Verdict(reason, message, arithmetic(court), 0, blockers.of_pool(court.holders, claim))
    return _with_hint(court, claim, found)


def _with_hint(court: Court, claim: Claim, verdict: Verdict) -> Verdict:
    """Add what a smaller ask would get."""
    now = grantable_now(court, claim)
    if now == 0:
        return verdict
    more = f"{now} more" if claim.granted else f"at most {now}"
    hint = f" A request for {more} GPUs would be granted now."
    return replace(verdict, message=verdict.message + hint, grantable_now=now)


def _own_share(court: Court, claim: Claim, guaranteed: int, where: str) -> Verdict:
    """It gets no more than the guarantee, and that is taken by the share's own requests."""
    if claim.request.preemptible and claim.gate is not None:
        said = claim.gate.verdict
        found = Verdict(said.reason, f"{said.message} Now at {where}.", arithmetic(court))
        return _with_hint(court, claim, found)
    firm = court.desk.firm(claim.share.team)
    spare = court.desk.spare(claim.key.namespace)
    other = f" With spec.preemptible: true, {spare} GPUs could be borrowed now." if spare >= 1 else ""
    left = court.desk.guarantee_left(claim)
    return Verdict(
        Reason.WAITING_FOR_GUARANTEE,
        f"The guarantee of share {claim.share.team} is taken by its own requests; {where}.{other}",
        f"{guaranteed} guaranteed - {firm} granted = {guaranteed - firm} left, {claim.missing} asked",
        min(left, court.desk.affordable(claim.key.namespace)),
        blockers.of_share(court.holders, claim),
    )


def arithmetic(court: Court) -> str:
    """Where the pool's GPUs are, in numbers that add up."""
    ledger = court.desk.ledger
    owed = sum(court.owed.values())
    lent = court.desk.reserve_lent
    usable = f"{ledger.usable} usable" + (f" + {lent} of the reserve lent to rollouts" if lent else "")
    parts = f"{usable} - {court.desk.committed} committed"
    if owed:
        parts += f" - {owed} owed to guarantees"
    return f"{parts} = {court.desk.room} free"


def grantable_now(court: Court, claim: Claim) -> int:
    """GPUs that a smaller ask in this one's place would get at once."""
    head = court.heads.get(claim.share.team)
    if claim.key in court.behind or claim.key in court.spared or not waits(claim):
        return 0
    if claim.key not in court.positions and head is not None and head.order() < claim.order():
        return 0
    desk = court.desk
    room = desk.room + court.owed.get(claim.key, 0)
    free = 0 if room < 0 else desk.slack(claim.key.namespace) + room
    most = desk.limit_left(claim) if claim.may_borrow else desk.guarantee_left(claim)
    return max(0, min(claim.missing, most, free, _usable(court, claim)))


def _usable(court: Court, claim: Claim) -> int:
    """GPUs that a foreign quota would let be used beyond what the namespace may use already."""
    quota = court.foreign.get(claim.key.namespace)
    if quota is None:
        return claim.missing
    return quota.hard[court.desk.ledger.resource] - court.desk.walls[claim.key.namespace]

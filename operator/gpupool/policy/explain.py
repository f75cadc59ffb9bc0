"""Every "no" explains itself (law 8): reason, sentence, arithmetic, blockers, what would be granted now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gpupool.model.plan import Blocker, Verdict
from gpupool.model.pool import Visibility
from gpupool.model.reasons import Reason, Stage
from gpupool.model.snapshot import Key
from gpupool.policy.allocation import Outcome, waits
from gpupool.policy.claims import Claim, guarantee_of
from gpupool.policy.desk import Desk
from gpupool.policy.recall import Need
from gpupool.policy.refusal import refuse

MOST_BLOCKERS = 10


@dataclass(frozen=True, slots=True)
class Court:
    """What the explanation of one resource's decisions rests on, computed once per cycle."""

    pool: str
    visibility: Visibility
    desk: Desk
    owed: int
    recalled: dict[Key, int]
    behind: frozenset[Key]
    positions: dict[Key, int]
    holders: tuple[Claim, ...]


def convene(pool: str, visibility: Visibility, desk: Desk, outcome: Outcome, need: Need) -> Court:
    """Prepare positions and holders."""
    positions: dict[Key, int] = {}
    counters: dict[str, int] = defaultdict(int)
    for claim in desk.claims:
        if not claim.unowned and waits(claim) and refuse(claim, desk.ledger) is None:
            counters[claim.share.team] += 1
            positions[claim.key] = counters[claim.share.team]
    holders = sorted((c for c in desk.claims if _taken(c) > 0), key=lambda c: (-_taken(c), c.key))
    return Court(
        pool=pool,
        visibility=visibility,
        desk=desk,
        owed=sum(o.gpus for o in outcome.owed),
        recalled={o.key: o.gpus for o in outcome.owed if o.key in need.covered},
        behind=outcome.behind,
        positions=positions,
        holders=tuple(holders),
    )


def _taken(claim: Claim) -> int:
    return max(claim.allowance, claim.used)


def explain(court: Court, claim: Claim) -> Verdict:
    """The decision record of one claim as it stands at the end of the cycle."""
    if claim.missing == 0:
        return _whole(claim)
    refused = refuse(claim, court.desk.ledger)
    verdict = refused or _waiting(court, claim)
    if claim.granted == 0:
        return verdict
    reason = Reason.INCREASE_QUEUED if _increase(claim) else Reason.GRANTED_IN_PART
    reason = reason if refused is None else refused.reason
    message = f"{claim.granted} of {claim.request.gpus} GPUs are granted.{_lent(claim)} {verdict.message}"
    return Verdict(reason, message, verdict.arithmetic, verdict.grantable_now, verdict.blockers)


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
    return f" {claim.lent} of them are lent out while nobody asks for them; they return on demand."


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
            f" {court.recalled[claim.key]} GPUs are being brought back from borrowers; {where}.",
        )
    if not claim.request.preemptible and desk.guarantee_left(claim) < claim.request.min_gpus - claim.granted:
        return _own_share(court, claim, guaranteed, where)
    return _verdict(
        court,
        claim,
        Reason.WAITING_FOR_CAPACITY,
        f"{claim.missing} GPUs asked, {max(0, desk.spare(claim.key.namespace))} free in pool"
        f" {court.pool}; {where}.",
    )


def _not_in_queue(court: Court, claim: Claim) -> Verdict:
    """More is asked while something goes the other way: that ends first."""
    doing = "borrowed GPUs go back" if claim.stage is Stage.RECALLING else "GPUs of it are lent out"
    message = f"{claim.missing} GPUs more are not considered while {doing}."
    return Verdict(Reason.WAITING_FOR_CAPACITY, message, arithmetic(court))


def _verdict(court: Court, claim: Claim, reason: Reason, message: str) -> Verdict:
    now = grantable_now(court, claim)
    hint = f" A request for at most {now} GPUs would be granted now." if now else ""
    return Verdict(reason, message + hint, arithmetic(court), now, blockers(court, court.holders, claim))


def _own_share(court: Court, claim: Claim, guaranteed: int, where: str) -> Verdict:
    """Not preemptible, within the guarantee, and the guarantee is taken by the share's own requests."""
    own = [c for c in court.holders if c.share.team == claim.share.team]
    firm = sum(c.granted for c in own if not c.request.preemptible)
    spare = court.desk.spare(claim.key.namespace)
    other = f" With spec.preemptible: true, {spare} GPUs could be borrowed now." if spare >= 1 else ""
    left = court.desk.guarantee_left(claim)
    return Verdict(
        Reason.WAITING_FOR_GUARANTEE,
        f"The guarantee of share {claim.share.team} is taken by its own requests; {where}.{other}",
        f"{guaranteed} guaranteed - {firm} granted = {guaranteed - firm} left, {claim.missing} asked",
        min(left, court.desk.affordable(claim.key.namespace)),
        blockers(court, own, claim),
    )


def arithmetic(court: Court) -> str:
    """Where the pool's GPUs are, in numbers that add up."""
    ledger = court.desk.ledger
    owed = court.owed
    committed = ledger.usable - owed - court.desk.room
    parts = f"{ledger.usable} usable - {committed} committed"
    if owed:
        parts += f" - {owed} owed to guarantees"
    return f"{parts} = {court.desk.room} free"


def grantable_now(court: Court, claim: Claim) -> int:
    """GPUs that a smaller ask in this one's place would get at once."""
    if claim.key in court.behind:
        return 0
    desk = court.desk
    within = min(desk.guarantee_left(claim), desk.affordable(claim.key.namespace) if desk.room >= 0 else 0)
    borrowed = (
        min(desk.limit_left(claim), desk.spare(claim.key.namespace)) if claim.request.preemptible else 0
    )
    return max(0, min(claim.missing, max(within, borrowed)))


def blockers(court: Court, holders: Iterable[Claim], claim: Claim) -> tuple[Blocker, ...]:
    """Who holds what stands in the way, as far as the pool's visibility allows; own team always in full."""
    others = [c for c in holders if c.key != claim.key]
    if court.visibility is Visibility.AGGREGATE:
        total = sum(_taken(c) for c in others)
        return (Blocker(gpus=total, why="all holders of the pool"),) if total else ()
    named = [c for c in others if court.visibility is Visibility.NAMES or c.share.team == claim.share.team]
    hidden: dict[str, int] = defaultdict(int)
    for other in others:
        if other not in named:
            hidden[other.share.team] += _taken(other)
    rows = [Blocker(_taken(c), c.share.team, c.key.namespace, c.key.name or None, _why(c)) for c in named] + [
        Blocker(gpus, team) for team, gpus in hidden.items()
    ]
    return tuple(sorted(rows, key=lambda b: (-b.gpus, b.team or "", b.request or "")))[:MOST_BLOCKERS]


def _why(claim: Claim) -> str:
    if claim.unowned:
        return "held without a request"
    return "preemptible" if claim.request.preemptible else "within its guarantee"

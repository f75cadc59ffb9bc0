"""Who gets free GPUs, in the order of the phases below.

1. Owners whose lent GPUs are wanted back (law 7).
2. Claims within a guarantee; each share's queue by priority, then time.
3. The rest by weight to preemptible requests, up to each share's limit; whatever phases 1 and 2 are still
   owed is kept free for them.

A share's queue is strict: while its first request waits, nobody behind it in the same share is served, so a
position means something and a large request does not starve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Key
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk, queues
from gpupool.policy.refusal import refuse


@dataclass(frozen=True, slots=True)
class Owed:
    """GPUs that a guarantee is owed and that are not free."""

    key: Key
    team: str
    gpus: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is still owed to guarantees, in the order in which it was asked, and who stands behind others."""

    owed: tuple[Owed, ...] = ()
    behind: frozenset[Key] = field(default_factory=frozenset)


def allocate(desk: Desk) -> Outcome:
    """Run the phases over the desk."""
    owed = [*_return_lent(desk), *_within_guarantees(desk)]
    _borrow(desk)
    return Outcome(owed=tuple(owed), behind=frozenset(_behind(desk)))


def wanted_back(claim: Claim) -> int:
    """Lent GPUs that the owner's demand asks for.

    Refused demand is known exactly. Where only a full allowance is seen, the allowance doubles, at least by
    one pod.
    """
    if claim.stage is not Stage.LENT or claim.lent == 0:
        return 0
    if claim.demand > 0:
        return min(claim.lent, claim.demand)
    full = claim.used > claim.allowance - claim.pod_size
    return min(claim.lent, max(claim.pod_size, claim.allowance)) if full else 0


def _return_lent(desk: Desk) -> Iterable[Owed]:
    for claim in desk.claims:
        wanted = wanted_back(claim)
        given = min(wanted, desk.affordable(claim.key.namespace))
        desk.give_back(claim.key, given)
        if wanted > given:
            yield _owe(desk, claim, wanted - given)


def _owe(desk: Desk, claim: Claim, gpus: int) -> Owed:
    """Note what is owed and keep room for it, so that nobody later takes it."""
    desk.keep(gpus)
    return Owed(claim.key, claim.share.team, gpus)


def _waiting(desk: Desk) -> dict[str, list[Claim]]:
    """Queues of what is not wholly granted and can be."""
    return queues([c for c in desk.claims if _waits(c) and refuse(c, desk.ledger) is None])


def _waits(claim: Claim) -> bool:
    """Granted in full, or being recalled: not in the queue."""
    return claim.missing > 0 and claim.stage is not Stage.RECALLING


def _within_guarantees(desk: Desk) -> Iterable[Owed]:
    heads = _waiting(desk)
    while heads:
        team = min(heads, key=lambda t: (heads[t][0].since, t))
        claim = heads[team].pop(0)
        blocked, owed = _serve_guarantee(desk, claim)
        if owed > 0:
            yield _owe(desk, claim, owed)
        if blocked or not heads[team]:
            del heads[team]


def _serve_guarantee(desk: Desk, claim: Claim) -> tuple[bool, int]:
    """Grant what the guarantee allows: whether the share's queue stops here, and what stays owed to it.

    Where only the share's own requests are in the way, the claim waits and nobody is recalled.
    """
    entitled = min(claim.missing, desk.guarantee_left(claim))
    if entitled == 0 or claim.granted + entitled < claim.request.min_gpus:
        return not claim.request.preemptible, 0
    given = min(entitled, desk.affordable(claim.key.namespace))
    if claim.granted + given < claim.request.min_gpus:
        given = 0
    desk.give(claim.key, given)
    short = entitled - given
    return short > 0, min(short, desk.guarantee_owed(claim))


def _borrow(desk: Desk) -> None:
    waiting = _waiting(desk)
    heads = {team: [c.key for c in own if c.request.preemptible] for team, own in waiting.items()}
    while heads := {team: keys for team, keys in heads.items() if keys}:
        claims = {team: desk.claim(keys[0]) for team, keys in heads.items()}
        team = min(claims, key=lambda t: (desk.borrowed(claims[t]) / claims[t].share.weight, t))
        if not _lend_step(desk, claims[team], alone=len(heads) == 1):
            heads[team].clear()
        elif desk.claim(heads[team][0]).missing == 0:
            heads[team].pop(0)


def _lend_step(desk: Desk, claim: Claim, *, alone: bool) -> bool:
    """Give the head of a share its first part (`minGpus`), then GPU by GPU so that weights hold.

    Returns False when nothing more can be given to this share.
    """
    most = min(desk.spare(claim.key.namespace), desk.limit_left(claim), claim.missing)
    floor = max(1, claim.request.min_gpus - claim.granted)
    if floor > most:
        return False
    desk.give(claim.key, most if alone else floor)
    return True


def _behind(desk: Desk) -> Iterable[Key]:
    for waiting in _waiting(desk).values():
        yield from (c.key for c in waiting[1:])

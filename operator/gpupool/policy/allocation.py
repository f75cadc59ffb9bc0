"""Who gets free GPUs, in the order of the phases below.

1. Owners whose lent GPUs are wanted back (law 7).
2. Claims within a guarantee; each share's queue by priority, then time.
3. The rest by weight to preemptible requests, up to each share's limit; whatever phases 1 and 2 are still
   owed is kept free for them.

A share's queue is strict: while its first request waits, nobody behind it in the same share is served, so a
position means something and a large request does not starve. Requests that may borrow do not hold up those
that may not: these wait for the guarantee alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from gpupool.model.objects import Key
from gpupool.model.reasons import Stage
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk, queues
from gpupool.policy.refusal import refuse


@dataclass(frozen=True, slots=True)
class Owed:
    """GPUs that a guarantee is owed and that are not free; fewer than `least` would be of no use."""

    key: Key
    team: str
    gpus: int
    least: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is still owed to guarantees, in the order in which it was asked, and who stands behind others."""

    owed: tuple[Owed, ...] = ()
    behind: frozenset[Key] = field(default_factory=frozenset)


def allocate(desk: Desk) -> Outcome:
    """Run the phases over the desk."""
    behind: set[Key] = set()
    owed = [*_return_lent(desk), *_within_guarantees(desk, behind)]
    _borrow(desk, behind)
    return Outcome(owed=tuple(owed), behind=frozenset(behind))


def wanted_back(claim: Claim) -> int:
    """Lent GPUs that the owner's demand asks for.

    A higher number in `spec.gpus` asks for all of them. Refused demand is known exactly: what is given back
    covers it and leaves one pod of headroom, which is what lending leaves too. Where only a full allowance is
    seen, it doubles, at least by one pod. What an endpoint needs to serve again is its own at any time.
    """
    if claim.stage is not Stage.LENT or claim.lent == 0:
        return 0
    if claim.asked_anew:
        return claim.lent
    asleep = min(claim.lent, max(0, claim.wake - claim.allowance))
    if claim.demand > 0:
        return max(asleep, min(claim.lent, claim.used + claim.demand + claim.pod_size - claim.allowance))
    full = claim.used > claim.allowance - claim.pod_size
    return max(asleep, min(claim.lent, max(claim.pod_size, claim.allowance)) if full else 0)


def _return_lent(desk: Desk) -> Iterable[Owed]:
    """Give back what is free; the part within the guarantee is owed, what was borrowed itself is not."""
    parts = desk.guaranteed_parts()
    for claim in desk.claims:
        wanted = wanted_back(claim)
        given = min(wanted, desk.affordable(claim.key.namespace))
        if given:
            desk.give_back(claim.key, given)
        if wanted > given:
            short = min(wanted - given, parts[claim.key] - claim.allowance - given)
            if short > 0:
                yield _owe(desk, Owed(claim.key, claim.share.team, short, min(short, claim.pod_size)))


def _owe(desk: Desk, owed: Owed) -> Owed:
    """Note what is owed and keep room for it, so that nobody later takes it."""
    desk.keep(owed.gpus)
    return owed


def waits(claim: Claim) -> bool:
    """Whether a claim stands in the queue: not while it is recalled, nor while part of it is lent out."""
    return claim.missing > 0 and claim.stage not in {Stage.RECALLING, Stage.LENT}


def queued(desk: Desk, claim: Claim) -> bool:
    """Whether a claim stands in its share's queue: it waits, and can be granted as it is."""
    return waits(claim) and refuse(claim, desk.ledger) is None


def _waiting(desk: Desk) -> dict[str, list[Claim]]:
    """Queues of what is not wholly granted and can be."""
    return queues([c for c in desk.claims if queued(desk, c)])


def _within_guarantees(desk: Desk, behind: set[Key]) -> Iterable[Owed]:
    lines = {team: deque(own) for team, own in _waiting(desk).items()}
    heads = [(line[0].since, team) for team, line in lines.items()]
    heapify(heads)
    borrowers_wait: set[str] = set()
    while heads:
        _, team = heappop(heads)
        line = lines[team]
        claim = line.popleft()
        preemptible = claim.request.preemptible
        if not (preemptible and team in borrowers_wait):
            served, owed = _serve_guarantee(desk, claim)
            if owed is not None:
                yield _owe(desk, owed)
            if not served and preemptible:
                borrowers_wait.add(team)
            if owed is not None or not (served or preemptible):
                behind.update(c.key for c in line if not c.request.preemptible)
                line.clear()
        if line:
            heappush(heads, (line[0].since, team))


def _serve_guarantee(desk: Desk, claim: Claim) -> tuple[bool, Owed | None]:
    """Grant what the guarantee allows: whether the claim is done with it, and what is still owed to it.

    Where only the share's own requests are in the way, the claim waits and nobody is recalled.
    """
    least = max(1, claim.least)
    entitled = min(claim.missing, desk.guarantee_left(claim))
    if entitled < least:
        return False, None
    given = min(entitled, desk.affordable(claim.key.namespace))
    given = given if given >= least else 0
    desk.give(claim.key, given)
    least = max(1, least - given)
    short = min(entitled - given, desk.guarantee_owed(claim))
    if short < least:
        return given == claim.missing, None
    slack = desk.slack(claim.key.namespace)
    return False, Owed(claim.key, claim.share.team, short - slack, max(1, least - slack))


def _borrow(desk: Desk, behind: set[Key]) -> None:
    """Lend step by step to the share that has borrowed least for its weight."""
    lines = {team: deque(c.key for c in own if c.may_borrow) for team, own in _waiting(desk).items()}
    turns = [(_turn(desk, line[0]), team) for team, line in lines.items() if line]
    heapify(turns)
    while turns:
        _, team = heappop(turns)
        line = lines[team]
        if not _lend_step(desk, desk.claim(line[0]), alone=not turns):
            behind.update(list(line)[1:])
            continue
        if desk.claim(line[0]).missing == 0:
            line.popleft()
        if line:
            heappush(turns, (_turn(desk, line[0]), team))


def _turn(desk: Desk, key: Key) -> float:
    claim = desk.claim(key)
    return desk.borrowed(claim) / claim.share.weight


def _lend_step(desk: Desk, claim: Claim, *, alone: bool) -> bool:
    """Give the head of a share its first part (`minGpus`), then GPU by GPU so that weights hold.

    Returns False when nothing more can be given to this share.
    """
    most = min(desk.spare(claim.key.namespace), desk.limit_left(claim), claim.missing)
    floor = max(1, claim.least)
    if floor > most:
        return False
    desk.give(claim.key, most if alone else floor)
    return True

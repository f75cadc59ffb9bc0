"""Who holds what stands in the way of a request, as far as the pool's visibility lets it be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gpupool.model.plan import Blocker
from gpupool.model.pool import Visibility
from gpupool.policy.claims import Claim

MOST = 10
"""Blockers that are named; sums over teams and pools leave nobody out."""


@dataclass(frozen=True, slots=True)
class Holders:
    """Claims that hold or may hold GPUs, largest first: all, by team, and the teams' sums."""

    visibility: Visibility
    all: Sequence[Claim]
    by_team: Mapping[str, Sequence[Claim]]
    sums: Sequence[tuple[str, int]]
    total: int


def taken(claim: Claim) -> int:
    """GPUs that nobody else can have."""
    return max(claim.allowance, claim.used)


def rank(visibility: Visibility, claims: Iterable[Claim]) -> Holders:
    """Sort the holders once, so that each explanation looks at a few."""
    ranked = sorted((c for c in claims if taken(c) > 0), key=lambda c: (-taken(c), c.key))
    by_team: dict[str, list[Claim]] = defaultdict(list)
    sums: dict[str, int] = defaultdict(int)
    for claim in ranked:
        by_team[claim.share.team].append(claim)
        sums[claim.share.team] += taken(claim)
    return Holders(
        visibility=visibility,
        all=ranked,
        by_team=by_team,
        sums=sorted(sums.items(), key=lambda s: (-s[1], s[0])),
        total=sum(sums.values()),
    )


def of_pool(holders: Holders, claim: Claim) -> tuple[Blocker, ...]:
    """Everybody who holds GPUs beside the claim; its own team always in full."""
    if holders.visibility is Visibility.AGGREGATE:
        others = holders.total - taken(claim)
        return (Blocker(gpus=others, why="all holders of the pool"),) if others else ()
    if holders.visibility is Visibility.NAMES:
        return _first(_named(holders.all, claim))
    own = claim.share.team
    hidden = (Blocker(gpus, team) for team, gpus in holders.sums[: MOST + 1] if team != own)
    return _first([*_named(holders.by_team.get(own, ()), claim), *hidden])


def of_share(holders: Holders, claim: Claim) -> tuple[Blocker, ...]:
    """The holders of the claim's own share."""
    return _first(_named(holders.by_team.get(claim.share.team, ()), claim))


def _named(holders: Sequence[Claim], claim: Claim) -> list[Blocker]:
    return [_blocker(c) for c in holders[: MOST + 1] if c.key != claim.key]


def _blocker(claim: Claim) -> Blocker:
    return Blocker(taken(claim), claim.share.team, claim.key.namespace, claim.key.name or None, _why(claim))


def _why(claim: Claim) -> str:
    if claim.unowned:
        return "held without a request"
    return "preemptible" if claim.request.preemptible else "within its guarantee"


def _first(rows: Iterable[Blocker]) -> tuple[Blocker, ...]:
    return tuple(sorted(rows, key=lambda b: (-b.gpus, b.team or "", b.request or "")))[:MOST]

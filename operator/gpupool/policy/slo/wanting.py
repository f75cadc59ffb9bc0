"""How many GPUs an endpoint misses, and why: what its request is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gpupool.model.standing import Standing
from gpupool.policy.claims import Claim
from gpupool.policy.slo.diagnosis.replicas import NEEDS
from gpupool.policy.slo.rollout import surge
from gpupool.policy.slo.stake import Stake, replica, urgent


@dataclass(frozen=True, slots=True)
class Want:
    """GPUs beyond those that are granted; `reason` is one word."""

    reason: str
    message: str


def wanting(claim: Claim, stake: Stake, now: datetime) -> Want | None:
    """What the endpoints behind a claim miss; None where they miss nothing, or nothing is known of it."""
    for standing, used in zip(stake.endpoints, stake.used, strict=True):
        found = _urgent(claim, standing, used, sum(stake.used) - used) if urgent(standing, now) else None
        if found is None and standing.lack and not claim.declined:
            found = Want("GrantLimits", f"InferenceSLO {standing.key.name}: {standing.lack}")
        if found is not None:
            return found
    return None


def _urgent(claim: Claim, standing: Standing, used: int, others: int) -> Want | None:
    each, workload = replica(standing, claim.request.resource), standing.workload
    if workload is None or not each:
        return None
    replicas = max(used // each + 1, _by_load(standing))
    beyond = surge(workload, replicas) * each
    total = replicas * each + beyond
    lack = total - max(0, claim.granted - others)
    if lack <= 0:
        return None
    text = (
        f"The budget of InferenceSLO {standing.key.name} burns or is used up, and replicas are what it misses"
        f" ({standing.limit.cause}): {replicas} replicas are needed, {replicas * each} GPUs and {beyond} for"
        f" the surge of a rollout; {total - lack} are granted: {lack} more."
    )
    return Want(standing.limit.cause, f"{text} {_way(claim, lack)}")


def _by_load(standing: Standing) -> int:
    """Replicas that its load needs, where the profile tells."""
    return max((int(e.value) for e in standing.limit.evidence if e.signal == NEEDS), default=0)


def _way(claim: Claim, lack: int) -> str:
    if claim.granted + lack > claim.ask:
        return f"Ask for {claim.granted + lack} in spec.gpus."
    return f"It goes first in the queue of share {claim.share.team}, within its priority."

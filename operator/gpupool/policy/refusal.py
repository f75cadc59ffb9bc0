"""What can never be granted as it is, and how to ask instead."""

from __future__ import annotations

from collections.abc import Callable

from gpupool.model.plan import Verdict
from gpupool.model.reasons import Reason
from gpupool.policy.claims import Claim, guarantee_of
from gpupool.policy.ledger import Ledger

Rule = Callable[[Claim, Ledger], Verdict | None]


def above_guarantee(claim: Claim, ledger: Ledger) -> Verdict | None:
    """Only preemptible requests may exceed their share's guarantee (law 4)."""
    guaranteed = guarantee_of(claim.share, ledger.resource)
    request = claim.request
    if request.preemptible or request.min_gpus <= guaranteed:
        return None
    return Verdict(
        Reason.ABOVE_GUARANTEE,
        f"spec.gpus {request.gpus} (at least {request.min_gpus}) is more than the {guaranteed} GPUs"
        f" guaranteed to share {claim.share.team}. Either set spec.preemptible: true to borrow above the"
        f" guarantee, or ask for at most {guaranteed}.",
        f"guaranteed {guaranteed} < {request.min_gpus} asked",
    )


def above_limit(claim: Claim, ledger: Ledger) -> Verdict | None:
    """A share is never granted more than its limit."""
    limit = claim.share.limit.get(ledger.resource)
    request = claim.request
    if limit is None or request.min_gpus <= limit:
        return None
    return Verdict(
        Reason.ABOVE_LIMIT,
        f"spec.gpus {request.gpus} (at least {request.min_gpus}) is more than the limit of {limit} GPUs"
        f" of share {claim.share.team}: ask for at most {limit}, or have the limit raised.",
        f"limit {limit} < {request.min_gpus} asked",
    )


def above_capacity(claim: Claim, ledger: Ledger) -> Verdict | None:
    """A pool with GPUs cannot grant more than all of them; one without any may still get some."""
    most = ledger.total - ledger.reserve - ledger.system
    request = claim.request
    if ledger.total == 0 or request.min_gpus <= most:
        return None
    return Verdict(
        Reason.ABOVE_CAPACITY,
        f"spec.gpus {request.gpus} (at least {request.min_gpus}) is more than the pool can ever give:"
        f" ask for at most {max(0, most)}.",
        f"{ledger.total} total - {ledger.reserve} reserve - {ledger.system} system = {most}"
        f" < {request.min_gpus} asked",
    )


RULES: tuple[Rule, ...] = (above_capacity, above_guarantee, above_limit)


def refuse(claim: Claim, ledger: Ledger) -> Verdict | None:
    """The first rule that can never be met; None where waiting makes sense."""
    return next((v for rule in RULES if (v := rule(claim, ledger)) is not None), None)

"""How many replicas an endpoint may have: floor and ceiling, with the arithmetic.

The floor is what the objectives need; until that is known, what the owner and the HPA asked for. The ceiling
is what the grant affords with the surge of a rollout, at most the owner's own maximum, and never below the
replicas that run and are Ready, because an HPA that finds fewer allowed ends them at once, busy or not.
Where both disagree the ceiling wins, and it is said how many GPUs are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gpupool.model.steering import (
    DataPolicy,
    Decision,
    HpaMode,
    Lack,
    Limits,
    Need,
    Pace,
    Rejected,
    ScalerKind,
    Scaling,
    Target,
)
from gpupool.policy.slo.grant import Grant
from gpupool.policy.slo.holding import held
from gpupool.policy.slo.rollout import affordable, surge


@dataclass(frozen=True, slots=True)
class Situation:
    """All that one decision is made of.

    Attributes:
        scaling: what the owner asks.
        target: the workload; None where it is not there, or asks for no GPUs.
        gpus: of one pod.
        grant: None without a pool.
        kind: what scales it.
        theirs: the limits of that as they were before us.
        written: what we wrote last, where we adopted the HPA.
        kept: replicas that run and are Ready.
        pace: how fast replicas may come and go.
        needed: replicas that the objectives need; None while the profile is not learned.
        why: the arithmetic of it.
        term: what decided it.
        policy: what missing data does.
        known: replicas that are needed at least, by what is known while users are not seen.
        pressed: replicas that are tried, where objectives are missed and no profile holds.
    """

    scaling: Scaling
    target: Target | None = None
    gpus: int = 1
    grant: Grant | None = None
    kind: ScalerKind = ScalerKind.HPA
    theirs: Limits | None = None
    written: Limits | None = None
    kept: int = 0
    pace: Pace = Pace.STEADY
    needed: int | None = None
    why: str = ""
    term: str = ""
    policy: DataPolicy = DataPolicy.HOLD
    known: Need | None = None
    pressed: Need | None = None


class _Floor(NamedTuple):
    """A lower bound, why it is one, and the reason as one word."""

    replicas: int
    why: str
    reason: str


class _Bound(NamedTuple):
    """An upper bound, and why it is one."""

    replicas: int
    reason: str
    message: str


def decide(it: Situation) -> Decision:
    """Floor and ceiling; always both."""
    needed, why, floor_reason = _floor(it)
    floor = needed
    bounds = sorted(_bounds(it, floor))
    lowest, spared = bounds[0], tuple(_kept(it, bounds[0]))
    ceiling = spared[0] if spared else lowest
    rejected = [_higher(b) for b in bounds[1:]] + [_lower(lowest, it) for _ in spared]
    rejected += _not_raised(it, floor)
    lack = None
    if (short := max(floor, _burning(it))) > ceiling.replicas:
        lack = _lack(it, short) if lowest.reason in _SCARCE else None
    if floor > ceiling.replicas:
        text = f"{floor} replicas are asked for ({why}) and at most {ceiling.replicas} are allowed."
        rejected.append(Rejected(f"floor {floor}", "AboveCeiling", text))
        floor = ceiling.replicas
    return Decision(
        floor=floor,
        ceiling=ceiling.replicas,
        reason="DataUnknown" if it.pace is Pace.HOLD and not spared else ceiling.reason,
        message=f"At least {floor}: {why}. At most {ceiling.replicas}: {ceiling.message}.{_pace(it)}",
        pace=it.pace,
        rejected=tuple(rejected),
        lack=lack,
        needed=_scaled_on(it, needed, floor_reason),
        floor_reason=floor_reason,
    )


# ------------------------------------------------------------------ floor

UNLEARNED, HELD = "ProfileUnlearned", "DataUnknown"


def _floor(it: Situation) -> _Floor:
    asked = _asked(it)
    if it.pace is not Pace.HOLD:
        return asked
    stands = it.written or it.theirs
    need, low = Need(asked.replicas, asked.why), None if stands is None else stands.low
    found = held(it.policy, need, low, it.scaling.low, it.known)
    return _Floor(found.replicas, found.why, asked.reason if found == need else HELD)


def _asked(it: Situation) -> _Floor:
    low = it.scaling.low
    if it.needed is not None:
        return _Floor(max(low, it.needed), it.why or f"the objectives need {it.needed}", it.term)
    saved = 0 if it.theirs is None else it.theirs.low
    if saved > low:
        text = f"the {it.kind.value}'s own {it.kind.low} {saved}, what a replica carries is not learned yet"
        return _Floor(saved, text, UNLEARNED)
    text = f"scaling.minReplicas {low}, what a replica carries is not learned yet"
    return _Floor(max(1, low), text, UNLEARNED)


def _scaled_on(it: Situation, needed: int, reason: str) -> int:
    """What a created HPA scales on: what is needed.

    Until a profile is learned nothing that is there goes, and one more comes where users miss: no number but
    ours would ever let it come.
    """
    if it.scaling.hpa is not HpaMode.CREATE or reason != UNLEARNED:
        return needed
    present = 0 if it.target is None else it.target.replicas
    return max(needed, present, 0 if it.pressed is None else it.pressed.replicas)


def _not_raised(it: Situation, floor: int) -> Iterable[Rejected]:
    """A floor that what is known speaks for, where missing data holds it."""
    known = it.known if it.pace is Pace.HOLD and it.policy is DataPolicy.HOLD else None
    if known is not None and known.replicas > floor:
        text = f"{known.why}, but data is missing and dataPolicy is Hold: UpOnly would let it rise."
        yield Rejected(f"floor {known.replicas}", "DataPolicyHold", text)


# ------------------------------------------------------------------ ceiling

GRANT, NO_REQUEST, NOT_DECIDED, TAKEN = "GrantLimits", "NoRequest", "NotDecided", "TakenAfterNotice"
_SCARCE = frozenset({GRANT, NO_REQUEST, NOT_DECIDED, TAKEN})


def _bounds(it: Situation, floor: int) -> Iterable[_Bound]:
    if it.grant is not None and it.target is not None:
        yield _granted(it, it.grant, it.target)
    if it.scaling.high is not None:
        yield _Bound(it.scaling.high, "MaxReplicas", f"scaling.maxReplicas {it.scaling.high}")
    elif it.theirs is not None:
        own = f"the {it.kind.value}'s own {it.kind.high} {it.theirs.high}"
        yield _Bound(it.theirs.high, "MaxReplicas", own)
    elif it.grant is None or it.target is None:
        present = 0 if it.target is None else it.target.replicas
        most = max(present, floor, it.kept)
        yield _Bound(most, "Unbounded", "there is neither a pool nor scaling.maxReplicas, so as it is")


def _granted(it: Situation, grant: Grant, target: Target) -> _Bound:
    if not grant.request:
        return _Bound(0, NO_REQUEST, f"no CapacityRequest in pool {grant.pool} covers {target.ref}")
    if grant.gpus is None:
        return _Bound(0, NOT_DECIDED, f"CapacityRequest {grant.request} is not decided yet")
    pods = grant.gpus // it.gpus
    most = affordable(target, pods)
    beyond = min(surge(target, most), max(0, pods - most))
    beside = f" beside {grant.others} of other workloads" if grant.others else ""
    text = (
        f"{grant.gpus} GPUs of CapacityRequest {grant.request}{beside}, {it.gpus} a replica,"
        f" {beyond * it.gpus} kept for the surge of a rollout"
    )
    if grant.taken:
        return _Bound(most, TAKEN, f"{text}; {grant.taken}")
    return _Bound(most, GRANT, text)


def _burning(it: Situation) -> int:
    """Replicas that are tried while a budget burns and nothing is learned: GPUs for them are missing too."""
    return it.pressed.replicas if it.pressed is not None and it.pace is Pace.PROTECT else 0


def _kept(it: Situation, lowest: _Bound) -> Iterable[_Bound]:
    """What runs is not ended by a ceiling, but by a recall or a shrink after its notice."""
    if it.kept > lowest.replicas and lowest.reason != TAKEN:
        text = f"so many run and are Ready, none is ended; {lowest.replicas} otherwise: {lowest.message}"
        yield _Bound(it.kept, "ReplicasRun", text)


def _higher(bound: _Bound) -> Rejected:
    return Rejected(f"ceiling {bound.replicas}", bound.reason, f"Allowed by: {bound.message}.")


def _lower(bound: _Bound, it: Situation) -> Rejected:
    text = f"It would end {it.kept - bound.replicas} replicas that run and are Ready."
    return Rejected(f"ceiling {bound.replicas}", bound.reason, text)


def _lack(it: Situation, floor: int) -> Lack:
    beyond = 0 if it.target is None else surge(it.target, floor)
    granted = 0 if it.grant is None else it.grant.gpus or 0
    needed = (floor + beyond) * it.gpus
    text = (
        f"{floor} replicas are needed: {floor * it.gpus} GPUs, and {beyond * it.gpus} for the surge of a"
        f" rollout; {granted} are granted: {needed - granted} more."
    )
    return Lack(needed - granted, text)


def _pace(it: Situation) -> str:
    said = {
        Pace.SAVE: " Much of the budget is left: replicas go sooner.",
        Pace.STEADY: "",
        Pace.PROTECT: " The budget burns or is used up: replicas come faster, and none goes.",
        Pace.HOLD: " It is not known how users fare: none goes.",
    }
    return said[it.pace]

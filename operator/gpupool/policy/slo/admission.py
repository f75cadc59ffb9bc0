"""More GPUs for an endpoint: would they help its users?

A request whose endpoints keep their objectives with head-room, or miss them for a cause that replicas do not
cure, is given what they need and no more. What was granted stays. Where nobody knows how the users fare, the
guarantee is given and nothing above it. Whatever is not proved to be useless is served like any other ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from gpupool.model.diagnosis import Cause, Confidence, Help
from gpupool.model.objects import Key
from gpupool.model.plan import Status, Verdict
from gpupool.model.pool import SloGate
from gpupool.model.reasons import Reason
from gpupool.model.standing import ROOM, Standing
from gpupool.policy.claims import Claim, Gate
from gpupool.policy.desk import Desk
from gpupool.policy.slo.rollout import surge
from gpupool.policy.slo.stake import KNOWN, STALE, Stake, fresh, replica, replica_bound

SURE: Final = frozenset({Confidence.MEDIUM, Confidence.HIGH})
"""A cause that rests on one signal refuses nobody."""
OF_NOW: Final = frozenset(
    cause.value for cause in (Cause.NO_TRAFFIC, Cause.BATCH_TOO_SMALL, Cause.COLD_START)
)
"""Causes of the moment: who missed objectives at noon is not told at night that nobody asks."""
ELSEWHERE: Final = " With spec.admission.slo: Warn in the pool it would be granted."


class _Need(NamedTuple):
    """GPUs of one endpoint: replicas that run or are needed, one's GPUs, more for a rollout."""

    gpus: int
    replicas: int
    each: int
    beyond: int


def judge(desk: Desk, stakes: Mapping[Key, Stake], mode: SloGate, now: datetime) -> None:
    """Mark what every claim that asks for more may be given."""
    if mode is SloGate.OFF:
        return
    for claim in desk.claims:
        stake = stakes.get(claim.key)
        if stake is not None and claim.ask > claim.granted:
            found = gate(claim, stake, now)
            if found is not None:
                desk.mark(replace(claim, gate=replace(found, enforced=mode is SloGate.ENFORCE)))


def gate(claim: Claim, stake: Stake, now: datetime) -> Gate | None:
    """What the endpoints behind a claim let it be given; None where nothing speaks against it."""
    if not stake.alone:
        return None
    reasons = [_speaks(claim, e, now) for e in stake.endpoints]
    if None in reasons:
        return None
    if Reason.SLO_UNKNOWN in reasons:
        at = stake.endpoints[reasons.index(Reason.SLO_UNKNOWN)]
        return Gate(claim.ask, _unknown(at, now), within=True)
    needs = [_need(e, used, claim) for e, used in zip(stake.endpoints, stake.used, strict=True)]
    needed = max(claim.granted, sum(n.gpus for n in needs))
    most = needed if needed >= claim.request.min_gpus else claim.granted
    if most >= claim.ask:
        return None
    worst = Reason.REPLICAS_DO_NOT_HELP
    number = reasons.index(worst) if worst in reasons else 0
    speaker = stake.endpoints[number]
    said = _useless(speaker) if reasons[number] is worst else _roomy(speaker)
    text = _closed(said.message, claim, most, needed)
    return Gate(most, replace(said, message=text, arithmetic=_sum(said.arithmetic, claim, needs)))


def _speaks(claim: Claim, standing: Standing, now: datetime) -> Reason | None:
    """What one endpoint says against more GPUs; None for nothing."""
    if standing.ready == 0 and claim.granted == 0:
        return None  # it runs nothing yet
    if not fresh(standing, now) or standing.state not in KNOWN:
        return Reason.SLO_UNKNOWN
    if Status.FALSE in {standing.met, standing.healthy}:
        limit = standing.limit
        cured = limit.helps is not Help.NO or limit.confidence not in SURE or limit.cause in OF_NOW
        return None if cured else Reason.REPLICAS_DO_NOT_HELP
    if standing.met is Status.UNKNOWN or not standing.settled:
        return Reason.SLO_UNKNOWN
    return Reason.SLO_MET if standing.roomy and not replica_bound(standing) else None


def _need(standing: Standing, used: int, claim: Claim) -> _Need:
    """What runs or is needed, with room for a rollout of it, so that nothing gets stuck at full grant."""
    each, workload = replica(standing, claim.request.resource), standing.workload
    if workload is None or not each:
        return _Need(used, 0, 0, used)
    replicas = max(min(used // each, workload.replicas), standing.needed or 0)
    beyond = max(surge(workload, replicas) * each, used - replicas * each)
    return _Need(replicas * each + beyond, replicas, each, beyond)


# ------------------------------------------------------------------ what is said


def _roomy(standing: Standing) -> Verdict:
    kept = "; ".join(
        f"{o.sli} {o.attainment or 0.0:.2f} % of {o.percent:g} % promised,"
        f" {o.remaining or 0.0:.0f} % of the budget left (> {ROOM:.0f})"
        for o in standing.objectives
    )
    text = (
        f"InferenceSLO {standing.key.name} is met with head-room, so more GPUs would bring its users nothing."
    )
    return Verdict(Reason.SLO_MET, _advised(text, standing.advice or standing.limit.remedy), kept)


def _useless(standing: Standing) -> Verdict:
    limit = standing.limit
    shown = "; ".join(f"{e.signal} {e.value:.3g} {e.bound}" for e in limit.evidence)
    text = (
        f"InferenceSLO {standing.key.name} is missed because of {limit.cause} (confidence"
        f" {limit.confidence.value}), which more replicas do not cure."
    )
    return Verdict(
        Reason.REPLICAS_DO_NOT_HELP,
        _advised(text, limit.remedy or standing.advice),
        f"{limit.cause}: {shown}",
    )


def _advised(text: str, advice: str) -> str:
    return f"{text} Instead: {advice}" if advice else text


def _closed(text: str, claim: Claim, most: int, needed: int) -> str:
    """What is refused, and what would be granted."""
    more = f" It needs {needed} with room for a rollout: ask for these." if needed > most else ""
    refused = f"{claim.ask - most} of the {claim.ask} GPUs asked are refused, {most} are not."
    return f"{text} {refused}{more}{ELSEWHERE}"


def _sum(text: str, claim: Claim, needs: list[_Need]) -> str:
    parts = " + ".join(
        f"{n.replicas} x {n.each} + {n.beyond} for a rollout" if n.each else f"{n.gpus} used" for n in needs
    )
    return (
        f"{text}; {parts} = {sum(n.gpus for n in needs)} needed, {claim.granted} granted, {claim.ask} asked"
    )


def _unknown(standing: Standing, now: datetime) -> Verdict:
    text = (
        f"How the users of InferenceSLO {standing.key.name} fare is not known: {_missing(standing, now)}"
        " Until it is nothing is given above the guarantee."
    )
    return Verdict(Reason.SLO_UNKNOWN, text)


def _missing(standing: Standing, now: datetime) -> str:
    """Which data is missing."""
    if standing.looked is None:
        return "it was not looked at yet."
    if not standing.current:
        return "its spec changed, and it was not judged since."
    if not fresh(standing, now):
        age, most = (int(t.total_seconds()) // 60 for t in (now - standing.looked, STALE))
        return f"it was judged {age} minutes ago, and after {most} that says nothing about now."
    if standing.state not in KNOWN:
        return f"its dataState is {standing.state or 'not told'}. {standing.trouble}".rstrip()
    if standing.met is Status.UNKNOWN:
        return standing.met_because or "there is no verdict yet."
    measured = min(o.coverage * standing.window / 100 for o in standing.objectives)
    return f"its objectives were measured for {measured:.0f} s, and {standing.long_enough:.0f} are enough."

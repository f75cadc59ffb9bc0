"""GPU-hours, tokens and energy of an endpoint, look by look, and what they come to.

Every look adds what was held and written since the one before, so a pause of ours adds neither. What is not
told (tokens of Triton, power without DCGM, a price that nobody wrote) is absent and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from gpupool.model.economics import Economics, Holding, Ledger, Stretch
from gpupool.model.signals import Signals
from gpupool.model.slo import HOUR, Endpoint, Reading, SloState

PARTS: Final = 14
"""Stretches that fill the window; one more is under way."""
LONGEST: Final = 300.0
"""Seconds between two looks of which the later one still speaks for both: more is a pause."""
MILLION: Final = 1e6
KNOWN: Final = frozenset({SloState.OK, SloState.NO_TRAFFIC, SloState.PARTIAL})


def account(
    ledger: Ledger,
    endpoint: Endpoint,
    holding: Holding,
    signals: Signals | None,
    *,
    now: float,
    window: float,
) -> Ledger:
    """Add what happened since the look before; other GPUs than before begin anew.

    Args:
        ledger: as it was left.
        endpoint: what was read.
        holding: what its pods hold.
        signals: of the evaluation window, for the power that GPUs draw.
        now: unix seconds.
        window: seconds of the InferenceSLO.
    """
    if not 0 < endpoint.seconds <= LONGEST:
        return ledger
    resource = holding.resource or ledger.resource
    before = ledger.parts if resource == ledger.resource else ()
    held = holding.gpus * endpoint.seconds
    tokens, watts = endpoint.tokens, None if signals is None else power(signals, holding.gpus)
    metered = tokens is not None and watts is not None
    part = Stretch(
        start=now,
        held=held,
        told=0.0 if tokens is None else held,
        tokens=tokens or 0.0,
        good=(tokens or 0.0) * _good(endpoint.readings),
        joules=(watts or 0.0) * endpoint.seconds if metered else 0.0,
        metered=(tokens or 0.0) if metered else 0.0,
    )
    return Ledger(_added(before, part, now, window), resource)


def _good(readings: Sequence[Reading]) -> float:
    """Part of the events that met the objective which fared worst; what is not known met none."""
    if any(r.state not in KNOWN for r in readings):
        return 0.0
    return min((min(1.0, r.good / r.total) for r in readings if r.total > 0), default=1.0)


def power(signals: Signals, gpus: int) -> float | None:
    """Watts that the GPUs draw together; None unless each of them tells."""
    told = [pod.gpu for pod in signals.pods]
    if not told or any(g.watts is None for g in told) or sum(g.devices for g in told) != gpus:
        return None
    return sum(g.watts or 0.0 for g in told)


def _added(parts: Sequence[Stretch], part: Stretch, now: float, window: float) -> tuple[Stretch, ...]:
    length = window / PARTS
    start = now // length * length
    kept = [p for p in parts if p.start > start - window - length]
    if kept and kept[-1].start >= start:
        return (*kept[:-1], _joined(kept[-1], part))
    # The first begins where counting begins, not where its stretch of the calendar does.
    return (*kept, replace(part, start=start if kept else now))


def _joined(part: Stretch, other: Stretch) -> Stretch:
    return Stretch(
        start=part.start,
        held=part.held + other.held,
        told=part.told + other.told,
        tokens=part.tokens + other.tokens,
        good=part.good + other.good,
        joules=part.joules + other.joules,
        metered=part.metered + other.metered,
    )


def economics(ledger: Ledger, holding: Holding) -> Economics | None:
    """What it comes to; None before anything was held."""
    if not ledger.parts:
        return None
    total = _total(ledger.parts)
    if total.held <= 0:
        return None
    hours, told = total.held / HOUR, total.told / HOUR
    price, known = holding.prices.get(ledger.resource), told > 0
    cost = None if price is None else hours * price
    return Economics(
        since=total.start,
        resource=ledger.resource,
        gpu_hours=hours,
        per_hour=total.tokens / told if known else None,
        per_hour_at_slo=total.good / told if known else None,
        cost=cost,
        # Of the hours in which tokens were told, or those without would make the others dear.
        per_million=None if price is None or not total.tokens else told * price * MILLION / total.tokens,
        currency=holding.currency if cost is not None else "",
        joules=total.joules / total.metered if total.metered > 0 else None,
    )


def _total(parts: Iterable[Stretch]) -> Stretch:
    first, *others = parts
    for part in others:
        first = _joined(first, part)
    return first

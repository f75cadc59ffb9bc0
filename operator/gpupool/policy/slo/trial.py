"""One replica fewer, where that costs little: what a replica carries is learned by carrying it.

The profile knows only what was carried. While there are as many replicas as carried that, it learns nothing,
and an endpoint that began with too many would keep them. So fewer are tried until objectives are missed: only
where the budget is rich, and not even the loss of every request until the replica is back would raise an
alarm. After a miss nothing is tried for a day, and for longer each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gpupool.model.profile import Profile, Stat
from gpupool.model.slo import DAY, Objective
from gpupool.policy.slo.budget import Budget, Burn
from gpupool.policy.slo.demand import Demand, Sizing, Term, Tuning
from gpupool.policy.slo.sizing import lately, near

NOTICED: Final = 60.0
"""Seconds from the first bad request until a replica is asked for: two looks, and what a scrape takes."""
RICH: Final = 0.5
"""Part of the budget that must be left, and part of that which may be lost."""
NEAR: Final = 0.9
"""How near to an alarm the loss may come."""
STRETCH: Final = 1.25
"""Times what was carried so far that are tried at most."""
FULL: Final = 0.85
"""How full the KV cache may become by that, in proportion."""
PART: Final = 4
"""One in so many replicas that are ready is spared at once, and one at least."""
LEARNS: Final = 1.02
"""Times what was carried so far from which on something is learned."""
LONGEST: Final = 30 * DAY
"""Nothing is tried for so long at most."""
APART: Final = DAY / 4
"""Misses that lie nearer together are one."""
JUMP: Final = 1.5
"""Times what was carried so far that the rate of now, which is noisy, may come to."""
_TRIED: Final = frozenset({Term.RATE, Term.SPREAD, Term.TREND, Term.HOLD, Term.HIGHEST})
"""Terms that speak of what a replica carries; who waits, or a peak that is feared, is left alone."""


def affordable(budgets: Iterable[tuple[Objective, Budget]], window: float, startup: float) -> bool:
    """Whether an endpoint may lose all requests until a replica is back, and nobody would be alarmed.

    Args:
        budgets: of its objectives.
        window: seconds over which they hold.
        startup: seconds until a replica is ready.
    """
    found = tuple(budgets)
    return bool(found) and all(_bears(o, b, window, NOTICED + startup) for o, b in found)


def _bears(objective: Objective, found: Budget, window: float, seconds: float) -> bool:
    lost, left = seconds / objective.error_budget, (found.remaining or 0.0) / 100
    return left > RICH and lost <= RICH * left * window and all(_quiet(b, lost) for b in found.burns)


def _quiet(found: Burn, lost: float) -> bool:
    """Whether it burns no faster than planned now, and such a loss would be no alarm."""
    calm = all((rate or 0.0) <= 1 for rate in (found.long_rate, found.short_rate))
    return calm and lost / found.alarm.long <= NEAR * found.alarm.factor


def missed(before: Stat | None, carried: float, now: float) -> Stat:
    """A miss, remembered: what a replica answered then, how many there were, and the newest of them."""
    if before is None:
        return Stat(carried, 1, now)
    return Stat(carried, before.samples + (now - before.at >= APART), now)


def due(last: Stat | None, now: float) -> bool:
    """Whether it is long enough ago that objectives were missed: a day, then twice as long each time."""
    return last is None or now - last.at >= min(DAY * 2.0 ** (last.samples - 1), LONGEST)


def fewer(found: Sizing, demand: Demand, profile: Profile, tuning: Tuning) -> Sizing:
    """The same with fewer replicas, the most of which something is learned: no more than are ready.

    Args:
        found: what is needed with what a replica carried so far.
        demand: what it was found of.
        profile: of the endpoint, on the GPU that serves.
        tuning: of the rule.
    """
    if found.term not in _TRIED:
        return found
    known, rate = demand.profile.rate, lately(demand.arrivals, tuning)
    least = max(1, demand.bounds.low, demand.ready - max(1, demand.ready // PART))
    most = min(demand.ready, found.floor - 1)
    replicas = next((n for n in range(most, least - 1, -1) if rate / n > LEARNS * known), None)
    if replicas is None:
        return found
    load = rate / replicas
    if _pressing(found, demand, replicas, tuning):
        return found
    if load > STRETCH * known or (profile.kv is not None and profile.kv.value * load / known > FULL):
        return found
    text = (
        f"{replicas} replicas are tried at {load:.4g} requests/s each, where {known:.4g} were carried at most"
        f" so far: the budget is rich. Otherwise {found.message}"
    )
    return replace(found, floor=replicas, term=Term.TRIAL, message=text)


def _pressing(found: Sizing, demand: Demand, replicas: int, tuning: Tuning) -> bool:
    """Whether more come than some minutes tell: who waits, a rise, a jump, a peak that is feared."""
    parts = dict(found.parts)
    now = near(demand.arrivals, tuning)
    waits = parts[Term.BACKLOG] > 0
    rises, feared = parts[Term.TREND] > parts[Term.RATE], parts[Term.PEAK] > replicas
    return waits or rises or feared or now > JUMP * demand.profile.rate * replicas

"""How many replicas the SLO of an endpoint needs now: a pure function, asked every cycle.

Up at once, down slowly. What is needed is the rate of the last half minute, plus as many standard deviations
of its jumps as the error budget allows, over what one replica carries. A need outlives itself by a start-up
time and some minutes. Where the budget is spent too fast, recent peaks are kept as well, the longer the
faster it burns: an endpoint whose load comes back sooner than replicas start pays for it, and no other does.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from operator import sub
from typing import Final

from gpupool.policy.slo.demand import Arrivals, Budget, Demand, Need, Sizing, Term, Tuning

TUNING: Final = Tuning()
_NOTHING: Final = 1e-9
"""Replicas that are none: quotients of floats."""


def size(demand: Demand, tuning: Tuning = TUNING) -> Sizing:
    """The replicas that the objective needs, within the bounds, with the arithmetic.

    Args:
        demand: what is known now.
        tuning: the same for every endpoint; another one only to find out what it does.
    """
    spent = burn(demand.budget, demand.objective, tuning)
    if demand.profile.samples < tuning.learned or demand.profile.rate <= 0:
        return _unlearned(demand, spent)
    if problem := _unknown(demand.arrivals, tuning):
        return _held(demand, spent, problem)
    parts, text = _parts(demand, tuning, spent)
    parts = (*parts, (Term.WAKE, 1)) if demand.asked else parts
    need = max(*(replicas for _, replicas in parts[:3]), int(demand.asked))
    needs = remembered(demand, need, tuning.hold + demand.profile.startup)
    parts = (*parts, (Term.HOLD, needs[0].replicas))
    wanted = max(replicas for _, replicas in parts)
    floor = min(max(wanted, demand.bounds.low), max(demand.bounds.high, demand.bounds.low))
    term = _decisive(parts, wanted, floor)
    return Sizing(floor, term, f"{_told(term, floor, wanted)}: {text}.", spent, parts, needs)


def burn(budget: Budget, objective: float, tuning: Tuning = TUNING) -> float:
    """How many times as fast as planned the error budget is spent; 1 without requests.

    Args:
        budget: requests of the last day.
        objective: percent that must be good.
        tuning: how many requests stand before the first.
    """
    allowed = max(1 - objective / 100, _NOTHING)
    bad = max(0.0, budget.total - budget.good)
    return (bad / allowed + tuning.prior) / (max(0.0, budget.total) + tuning.prior)


def spread(arrivals: Arrivals, over: float) -> float:
    """Standard deviation, in requests/s, of the jumps from step to step: a slow change is none.

    Args:
        arrivals: the steps.
        over: seconds that are looked at.
    """
    rates = _last(arrivals, over)
    if len(rates) < 2:  # noqa: PLR2004 - a difference has two sides
        return 0.0
    jumps = [(b - a) ** 2 for a, b in pairwise(rates)]
    return math.sqrt(sum(jumps) / len(jumps) / 2)


def slope(arrivals: Arrivals, over: float) -> float:
    """Requests/s by which the rate rises each second, from two means in a row; 0 where it falls.

    Args:
        arrivals: the steps.
        over: seconds of each of the two means.
    """
    count = _steps(arrivals, over)
    rates = arrivals.rates
    if len(rates) < 2 * count:
        return 0.0
    before, after = rates[-2 * count : -count], rates[-count:]
    return max(0.0, (_mean(after) - _mean(before)) / (count * arrivals.step))


def recent_peak(arrivals: Arrivals, now: float, back: float, over: float) -> float:
    """The highest mean rate of any `over` seconds within the last `back` seconds, in requests/s.

    Args:
        arrivals: steps, and the peaks of the periods before them.
        now: seconds, on the caller's clock.
        back: seconds.
        over: seconds; where fewer are known, those.
    """
    if back <= 0:
        return 0.0
    count = min(_steps(arrivals, over), len(arrivals.rates))
    sums = tuple(accumulate(arrivals.rates, initial=0.0))
    first = max(count, len(sums) - _steps(arrivals, back))
    highest: float = max(map(sub, sums[first:], sums[first - count :]))
    before = (p.rate for p in arrivals.peaks if now - p.ended < back)
    return max(highest / count, max(before, default=0.0))


def backlog(demand: Demand, rate: float, horizon: float) -> float:
    """Requests that will wait when a replica that is created now is ready; 0 while nobody waits.

    Args:
        demand: who waits, how many replicas are ready, and what one carries.
        rate: requests/s.
        horizon: seconds until then.
    """
    if demand.waiting <= 0:
        return 0.0
    carried = demand.ready * demand.profile.rate
    return max(0.0, demand.waiting + (rate - carried) * horizon)


def remembered(demand: Demand, need: int, seconds: float) -> tuple[Need, ...]:
    """The needs that still count, highest and oldest first: each is lower than the one before it.

    Args:
        demand: with the needs of before.
        need: replicas needed now.
        seconds: how long a need counts.
    """
    kept = [n for n in demand.needs if demand.now - n.at < seconds and n.replicas > need]
    return (*kept, Need(demand.now, need))


def lately(arrivals: Arrivals, tuning: Tuning = TUNING) -> float:
    """The mean rate of some minutes, in requests/s, which one burst does not move."""
    return _mean(_last(arrivals, tuning.spread_over))


def near(arrivals: Arrivals, tuning: Tuning = TUNING) -> float:
    """The rate of now, in requests/s."""
    return _mean(_last(arrivals, tuning.near))


# ------------------------------------------------------------------ parts of it


def _parts(demand: Demand, tuning: Tuning, spent: float) -> tuple[tuple[tuple[Term, int], ...], str]:
    """Replicas by term (rate, spread, trend, backlog, peak), and the arithmetic in words."""
    arrivals, per = demand.arrivals, demand.profile.rate
    rate = near(arrivals, tuning)
    sigmas = tuning.spread * min(max(spent, tuning.spread_least), tuning.spread_most)
    sd = spread(arrivals, tuning.spread_over)
    horizon = demand.profile.startup + arrivals.step
    queue = backlog(demand, rate, horizon)
    rise = tuning.trend * slope(arrivals, tuning.trend_over) * horizon
    back = min(tuning.peak_hold * max(0.0, spent - tuning.peak_spare), tuning.peak_most)
    peak = recent_peak(arrivals, demand.now, back, tuning.peak_over) * tuning.peak_part
    parts = (
        (Term.RATE, _replicas(rate, per)),
        (Term.SPREAD, _replicas(rate + sigmas * sd, per)),
        (Term.TREND, _replicas(rate + rise, per)),
        (Term.BACKLOG, _replicas(rate + queue / tuning.drain, per) if queue else 0),
        (Term.PEAK, _replicas(peak, per)),
    )
    said = (
        (True, f"{rate:.4g} requests/s now"),
        (sd > 0, f"{sigmas:.2g} x {sd:.3g} for its jumps"),
        (rise > 0, f"{rise:.3g} more within {horizon:.0f}s at this trend"),
        (queue > 0, f"{queue:.4g} waiting by then"),
        (peak > 0, f"a peak of {peak:.4g} in the last {back / 60:.0f} minutes"),
        (True, f"{per:.4g} a replica, budget spent at {spent:.2g} of its pace"),
    )
    text = ", ".join(words for there, words in said if there)
    return parts, text


def _told(term: Term, floor: int, wanted: int) -> str:
    """The number first, then what decided it."""
    reasons = {
        Term.RATE: "for the rate",
        Term.SPREAD: "for the rate and its jumps",
        Term.TREND: "for the rate that is coming",
        Term.BACKLOG: "for those who wait",
        Term.PEAK: "for a recent peak that may return before replicas start",
        Term.WAKE: "for somebody who asks",
        Term.HOLD: "as needed a few minutes ago",
        Term.LOWEST: f"as the least allowed, {wanted} needed",
        Term.HIGHEST: f"as the most allowed, {wanted} needed",
    }
    return f"{floor} replicas {reasons[term]}"


def _decisive(parts: tuple[tuple[Term, int], ...], wanted: int, floor: int) -> Term:
    """The bound that was hit, or the first term that asks for all of it."""
    if floor != wanted:
        return Term.LOWEST if floor > wanted else Term.HIGHEST
    return next(term for term, replicas in parts if replicas == wanted)


def _unlearned(demand: Demand, spent: float) -> Sizing:
    floor = max(demand.bounds.low, demand.bounds.saved)
    message = (
        f"{floor} replicas, the larger of minReplicas {demand.bounds.low} and the HPA's"
        f" {demand.bounds.saved}:"
        f" what a replica carries is not learned yet ({demand.profile.samples} samples)."
    )
    return Sizing(floor, Term.UNLEARNED, message, spent, needs=demand.needs)


def _held(demand: Demand, spent: float, problem: str) -> Sizing:
    """Keep what is there. The needs of before stay: they count again when data is back."""
    floor = min(max(demand.present, demand.bounds.low), max(demand.bounds.high, demand.bounds.low))
    message = f"{floor} replicas stay: {problem}."
    return Sizing(floor, Term.UNKNOWN, message, spent, needs=demand.needs)


def _unknown(arrivals: Arrivals, tuning: Tuning) -> str:
    """Why the rate of now is not known; empty where it is."""
    if not arrivals.rates:
        return "the arrival rate is unknown"
    if arrivals.age > max(tuning.stale, 2 * arrivals.step):
        return f"the arrival rate is {arrivals.age:.0f}s old"
    return ""


def _replicas(rate: float, per: float) -> int:
    return math.ceil(rate / per - _NOTHING)


def _steps(arrivals: Arrivals, seconds: float) -> int:
    return max(1, round(seconds / arrivals.step))


def _last(arrivals: Arrivals, seconds: float) -> tuple[float, ...]:
    return arrivals.rates[-_steps(arrivals, seconds) :]


def _mean(rates: tuple[float, ...]) -> float:
    return sum(rates) / len(rates)

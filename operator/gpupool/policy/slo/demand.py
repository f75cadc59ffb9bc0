"""What is known about an inference endpoint when its replicas are counted.

Bounded: an hour of rates, some peaks, two sums, the needs of the last minutes; it fits into a status and a
handful of queries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Term(StrEnum):
    """What decided the number of replicas."""

    RATE = "Rate"
    """The rate of the last minute."""
    SPREAD = "Spread"
    """The rate and how much it jumps from step to step."""
    TREND = "Trend"
    """The rate as it will be when a replica that starts now is ready."""
    BACKLOG = "Backlog"
    """Requests that wait, and those that will until more replicas are ready."""
    HOLD = "Hold"
    """What was needed a few minutes ago: replicas stop only when they stay unneeded."""
    PEAK = "RecentPeak"
    """A peak that may come back sooner than replicas start, where the budget is short."""
    WAKE = "WakeUp"
    """Somebody asks, and nobody is there."""
    MISSED = "ObjectiveMissed"
    """Users miss what is promised, and what a replica carries is not known any more: one more is tried."""
    TRIAL = "Trial"
    """One fewer, to learn what a replica carries, where the budget is rich."""
    LOWEST = "Lowest"
    """The bounds allow no fewer."""
    HIGHEST = "Highest"
    """The bounds allow no more."""
    UNLEARNED = "ProfileUnlearned"
    """What a replica carries is not known yet."""
    UNKNOWN = "DataUnknown"
    """The rate is not known now: nothing moves."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one replica of the endpoint carries, learned from good data only.

    Attributes:
        rate: requests/s of one replica at which the objective is just met; 0 while nothing is known.
        samples: observations behind it.
        startup: seconds from created to ready, the 90th percentile.
    """

    rate: float
    samples: int
    startup: float


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest mean rate of a past period.

    Attributes:
        ended: seconds, on the caller's clock.
        rate: requests/s, mean over `Tuning.peak_over`.
    """

    ended: float
    rate: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests that arrived.

    Attributes:
        step: seconds of one step.
        rates: requests/s of each step, oldest first; an hour at most.
        age: seconds since the newest step ended.
        peaks: of the periods before, in any order; at most 60.
    """

    step: float
    rates: tuple[float, ...]
    age: float = 0.0
    peaks: tuple[Peak, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """Requests of the last day, and those among them that met the objectives."""

    good: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Replicas.

    Attributes:
        low: never fewer.
        high: never more.
        saved: the HPA's own minimum before we came; counts until the profile is learned.
    """

    low: int
    high: int
    saved: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """So many replicas were needed at a moment (seconds, on the caller's clock)."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Demand:
    """Everything that the sizing of one endpoint looks at.

    Attributes:
        now: seconds, on the caller's clock.
        present: replicas that are ready or starting.
        ready: of them.
        waiting: requests in the queues of all replicas.
        objective: percent of requests that must be good.
        needs: what `Sizing.needs` was the last time.
        asked: somebody asks for it: it needs a replica, whatever arrives at its pods.
    """

    now: float
    profile: Profile
    arrivals: Arrivals
    budget: Budget
    bounds: Bounds
    present: int
    objective: float = 99.0
    needs: tuple[Need, ...] = ()
    ready: int = 0
    waiting: float = 0.0
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Tuning:
    """Constants of the rule, the same for every endpoint; fitted on days 1 to 3 (designs/0018-sizing.md).

    Attributes:
        near: seconds whose mean is the rate of now.
        spread_over: seconds over which jumps from step to step are measured.
        spread: standard deviations on top of the rate, at a budget that is spent as planned.
        spread_least, spread_most: what budget spent slowly or quickly makes of it, as factors.
        trend: part of the measured slope that is believed.
        trend_over: seconds whose mean is compared with that of as many seconds before.
        drain: seconds in which requests that wait shall be served once replicas are ready.
        hold: seconds, beside the start-up time, that a need outlives itself.
        peak_hold: seconds that a peak is held for each time that the budget is spent over.
        peak_spare: burn that is no reason to hold a peak.
        peak_most: seconds; no peak is held longer.
        peak_over: seconds whose mean rate is a peak.
        peak_part: part of a peak that is held: what waits may run hotter for the minutes of a start-up.
        prior: requests, spent as planned, that stand before the first: few requests say little.
        learned: samples from which a profile counts.
        stale: seconds after which the newest rate says nothing about now.
    """

    near: float = 30.0
    spread_over: float = 600.0
    spread: float = 1.8
    spread_least: float = 0.3
    spread_most: float = 4.0
    trend: float = 1.0
    trend_over: float = 300.0
    drain: float = 10.0
    hold: float = 240.0
    peak_hold: float = 7200.0
    peak_spare: float = 1.0
    peak_most: float = 14_400.0
    peak_over: float = 600.0
    peak_part: float = 1.0
    prior: float = 600.0
    learned: int = 10
    stale: float = 120.0


@dataclass(frozen=True, slots=True)
class Sizing:
    """Replicas that the SLO needs, and why.

    Attributes:
        floor: replicas, within the bounds.
        term: what decided.
        message: the arithmetic, one sentence.
        burn: how many times the budget's pace is spent; 1 is as planned.
        parts: replicas that each term alone asks for, before the bounds.
        needs: to be handed in next time.
    """

    floor: int
    term: Term
    message: str
    burn: float
    parts: tuple[tuple[Term, int], ...] = ()
    needs: tuple[Need, ...] = field(default=())

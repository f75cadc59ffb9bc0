"""Attainment, error budget and burn rates of one objective, from its sums.

    attainment = good / total            budget left = 1 - bad / (error budget * total)
    burn rate  = bad ratio of a window / error budget      (1 uses the budget up exactly at the window's end)

All are weighted by events: a quiet night heals nothing (facts/inference.md 5.2). An alarm needs two windows,
so that it begins soon and ends soon. Its windows scale with the objective's; a factor that can never be
reached, because even nothing but bad events burn no faster, is lowered to one that can.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gpupool.model.slo import Objective, Slice, Sums
from gpupool.policy.slo.sums import over, slice_seconds

ALARMS: Final = ((720.0, 0.02), (120.0, 0.05), (10.0, 0.1))
"""Window divided by its longer alarm window, and the part of the budget that may go in that: 1 h, 6 h and 3 d
of 30 days, as the SRE workbook has it (table 5-8)."""
SHORT: Final = 12.0
"""The longer window divided by the shorter."""
REACHABLE: Final = 0.9
"""Part of the fastest possible burn that an alarm asks for at most."""
LEAST_SLICES: Final = 2
"""The shorter window spans at least so many slices, or it would see none at times."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One pair of windows (seconds) and the burn rate above which both are too fast."""

    long: float
    short: float
    factor: float


@dataclass(frozen=True, slots=True)
class Burn:
    """What a pair of windows says; a rate is None where its window has no events."""

    alarm: Alarm
    long_rate: float | None
    short_rate: float | None

    @property
    def burning(self) -> bool:
        """Whether both are too fast."""
        rates = (self.long_rate, self.short_rate)
        return all(rate is not None and rate > self.alarm.factor for rate in rates)


@dataclass(frozen=True, slots=True)
class Budget:
    """Where an objective stands.

    Attributes:
        attainment: percent of good events; None without any.
        remaining: percent of the budget that is left; below 0 the promise is broken.
        coverage: percent of the window that was measured.
        events: in the window.
        burns: from the fastest alarm to the slowest.
    """

    attainment: float | None
    remaining: float | None
    coverage: float
    events: float
    burns: tuple[Burn, ...] = ()

    @property
    def burning(self) -> bool:
        """Whether any alarm says so."""
        return any(b.burning for b in self.burns)


def budget(objective: Objective, sums: Sums, now: float, window: timedelta, interval: float) -> Budget:
    """Judge the sums of an objective at `now` (unix seconds)."""
    whole = over(sums, now, window.total_seconds())
    bad = _bad_ratio(whole)
    return Budget(
        attainment=None if bad is None else 100 * (1 - bad),
        remaining=None if bad is None else 100 * (1 - bad / objective.error_budget),
        coverage=100 * whole.covered / whole.seconds,
        events=whole.total,
        burns=tuple(_burns(objective, sums, now, window, interval)),
    )


def alarms(objective: Objective, window: timedelta, interval: float) -> tuple[Alarm, ...]:
    """The pairs of windows; those of a short window that would be one are one."""
    least = LEAST_SLICES * slice_seconds(window, interval)
    found: dict[float, Alarm] = {}
    for divisor, part in ALARMS:
        long = max(window.total_seconds() / divisor, SHORT / 2 * least)
        factor = max(1.0, part * window.total_seconds() / long)
        reachable = min(factor, REACHABLE / objective.error_budget)
        found.setdefault(long, Alarm(long, max(long / SHORT, least), reachable))
    return tuple(found.values())


def _burns(
    objective: Objective, sums: Sums, now: float, window: timedelta, interval: float
) -> Iterable[Burn]:
    for alarm in alarms(objective, window, interval):
        rates = [_bad_ratio(over(sums, now, seconds)) for seconds in (alarm.long, alarm.short)]
        long, short = (None if r is None else r / objective.error_budget for r in rates)
        yield Burn(alarm, long, short)


def _bad_ratio(part: Slice) -> float | None:
    """Part of the events that were bad; None without events."""
    return None if part.total <= 0 else min(1.0, max(0.0, 1 - part.good / part.total))

"""The hour that is played: one tenant's recorded rates and lengths, and what comes before it.

Before the hour its first rate is played for a while, on as many replicas as carry it: there the operator
learns what a replica carries. Times are those of the engines, in seconds; the hour begins at 0.
"""

import csv
import gzip
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.slo import attainment
from benchmarks.slo.trace import DAY, STEP, Counts, Tenant, Trace, TraceError
from localplane.engines.lengths import Mix

SET: Final = "hour"
"""Name of the trace's file."""
HOUR: Final = 3600
STEPS: Final = HOUR // STEP
SMOOTH: Final = 6
"""Steps over which rates are means: the plane draws arrivals anew, so their chance is not played twice."""
LENGTHS: Final = 4_000
WIDEST: Final = 1.5
FIT_DAYS: Final = 3
LEAP: Final = 1.5
"""So many times the requests of the ten minutes before are a leap."""


@dataclass(frozen=True, slots=True)
class Hour:
    """What is played.

    Attributes:
        tenant: its name in the family.
        number: of the hour, from the trace's beginning.
        rates: requests/s of each step of 10 s.
        mix: lengths, as the simulated engines draw them.
    """

    family: str
    tenant: str
    number: int
    rates: tuple[float, ...]
    mix: Mix

    @property
    def first(self) -> float:
        """Requests/s at its beginning: the mean of five minutes."""
        count = 300 // STEP
        return sum(self.rates[:count]) / count

    def __str__(self) -> str:
        return (
            f"{self.family}, tenant {self.tenant}, hour {self.number} (day {self.number * HOUR // DAY + 1}),"
            f" {min(self.rates):.1f} to {max(self.rates):.1f} requests/s"
        )


def choose(trace: Trace, drawn: Counts, tenant: str = "", number: int | None = None) -> Hour:
    """An hour of a tenant.

    Args:
        trace: the family.
        drawn: arrivals of one draw, by tenant and step.
        tenant: its name; the largest one by default.
        number: of the hour; by default the one that moves most without leaps, of the days that nothing was
            fitted on: what comes sooner than replicas start is decided by chance, and an hour is one draw.

    Raises:
        TraceError: there is no such tenant, or it has no requests then.
    """
    names = [t.name for t in trace.tenants]
    if tenant and tenant not in names:
        raise TraceError(f"{trace.family} has no tenant {tenant} among its largest: {', '.join(names)}")
    place = names.index(tenant) if tenant else 0
    hours = drawn[place].reshape(-1, STEPS) / STEP
    chosen = _liveliest(hours, trace.days) if number is None else number
    if not 0 <= chosen < len(hours) or not hours[chosen].any():
        raise TraceError(f"tenant {names[place]} has no requests in hour {chosen} of {len(hours)}")
    kernel = np.ones(SMOOTH) / SMOOTH
    padded = np.pad(hours[chosen], (SMOOTH // 2, SMOOTH - 1 - SMOOTH // 2), mode="edge")
    rates = np.convolve(padded, kernel, mode="valid")
    return Hour(trace.family, names[place], chosen, tuple(map(float, rates)), mix_of(trace.tenants[place]))


def _liveliest(hours: np.ndarray, days: int) -> int:
    """The hour with the longest way between its quietest and its busiest ten minutes."""
    first = FIT_DAYS * DAY // HOUR if days > FIT_DAYS else 0
    means = hours.reshape(len(hours), 6, -1).mean(axis=2)
    calm = (means > 0).all(axis=1) & (means[:, 1:] <= LEAP * means[:, :-1]).all(axis=1)
    way = np.where(calm, means.max(axis=1) - means.min(axis=1), -1.0)
    return first + int(np.argmax(way[first:]))


def mix_of(tenant: Tenant) -> Mix:
    """Lengths of the engines' form: two means, and one spread for both."""
    rng = random.Random(f"mix {tenant.name}")  # noqa: S311 - the same again
    drawn = attainment.lengths(tenant.mixes, LENGTHS, rng)
    prompts, answers = (np.array(side, dtype=np.float64) for side in zip(*drawn, strict=True))
    wide = (np.log(prompts).std() + np.log(answers).std()) / 2
    return Mix(
        round(float(prompts.mean()), 1),
        round(float(answers.mean()), 1),
        round(float(min(wide, WIDEST)), 3),
    )


@dataclass(frozen=True, slots=True)
class Play:
    """The hour with what comes before it.

    Attributes:
        hour: itself.
        lead: seconds before it.
        replicas: that are there before it.
        rate: requests/s before it.
    """

    hour: Hour
    lead: int
    replicas: int
    rate: float

    @property
    def rates(self) -> tuple[float, ...]:
        """Requests/s of each step, from the beginning of the lead."""
        return (self.rate,) * (self.lead // STEP) + self.hour.rates

    def drawn(self, seed: int = 0) -> list[float]:
        """Requests of each step, drawn from the rates as the engines draw theirs."""
        rng = np.random.default_rng(seed)
        return [float(n) for n in rng.poisson(np.array(self.rates) * STEP)]

    def write(self, folder: Path) -> Path:
        """The trace for the engines, whose second 0 is the beginning of the lead."""
        file = folder / f"{SET}.csv.gz"
        with gzip.open(file, "wt", encoding="utf-8", newline="") as text:
            rows = csv.writer(text)
            rows.writerow(("t_s", "pod", "value"))
            rows.writerows((n * STEP, self.hour.tenant, f"{rate:.4f}") for n, rate in enumerate(self.rates))
        return file

    @property
    def name(self) -> str:
        """Of the trace."""
        return f"trace:{SET}/{self.hour.tenant}"


def play(hour: Hour, carried: float, lead: float, load: float) -> Play:
    """As many replicas as carry the first rate, at so much of what each carries.

    Args:
        hour: what is played.
        carried: requests/s of a replica at the objectives.
        lead: seconds before the hour.
        load: part of what they carry that they get meanwhile.
    """
    replicas = max(1, math.ceil(hour.first / carried / load - 0.5))
    return Play(hour, math.ceil(lead / STEP) * STEP, replicas, replicas * carried * load)

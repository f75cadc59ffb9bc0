"""Who decides in the simulated hour: the operator's own rule and pace, or the HPA as the benchmark has it.

The plane's world is slower than its engines: a second there is `speed` seconds of theirs. The operator lives
in the world's time and sees engines that do everything so many times as fast; so does the rule here, with
the same numbers.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

import numpy as np

from benchmarks.slo.fluid import SYNC, Floats, Ints, Seen
from benchmarks.slo.policies import Hpa
from benchmarks.slo.trace import STEP
from gpupool.model.slo import Objective, Reading, SloState, Sums
from gpupool.model.steering import Pace
from gpupool.policy.slo.budget import budget
from gpupool.policy.slo.demand import Arrivals, Bounds, Budget, Demand, Need, Profile, Tuning
from gpupool.policy.slo.pace import pace
from gpupool.policy.slo.sizing import burn, size
from gpupool.policy.slo.sums import fold, over

LOOK: Final = SYNC * STEP
"""Seconds of the engines between two looks."""
STEPS: Final = 120
"""Steps of arrivals that the rule sees."""
DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Felt:
    """What a step came to.

    Attributes:
        seen: as the policies of the benchmark see it.
        good: good requests, by objective.
        total: all of them, by objective: those that ended, where that is counted.
    """

    seen: Seen
    good: tuple[float, ...]
    total: tuple[float, ...]


class Decider(Protocol):
    """Says how many replicas there shall be, every 30 s."""

    def want(self, felt: Sequence[Felt], at: float) -> int:
        """Replicas, after these steps; `at` is their end, in seconds of the engines."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What the operator knows of a replica, in the engines' time.

    Attributes:
        rate: requests/s at the objectives.
        startup: seconds from made to ready.
        since: from when on it knows.
    """

    rate: float
    startup: float
    since: float


@dataclass(slots=True)
class Steered:
    """The operator: its sizing rule, its budgets and its pace; an HPA follows the floor at once.

    Attributes:
        objectives: of the endpoint.
        window: of the promise, in seconds of the world.
        speed: seconds of the engines in one of the world.
        tuning: of the rule, in the world's time.
        learned: what is known of a replica.
        most: replicas.
        before: replicas until it is known.
    """

    objectives: tuple[Objective, ...]
    window: float
    speed: float
    tuning: Tuning
    learned: Learned
    most: int
    before: int
    paces: list[Pace] = field(default_factory=list)
    _rates: deque[float] = field(default_factory=lambda: deque(maxlen=STEPS))
    _sums: list[Sums] = field(default_factory=list)
    _needs: tuple[Need, ...] = ()

    def want(self, felt: Sequence[Felt], at: float) -> int:
        """The floor; none goes while the budget burns."""
        now, present = EPOCH + at / self.speed, int(felt[-1].seen.ready[0] + felt[-1].seen.starting[0])
        self._note(felt, now)
        if at < self.learned.since:
            return self.before
        found = size(self._demand(felt[-1].seen, now, present), self.tuning)
        self._needs = found.needs
        self.paces.append(self._pace(now))
        return max(found.floor, present) if self.paces[-1] is Pace.PROTECT else found.floor

    def _note(self, felt: Sequence[Felt], now: float) -> None:
        seconds = LOOK / self.speed
        self._rates.append(sum(float(f.seen.arrived[0]) for f in felt) / seconds)
        self._sums = self._sums or [Sums(until=now - seconds) for _ in self.objectives]
        window = timedelta(seconds=self.window)
        for place, sums in enumerate(self._sums):
            good, total = sum(f.good[place] for f in felt), sum(f.total[place] for f in felt)
            reading = Reading(SloState.OK, min(good, total), total, seconds)
            self._sums[place] = fold(sums, reading, now, window, seconds)

    def _demand(self, seen: Seen, now: float, present: int) -> Demand:
        found, objective = self._budget(now)
        profile = Profile(self.learned.rate * self.speed, 1_000, self.learned.startup / self.speed)
        return Demand(
            now=now,
            profile=profile,
            arrivals=Arrivals(LOOK / self.speed, tuple(self._rates)),
            budget=found,
            bounds=Bounds(1, self.most),
            present=present,
            objective=objective,
            needs=self._needs,
            ready=int(seen.ready[0]),
            waiting=float(seen.waiting[0]),
        )

    def _budget(self, now: float) -> tuple[Budget, float]:
        """Of the objective whose budget goes fastest."""
        days = [over(sums, now, DAY) for sums in self._sums]
        found = [
            (Budget(day.good, day.total), objective.percent)
            for objective, day in zip(self.objectives, days, strict=True)
        ]
        return max(found, key=lambda pair: burn(*pair, self.tuning))

    def _pace(self, now: float) -> Pace:
        window, interval = timedelta(seconds=self.window), LOOK / self.speed
        pairs = zip(self.objectives, self._sums, strict=True)
        return pace(SloState.OK, [budget(o, sums, now, window, interval) for o, sums in pairs])


EPOCH: Final = 1_000_000_000.0
"""Unix seconds of the engines' second 0: any."""


class Scaled:
    """The HPA of the benchmark, on running requests."""

    def __init__(self, target: float, most: int, before: int) -> None:
        self._hpa = Hpa(lambda seen: seen.running, target)
        self._most = most
        self._before = before

    def want(self, felt: Sequence[Felt], at: float) -> int:
        """From what ran in the newest step."""
        del at
        return int(np.clip(self._hpa.want(felt[-1].seen)[0], 1, self._most))


def one(value: float) -> Floats:
    """An array of one lane."""
    return np.array([value], dtype=np.float64)


def ones(value: int) -> Ints:
    """A count of one lane."""
    return np.array([value], dtype=np.int64)

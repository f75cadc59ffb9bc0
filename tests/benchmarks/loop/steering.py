"""Who decides in the simulated hour: the operator's own planner, or the HPA as the benchmark has it.

The plane's world is slower than its engines: a second there is `speed` seconds of theirs. The operator lives
in the world's time and sees engines that do everything so many times as fast; so does the planner here, with
the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import numpy as np

from benchmarks.slo.fluid import SYNC, Floats, Ints, Seen
from benchmarks.slo.policies import Hpa
from benchmarks.slo.trace import STEP
from gpupool.model.objects import Key
from gpupool.model.profile import ColdStart, Profile, Stat
from gpupool.model.slo import Objective, Reading, SloState, Sums
from gpupool.model.steering import Pace, Scaling
from gpupool.planner.diagnosing import Findings
from gpupool.planner.endpoints import ObjectiveFound, SloStatus
from gpupool.planner.sizing import SizingScene, size_endpoint
from gpupool.policy.slo.arrivals import Count, Record, arrivals, begun, fold
from gpupool.policy.slo.budget import budget
from gpupool.policy.slo.demand import Need, Tuning
from gpupool.policy.slo.pace import pace
from gpupool.policy.slo.sums import fold as summed

LOOK: Final = SYNC * STEP
"""Seconds of the engines between two looks."""
EPOCH: Final = 1_000_000_000
"""Unix seconds of the engines' second 0: any."""
SAMPLES: Final = 1_000
PODS: Final = "all"
"""Under which requests are counted: those of all pods."""


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
    """The operator's planner over one endpoint; an HPA that follows its floor at once.

    Attributes:
        objectives: of the endpoint.
        window: of the promise, in seconds of the world.
        speed: seconds of the engines in one of the world.
        tuning: of the rule, in the world's time.
        learned: what is known of a replica.
        most: replicas.
        before: replicas until it is known.
        paces: of every look.
    """

    objectives: tuple[Objective, ...]
    window: float
    speed: float
    tuning: Tuning
    learned: Learned
    most: int
    before: int
    paces: list[Pace] = field(default_factory=list)
    _came: float = 0.0
    _record: Record | None = None
    _sums: list[Sums] = field(default_factory=list)
    _needs: tuple[Need, ...] | None = None

    def want(self, felt: Sequence[Felt], at: float) -> int:
        """The floor; none goes while the budget burns."""
        step, now = LOOK / self.speed, EPOCH + at / self.speed
        record = self._arrived(felt, now, step)
        found = self._judged(felt, now, step)
        if at < self.learned.since:
            return self.before
        seen = felt[-1].seen
        present = int(seen.ready[0] + seen.starting[0])
        scene = SizingScene(
            status=self._status(found, int(seen.ready[0]), present),
            scaling=Scaling(1, self.most),
            arrivals=arrivals(record, now, step),
            waiting=float(seen.waiting[0]),
            replicas=present,
            needs=self._needs,
            window=self.window,
        )
        sizing = size_endpoint(scene, datetime.fromtimestamp(now, UTC), self.tuning)
        self._needs = sizing.needs
        self.paces.append(pace(SloState.OK, [o.budget for o in found]))
        return max(sizing.floor, present) if self.paces[-1] is Pace.PROTECT else sizing.floor

    def _arrived(self, felt: Sequence[Felt], now: float, step: float) -> Record:
        self._came += sum(float(f.seen.arrived[0]) for f in felt)
        number = round(now / step)
        before = self._record or begun(step, number - 1)
        self._record = fold(before, number, {PODS: Count(self._came, coming=True)}, {}, self.tuning)
        return self._record

    def _judged(self, felt: Sequence[Felt], now: float, seconds: float) -> tuple[ObjectiveFound, ...]:
        window = timedelta(seconds=self.window)
        self._sums = self._sums or [Sums(until=now - seconds) for _ in self.objectives]
        found = []
        for place, objective in enumerate(self.objectives):
            good, total = sum(f.good[place] for f in felt), sum(f.total[place] for f in felt)
            reading = Reading(SloState.OK, min(good, total), total, seconds)
            sums = self._sums[place] = summed(self._sums[place], reading, now, window, seconds)
            found.append(
                ObjectiveFound(objective, reading, sums, budget(objective, sums, now, window, seconds))
            )
        return tuple(found)

    def _status(self, found: tuple[ObjectiveFound, ...], ready: int, present: int) -> SloStatus:
        stat = Stat(self.learned.rate * self.speed, SAMPLES, float(EPOCH))
        starts = ColdStart((self.learned.startup / self.speed,))
        profile = Profile("H100", "", float(EPOCH), requests=stat, cold_start=starts)
        key = Key("loop", "bench")
        return SloStatus(
            key, "", 1, "vLLM", present, ready, found, (), findings=Findings(profiles=(profile,))
        )


class Scaled:
    """The HPA of the benchmark, on running requests.

    Args:
        target: running requests of a replica.
        most: replicas.
    """

    def __init__(self, target: float, most: int) -> None:
        self._hpa = Hpa(lambda seen: seen.running, target)
        self._most = most

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

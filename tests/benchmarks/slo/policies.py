"""Who decides on replicas: the HPA as it is used today, a simple rule, ours, and one who knows the future."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.slo.fluid import HIGH, LOW, SYNC, Floats, Ints, Lanes, Policy, Seen, needed
from benchmarks.slo.trace import STEP, STEPS_OF_WINDOW, Counts
from gpupool.policy.slo.demand import Arrivals, Bounds, Budget, Demand, Need, Peak, Profile, Sizing, Tuning
from gpupool.policy.slo.sizing import TUNING, size

OBJECTIVE: Final = 99.0
LOOK: Final = SYNC * STEP
"""Seconds between two decisions, and of one step of what the rule sees."""
RAW: Final = 3600 // LOOK
"""Steps of the raw window."""
PERIOD: Final = 600 // LOOK
"""Steps of a period whose peak is kept."""
PERIODS: Final = 24
BOUNDS: Final = Bounds(LOW, HIGH)
HOURS: Final = 24
"""Hourly sums of the budget."""


class Hpa:
    """The HPA: ceil(sum over ready pods / target), 10 % tolerance, down by the highest wish of 300 s."""

    def __init__(self, metric: Callable[[Seen], Floats], target: float) -> None:
        self._metric = metric
        self._target = target
        self._wishes: deque[Ints] = deque(maxlen=300 // LOOK)

    def see(self, seen: Seen) -> None:
        """Nothing is remembered but wishes."""

    def want(self, seen: Seen) -> Ints:
        """At most twice as many or four more."""
        present = seen.ready + seen.starting
        value = self._metric(seen) / self._target
        wish = np.ceil(value - 1e-9).astype(np.int64)
        wish = np.where(np.abs(value / present - 1) <= 0.1, present, wish)
        wish = np.minimum(wish, np.maximum(present * 2, present + 4))
        self._wishes.append(wish)
        highest = np.max(np.array(self._wishes), axis=0)
        down: Ints = np.minimum(highest, present)
        return np.where(wish >= present, wish, down)


class SimpleRate:
    """The mean of 30 minutes and four standard deviations, over what a replica carries."""

    def __init__(self, lanes: Lanes) -> None:
        self._carried = lanes.carried
        self._rates: deque[Floats] = deque(maxlen=1800 // STEP)

    def see(self, seen: Seen) -> None:
        """Rates of 10 s."""
        self._rates.append(seen.arrived / STEP)

    def want(self, seen: Seen) -> Ints:
        """At once, up and down."""
        del seen
        rates = np.array(self._rates)
        rate = rates.mean(axis=0) + 4 * rates.std(axis=0)
        wish: Ints = np.ceil(rate / self._carried - 1e-9).astype(np.int64)
        return wish


class Known:
    """A plan that was made with knowledge of the whole trace."""

    def __init__(self, plan: Ints) -> None:
        self._plan = plan

    def see(self, seen: Seen) -> None:
        """Nothing is new."""

    def want(self, seen: Seen) -> Ints:
        """For the moment after this step."""
        return self._plan[:, min(seen.step + 1, self._plan.shape[1] - 1)]


def oracle(counts: Counts, lanes: Lanes) -> Known:
    """Perfect knowledge of the trace, the same delays: each step has what its rate needs, and no more."""
    need = needed(counts, lanes)
    plan = need.copy()
    for ahead in range(1, int(lanes.delay.max()) + SYNC + 1):
        rows = lanes.delay + SYNC >= ahead
        plan[rows, :-ahead] = np.maximum(plan[rows, :-ahead], need[rows, ahead:])
    return Known(plan)


def window_oracle(counts: Counts, lanes: Lanes, hold: float) -> Known:
    """Knows the recorded window at hand to its end, arrival by arrival, and nothing of the next one.

    What bounds us: of what comes after the window it knows as much as we do, so it can only keep replicas.

    Args:
        counts: arrivals.
        lanes: the deployments.
        hold: seconds that every replica is kept after it was needed last.
    """
    need = needed(counts, lanes)
    windows = need.reshape(len(lanes), -1, STEPS_OF_WINDOW)
    rest = np.maximum.accumulate(windows[:, :, ::-1], axis=2)[:, :, ::-1].reshape(need.shape)
    return Known(_highest(rest, round(hold / STEP)))


def _highest(plan: Ints, back: int) -> Ints:
    """The highest of the last steps, by doubling the reach."""
    reach, found = 1, plan
    while reach <= back:
        by = min(reach, back + 1 - reach)
        found = np.maximum(found, np.pad(found, ((0, 0), (by, 0)))[:, : plan.shape[1]])
        reach += by
    return found


@dataclass(slots=True)
class Endpoint:
    """What the operator keeps of one endpoint: an hour of rates, 24 peaks, 24 hourly sums, some needs."""

    profile: Profile
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=RAW))
    peaks: deque[Peak] = field(default_factory=lambda: deque(maxlen=PERIODS))
    hours: deque[list[float]] = field(default_factory=lambda: deque(maxlen=HOURS))
    needs: tuple[Need, ...] = ()

    def note(self, now: float, arrived: float, good: float, over: int) -> None:
        """Take in one step of 30 s.

        Args:
            now: seconds at its end.
            arrived: requests in it.
            good: of them.
            over: steps whose mean rate is a peak.
        """
        self.rates.append(arrived / LOOK)
        if not self.hours or now % 3600 < LOOK:
            self.hours.append([0.0, 0.0])
        self.hours[-1][0] += good
        self.hours[-1][1] += arrived
        recent = [self.rates[i] for i in range(-min(over, len(self.rates)), 0)]
        mean = sum(recent) / len(recent)
        ends = (now // (PERIOD * LOOK) + 1) * PERIOD * LOOK
        if not self.peaks or self.peaks[-1].ended < ends:
            self.peaks.append(Peak(ends, mean))
        elif mean > self.peaks[-1].rate:
            self.peaks[-1] = Peak(ends, mean)

    def size(self, now: float, fleet: tuple[int, int], waiting: float, tuning: Tuning) -> Sizing:
        """Ask the operator's own rule; the fleet is what is there, and of it what is ready."""
        budget = Budget(sum(h[0] for h in self.hours), sum(h[1] for h in self.hours))
        arrivals = Arrivals(LOOK, tuple(self.rates), peaks=tuple(self.peaks))
        demand = Demand(
            now, self.profile, arrivals, budget, BOUNDS, fleet[0], OBJECTIVE, self.needs, fleet[1], waiting
        )
        found = size(demand, tuning)
        self.needs = found.needs
        return found


class Gpupool:
    """Ours: the operator's rule, lane by lane, from what the operator would have measured by then."""

    def __init__(self, lanes: Lanes, tuning: Tuning = TUNING) -> None:
        known = zip(lanes.carried, lanes.startup, strict=True)
        self._endpoints = [Endpoint(Profile(float(c), 1_000, float(s))) for c, s in known]
        self._arrived = np.zeros(len(lanes))
        self._good = np.zeros(len(lanes))
        self._tuning = tuning
        self._over = max(1, round(tuning.peak_over / LOOK))

    def see(self, seen: Seen) -> None:
        """Sum up until the next decision."""
        self._arrived += seen.arrived
        self._good += seen.good

    def want(self, seen: Seen) -> Ints:
        """The floors."""
        now = float((seen.step + 1) * STEP)
        present = seen.ready + seen.starting
        floors = []
        for lane, endpoint in enumerate(self._endpoints):
            endpoint.note(now, float(self._arrived[lane]), float(self._good[lane]), self._over)
            fleet = int(present[lane]), int(seen.ready[lane])
            floors.append(endpoint.size(now, fleet, float(seen.waiting[lane]), self._tuning).floor)
        self._arrived[:] = 0
        self._good[:] = 0
        return np.array(floors, dtype=np.int64)


Maker = Callable[[Counts, Lanes, Tuning], Policy]

POLICIES: Final[dict[str, Maker]] = {
    "hpa-utilisation-80": lambda *_: Hpa(lambda seen: seen.busy, 0.8),
    "hpa-utilisation-50": lambda *_: Hpa(lambda seen: seen.busy, 0.5),
    "hpa-running-16": lambda *_: Hpa(lambda seen: seen.running, 16),
    "hpa-running-4": lambda *_: Hpa(lambda seen: seen.running, 4),
    "simple-rate": lambda _, lanes, __: SimpleRate(lanes),
    "gpupool": lambda _, lanes, tuning: Gpupool(lanes, tuning),
    "oracle": lambda counts, lanes, _: oracle(counts, lanes),
}
"""By name: what is benched, in the order of the table."""
KNOWS_WINDOW: Final = "knows its window"
EVERYBODY: Final[dict[str, Maker]] = {
    **POLICIES,
    KNOWS_WINDOW: lambda counts, lanes, tuning: window_oracle(counts, lanes, tuning.peak_hold),
}
"""With the one that bounds the frontier."""

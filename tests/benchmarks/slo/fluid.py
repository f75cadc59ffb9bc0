"""Engine 2: many deployments side by side as a flow, in steps of 10 s.

A lane is one tenant's deployment with one start-up time and one seed. Requests spread evenly over its ready
replicas; what they do not carry waits. A request is good if its wait is within the TTFT and its replica's
load is one at which requests are good (engine 1's table). Replicas count from the moment they are created.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.slo.attainment import LOADS, SPEED, TTFT, Table
from benchmarks.slo.trace import STEP, STEPS_OF_DAY, STEPS_OF_WINDOW, Counts

SYNC: Final = 3
"""Steps between two decisions."""
LOW: Final = 1
HIGH: Final = 64
FINE: Final = 200
"""Places of the tables for one saturation."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lanes:
    """Deployments side by side; every array has one entry a lane.

    Attributes:
        tenant: its number.
        seed: of its arrivals.
        startup: seconds.
        saturation: requests/s of one replica.
        carried: requests/s of one replica at the objective.
    """

    tenant: Ints
    seed: Ints
    startup: Ints
    saturation: Floats
    carried: Floats

    @property
    def delay(self) -> Ints:
        """Steps from created to ready."""
        return self.startup // STEP

    def __len__(self) -> int:
        return len(self.tenant)


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be measured in a step; one entry a lane.

    Attributes:
        step: its number.
        arrived: requests.
        good: of them, within the objectives.
        ready: replicas.
        starting: replicas.
        running: sequences that run in all.
        busy: GPUs' utilisation, summed over replicas (0 to `ready`).
        waiting: requests in queues, after the step.
    """

    step: int
    arrived: Floats
    good: Floats
    ready: Ints
    starting: Ints
    running: Floats
    busy: Floats
    waiting: Floats


class Policy(Protocol):
    """Who decides how many replicas there are."""

    def see(self, seen: Seen) -> None:
        """Take note of a step."""

    def want(self, seen: Seen) -> Ints:
        """Replicas per lane, at the end of a step."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """By lane and day: requests, those that were good, replica-hours, changes of the number of replicas."""

    total: Floats
    good: Floats
    hours: Floats
    changes: Floats

    @property
    def gpu_hours(self) -> Floats:
        """GPU-hours by lane and day."""
        return self.hours * SPEED.gpus


class Lookup:
    """Engine 1's tables, by tenant and load in steps of a two-hundredth."""

    def __init__(self, tables: Sequence[Table]) -> None:
        places, loads = np.linspace(0, 1, FINE + 1), (0.0, *LOADS)
        self.good = np.stack([np.interp(places, loads, (t.good[0], *t.good)) for t in tables])
        self.running = np.stack([np.interp(places, loads, (0.0, *t.running)) for t in tables])
        self.busy = np.stack([np.interp(places, loads, (0.0, *t.busy)) for t in tables])


def lanes(tables: Sequence[Table], seeds: int, startups: Sequence[int], objective: float) -> Lanes:
    """Every tenant with every start-up time and seed."""
    startup, seed, tenant = np.meshgrid(
        np.array(startups), np.arange(seeds), np.arange(len(tables)), indexing="ij"
    )
    saturation = np.array([t.saturation for t in tables])
    carried = np.array([t.rate_at(objective) for t in tables])
    flat = tenant.ravel()
    return Lanes(flat, seed.ravel(), startup.ravel(), saturation[flat], carried[flat])


Share = Callable[[int, Ints, Ints], Ints]
"""What becomes of wishes where not everybody gets all: (step, wanted, present) to allowed."""


def simulate(
    lanes: Lanes,
    lookup: Lookup,
    counts: Counts,
    gaps: frozenset[int],
    policy: Policy,
    *,
    share: Share | None = None,
    progress: Callable[[str], None] | None = None,
) -> Outcome:
    """Run the days from one replica each.

    Args:
        lanes: the deployments.
        lookup: engine 1's tables.
        counts: arrivals by seed, tenant and step.
        gaps: windows without data: nothing happens in them, and nothing is counted.
        policy: who decides; asked every 30 s.
        share: of a limited pool; None where everybody gets what is wanted.
        progress: told the day.
    """
    steps = counts.shape[2]
    days = -(-steps // STEPS_OF_DAY)
    sums = Outcome(*(np.zeros((len(lanes), days)) for _ in range(4)))
    arrivals = counts[lanes.seed, lanes.tenant].T.astype(np.float64)
    fleet, waiting = Fleet(lanes), np.zeros(len(lanes))
    for step in range(steps):
        day = step // STEPS_OF_DAY
        if progress and step % STEPS_OF_DAY == 0:
            progress(f"day {day + 1} of {days}")
        fleet.start(step)
        if step // STEPS_OF_WINDOW in gaps:
            continue
        seen, waiting = served(lanes, lookup, fleet, (step, arrivals[step]), waiting)
        sums.total[:, day] += seen.arrived
        sums.good[:, day] += seen.good
        sums.hours[:, day] += (fleet.ready + fleet.starting) * (STEP / 3600)
        policy.see(seen)
        if step % SYNC == SYNC - 1:
            present = fleet.ready + fleet.starting
            wanted = np.clip(policy.want(seen), LOW, HIGH)
            if share:
                wanted = share(step, wanted, present)
            sums.changes[:, day] += wanted != present
            fleet.scale(step, wanted - present)
    return sums


class Fleet:
    """Replicas of every lane, ready and starting; those that start come up in the order of their creation."""

    def __init__(self, lanes: Lanes) -> None:
        self._delay = lanes.delay
        self._slots = int(self._delay.max()) + 1
        self._coming = np.zeros((self._slots, len(lanes)), dtype=np.int64)
        self._all = np.arange(len(lanes))
        self.ready = np.full(len(lanes), LOW, dtype=np.int64)
        self.starting = np.zeros(len(lanes), dtype=np.int64)

    def start(self, step: int) -> None:
        """Those whose time has come are ready."""
        due = self._coming[step % self._slots]
        if due.any():
            self.ready += due
            self.starting -= due
            due[:] = 0

    def scale(self, step: int, by: Ints) -> None:
        """Create replicas at the end of a step, or stop some: the youngest first."""
        up, down = np.maximum(by, 0), np.maximum(-by, 0)
        if up.any():
            self._coming[(step + 1 + self._delay) % self._slots, self._all] += up
            self.starting += up
        for lane in np.nonzero(down)[0]:
            self._stop(step, int(lane), int(down[lane]))

    def _stop(self, step: int, lane: int, number: int) -> None:
        for age in range(self._slots if self.starting[lane] else 0):
            slot = (step + 1 + int(self._delay[lane]) - age) % self._slots
            fewer = min(number, int(self._coming[slot, lane]))
            self._coming[slot, lane] -= fewer
            self.starting[lane] -= fewer
            number -= fewer
            if not number:
                return
        self.ready[lane] -= number


def served(
    lanes: Lanes,
    lookup: Lookup,
    fleet: Fleet,
    arrivals: tuple[int, Floats],
    waiting: Floats,
    *,
    patience: float = TTFT,
) -> tuple[Seen, Floats]:
    """One step: what was measured, and who waits after it; longer than `patience` (seconds) is bad."""
    step, arrived = arrivals
    capacity = fleet.ready * lanes.saturation * STEP
    offered = waiting + arrived
    left = np.maximum(0.0, offered - capacity)
    place = np.minimum(offered / capacity * FINE + 0.5, FINE).astype(np.int64)
    before, after = waiting / capacity * STEP, left / capacity * STEP
    longest, shortest = np.maximum(before, after), np.minimum(before, after)
    within = np.clip((patience - shortest) / np.maximum(longest - shortest, 1e-9), 0.0, 1.0)
    good = arrived * lookup.good[lanes.tenant, place] * np.where(longest <= patience, 1.0, within)
    running = lookup.running[lanes.tenant, place] * fleet.ready
    busy = lookup.busy[lanes.tenant, place] * fleet.ready
    return Seen(step, arrived, good, fleet.ready, fleet.starting, running, busy, left), left


def needed(counts: Counts, lanes: Lanes) -> Ints:
    """Replicas that each step's own rate needs, by lane and step."""
    rates = counts[lanes.seed, lanes.tenant] / STEP
    return np.clip(np.ceil(rates / lanes.carried[:, None] - 1e-9), LOW, HIGH).astype(np.int64)

"""The hour without a plane: the same decider, and the flow of `make bench-slo` or another server."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from benchmarks.loop.hour import Play
from benchmarks.loop.steering import Decider, Felt, one, ones
from benchmarks.loop.tables import TTFT, Tables
from benchmarks.slo.attainment import TPOT
from benchmarks.slo.fluid import SYNC, Fleet, Lanes, Lookup, served
from benchmarks.slo.trace import STEP

LIMITS: Final = {"ttft": TTFT, "tpot": TPOT}
"""Seconds of each objective; the time per token does not wait in queues."""
_FOREVER: Final = float("inf")


class Server(Protocol):
    """Serves a step of 10 s."""

    def serve(self, step: int, arrived: float, fleet: Fleet) -> Felt:
        """What became of the requests of a step."""


@dataclass(frozen=True, slots=True)
class Went:
    """How the hour went.

    Attributes:
        replica_hours: starting replicas count.
        total: requests, by objective: those that ended, where that is counted.
        good: of them.
        replicas: at the end of every minute.
        changes: of the number of replicas.
    """

    replica_hours: float
    total: tuple[float, ...]
    good: tuple[float, ...]
    replicas: tuple[int, ...]
    changes: int

    def attainment(self, place: int) -> float:
        """Percent of an objective."""
        return 100 * self.good[place] / self.total[place] if self.total[place] else 100.0


@dataclass(slots=True)
class _Count:
    steps: int = 0
    total: list[float] = field(default_factory=lambda: [0.0] * len(LIMITS))
    good: list[float] = field(default_factory=lambda: [0.0] * len(LIMITS))
    replicas: list[int] = field(default_factory=list)
    seconds: float = 0.0
    changes: int = 0

    def add(self, felt: Felt) -> None:
        self.steps += 1
        present = int(felt.seen.ready[0] + felt.seen.starting[0])
        self.seconds += present * STEP
        self.total = [sum(pair) for pair in zip(self.total, felt.total, strict=True)]
        self.good = [sum(pair) for pair in zip(self.good, felt.good, strict=True)]
        if self.steps % (60 // STEP) == 0:
            self.replicas.append(present)


def simulate(
    play: Play,
    arrived: Sequence[float],
    server: Server,
    decider: Decider,
    *,
    startup: float,
) -> Went:
    """Run the lead and the hour; only the hour is counted.

    Args:
        play: both.
        arrived: requests of every step, the lead's included.
        server: of the requests.
        decider: asked every 30 s.
        startup: seconds from decided to ready.
    """
    fleet, count, felt = Fleet(lane(startup)), _Count(), list[Felt]()
    fleet.ready[:] = play.replicas
    lead = play.lead // STEP
    for step, requests in enumerate(arrived):
        fleet.start(step)
        felt.append(server.serve(step, requests, fleet))
        if step >= lead:
            count.add(felt[-1])
        if step % SYNC == SYNC - 1:
            present = int(fleet.ready[0] + fleet.starting[0])
            wanted = max(1, decider.want(felt[-SYNC:], (step + 1 - lead) * STEP))
            count.changes += step >= lead and wanted != present
            fleet.scale(step, ones(wanted - present))
            felt = felt[-SYNC:]
    return Went(
        count.seconds / 3600, tuple(count.total), tuple(count.good), tuple(count.replicas), count.changes
    )


def lane(startup: float) -> Lanes:
    """One deployment; steps are whole."""
    return Lanes(ones(0), ones(0), ones(round(startup / STEP) * STEP), one(1.0), one(1.0))


class Flow:
    """The benchmark's engine 2, once for each objective."""

    def __init__(self, tables: Tables) -> None:
        self._lanes = Lanes(ones(0), ones(0), ones(0), one(tables.both.saturation), one(1.0))
        self._lookups = (Lookup([tables.ttft]), Lookup([tables.tpot]))
        self._waiting = one(0.0)

    def serve(self, step: int, arrived: float, fleet: Fleet) -> Felt:
        """The queue is the same for both objectives: what waits is late for its first token only."""
        arrivals, before = (step, one(arrived)), self._waiting
        soon, self._waiting = served(self._lanes, self._lookups[0], fleet, arrivals, before, patience=TTFT)
        fluent, _ = served(self._lanes, self._lookups[1], fleet, arrivals, before, patience=_FOREVER)
        return Felt(soon, (float(soon.good[0]), float(fluent.good[0])), (arrived, arrived))

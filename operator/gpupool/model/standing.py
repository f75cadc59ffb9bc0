"""Where an endpoint stands, as its InferenceSLO's status tells it: what a pool's decision may look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gpupool.model.diagnosis import Confidence, Evidence, Help
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.plan import Status
from gpupool.model.steering import Target


@dataclass(frozen=True, slots=True)
class Kept:
    """One objective: percent promised and reached, percent of the budget left.

    `spending`: the budget goes faster than it may over one of its longer windows. `coverage` is the percent
    of the window that was measured.
    """

    sli: str
    percent: float
    attainment: float | None = None
    remaining: float | None = None
    spending: bool = False
    coverage: float = 0.0


@dataclass(frozen=True, slots=True)
class Limit:
    """What limits the endpoint, and whether more replicas help."""

    cause: str = "Unknown"
    confidence: Confidence = Confidence.LOW
    helps: Help = Help.UNKNOWN
    evidence: tuple[Evidence, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last look said of one InferenceSLO.

    Attributes:
        created: of the InferenceSLO; of two on one workload the older answers.
        target: its workload.
        request: the CapacityRequest that its spec names; else empty.
        low: replicas that its spec asks for at least.
        window: seconds over which the objectives hold.
        looked: when; None before the first look.
        current: the status speaks of the spec as it stands.
        ready: replicas that served.
        state: the worst data state of its objectives, and what is wrong (`trouble`).
        met, healthy: the conditions Met and BudgetHealthy.
        objectives: in the order of the spec.
        limit: the diagnosis.
        advice: what may bring more than another GPU, first of all.
        needed: replicas that the objectives need; None while that is not learned.
        lack: how many GPUs steering misses, and why; else empty.
        workload: the workload as it stands; None where it is not there, or is of a kind nobody scales.
    """

    key: Key
    created: datetime
    target: ObjectRef
    request: str = ""
    low: int = 1
    window: float = 0.0
    looked: datetime | None = None
    current: bool = False
    ready: int = 0
    state: str = ""
    trouble: str = ""
    met: Status = Status.UNKNOWN
    met_because: str = ""
    healthy: Status = Status.UNKNOWN
    healthy_because: str = ""
    objectives: tuple[Kept, ...] = ()
    limit: Limit = field(default_factory=Limit)
    advice: str = ""
    needed: int | None = None
    lack: str = ""
    workload: Target | None = None

    @property
    def gist(self) -> tuple[object, ...]:
        """What decisions turn on, without the numbers that move with every request."""
        return (
            *(self.key, self.created, self.target, self.request, self.low, self.current, self.ready),
            *(self.state, self.met, self.healthy, self.needed, bool(self.lack), self.roomy, self.settled),
            *(self.limit.cause, self.limit.confidence, self.limit.helps),
        )

    @property
    def roomy(self) -> bool:
        """Whether more than half of every budget is left, and none goes faster than it may."""
        return bool(self.objectives) and all(
            o.remaining is not None and o.remaining > ROOM and not o.spending for o in self.objectives
        )

    @property
    def settled(self) -> bool:
        """Whether it was measured long enough to speak of the time to come."""
        return all(o.coverage * self.window / 100 >= self.long_enough for o in self.objectives)

    @property
    def long_enough(self) -> float:
        """Seconds that are measured before head-room is believed."""
        return min(LONG_ENOUGH, self.window / PARTS)


LONG_ENOUGH: Final = 3600.0
"""Seconds, of a window of days."""
PARTS: Final = 20
"""Parts of a short window of which one is enough."""
ROOM: Final = 50.0
"""Percent of its budget that an objective has left where it is met with head-room."""

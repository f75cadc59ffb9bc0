"""All that a rule looks at: signals, objectives over the evaluation window, and what the profile knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Final

from gpupool.model.profile import Profile
from gpupool.model.signals import Signals, share
from gpupool.model.slo import Objective, Sli, SloState
from gpupool.policy.slo.diagnosis.thresholds import LEAST_EVENTS, MARGIN, SIGMAS

FIRST: Final = frozenset({Sli.TTFT, Sli.QUEUE, Sli.E2E, Sli.THROUGHPUT})
"""What suffers when a request waits, or its prompt is read slowly."""
TOKENS: Final = frozenset({Sli.ITL, Sli.TPOT, Sli.E2E, Sli.THROUGHPUT})
"""What suffers when tokens are written slowly."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An objective and its events over the evaluation window; fewer than `least` say nothing."""

    objective: Objective
    state: SloState
    good: float = 0.0
    total: float = 0.0
    least: float = LEAST_EVENTS.value

    @property
    def bad(self) -> float | None:
        """Part of the events that were bad; None where there were too few."""
        return None if self.total < self.least else max(0.0, 1 - self.good / self.total)

    @property
    def missed(self) -> bool:
        """Whether more events were bad than the budget allows, by a margin that is no chance."""
        bad, budget = self.bad, self.objective.error_budget
        if bad is None:
            return False
        chance = SIGMAS.value * sqrt(budget * (1 - budget) / self.total)
        return bad > max(MARGIN.value * budget, budget + chance)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule sees; `doubt` is why the profile says nothing about now, empty where it does."""

    signals: Signals
    objectives: tuple[Judged, ...] = ()
    profile: Profile | None = None
    doubt: str = ""

    def carried(self, windows: int) -> float | None:
        """Requests/s that a replica is known to carry; None in doubt, or of fewer windows than these."""
        known = self.profile.requests if self.profile else None
        if self.doubt or known is None or known.samples < windows:
            return None
        return known.value or None

    def missed(self, slis: Iterable[Sli] = Sli) -> bool:
        """Whether an objective of these is missed."""
        wanted = frozenset(slis)
        return any(o.missed for o in self.objectives if o.objective.sli in wanted)

    @property
    def whole(self) -> bool:
        """Whether all that the engine can tell is known, and enough of it to judge."""
        fine = {SloState.OK, SloState.NO_TRAFFIC, SloState.UNSUPPORTED}
        return all(o.state in fine for o in self.objectives) and any(
            o.bad is not None for o in self.objectives
        )

    @property
    def known(self) -> bool:
        """Whether what objectives say is knowledge."""
        return any(o.state in {SloState.OK, SloState.PARTIAL, SloState.NO_TRAFFIC} for o in self.objectives)

    @property
    def running(self) -> float | None:
        """Requests that run at a pod, on average."""
        return self.signals.mean(lambda p: p.engine.running)

    @property
    def waiting(self) -> float | None:
        """Requests that wait at a pod, on average."""
        return self.signals.mean(lambda p: p.engine.waiting)

    @property
    def kv(self) -> float | None:
        """Use of the fullest KV cache."""
        return self.signals.most(lambda p: p.engine.kv)

    @property
    def tensor(self) -> float | None:
        """Activity of the tensor cores."""
        return self.signals.mean(lambda p: p.gpu.tensor)

    @property
    def dram(self) -> float | None:
        """Activity of the GPUs' memory."""
        return self.signals.mean(lambda p: p.gpu.dram)

    @property
    def active(self) -> float | None:
        """Activity of the GPUs."""
        return self.signals.mean(lambda p: p.gpu.active)

    @property
    def queue_share(self) -> float | None:
        """Part of the time to the first token that is the queue."""
        queue = self.signals.mean(lambda p: p.engine.queue)
        return share(queue, self.signals.mean(lambda p: p.engine.ttft))

    @property
    def errors(self) -> float | None:
        """Part of the requests without an answer, before the engine or in it."""
        return error_share(
            self.signals.sum(lambda p: p.engine.requests),
            self.signals.sum(lambda p: p.engine.aborted),
            self.signals.sum(lambda p: p.engine.refused),
        )

    @property
    def load(self) -> float | None:
        """Requests a second at a pod."""
        return self.signals.mean(lambda p: p.engine.requests)


def error_share(requests: float | None, aborted: float | None, refused: float | None) -> float | None:
    """Part of the requests without an answer; the engine counts only those that reach it."""
    if requests is None:
        return None
    return share((aborted or 0.0) + (refused or 0.0), requests + (refused or 0.0))

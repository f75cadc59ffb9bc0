"""Which open guards of the chart were told, so that each is told once for as long as it is open."""

from __future__ import annotations

from dataclasses import dataclass

from gpupool.model.plan import Notice
from gpupool.model.snapshot import Snapshot
from gpupool.planner.chartguards import lost, notice


@dataclass(slots=True)
class GuardNews:
    """Of one pool."""

    _told: frozenset[str] = frozenset()

    def of(self, snapshot: Snapshot) -> tuple[Notice, ...]:
        """An Event of the guards that were found open since the last look."""
        found = lost(snapshot)
        news = [name for name in found if name not in self._told]
        self._told = frozenset(found)
        return (notice(snapshot, news),) if news else ()

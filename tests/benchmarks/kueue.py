"""The shape of Kueue's generator: 30 queues of 500 workloads, small, medium and large, that run and end.

Its 15,000 workloads are requests here, its cluster queues are shares. A workload asks, is granted, runs for
its time and withdraws; what counts is how many a second get through, and how long each class waits.
"""

import asyncio
import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.load import Load, load
from benchmarks.results import Figure
from benchmarks.rig import Rig, percentile, real
from benchmarks.things import govern, namespace, pool, share
from benchmarks.world import NAME, Shape, nodes_of
from gpupool.kube.resources import ObjectKey
from localplane.kube import Kube
from localplane.progress import step

SHARES: Final = 30
NOMINAL: Final = 20
BORROWED: Final = 100
THEIRS: Final = 42.7
"""Workloads a second of Kueue's own generator, as its published wall time gives them."""
LIMIT_SECONDS: Final = 1_800.0
ENDERS: Final = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of workloads: how many in a share, GPUs of each, seconds between two, seconds of running."""

    name: str
    count: int
    gpus: int
    every: float
    runs: float


KINDS: Final = (
    Kind("small", 350, 1, 0.1, 0.2),
    Kind("medium", 100, 5, 0.5, 0.5),
    Kind("large", 50, 20, 1.2, 1.0),
)


def kueue(rig: Rig, kube: Kube, size: float) -> list[Figure]:
    """Play the generator."""
    teams = [namespace(kube, f"kueue-{number}") for number in range(SHARES)]
    shape = Shape(SHARES * NOMINAL // 8, 0)
    nodes_of(kube, shape)
    shares = [share(team, NOMINAL, limit=NOMINAL + BORROWED) for team in teams]
    govern(kube, pool(NAME, shares, mode="Enforce"))
    return asyncio.run(_play(rig, teams, size))


async def _play(rig: Rig, teams: Sequence[str], size: float) -> list[Figure]:
    async with load(rig.cluster) as asking:
        run = Run(asking)
        asks = _schedule(teams, size)
        _, position = rig.writes()
        cpu, began = rig.cpu(), time.monotonic()
        with step(f"{len(asks):,} workloads of Kueue's generator") as progress:
            await run.play(asks, began)
            wall = time.monotonic() - began
            progress.result = f"{wall:.0f} s, {len(asks) / wall:.1f}/s"
        writes, _ = rig.writes(position)
    part = f"Kueue's generator, {len(asks):,} workloads, {SHARES} shares"
    rows = [
        Figure(part, "workloads a second, end to end", len(asks) / wall, "1/s", THEIRS, "Kueue's own figure"),
        Figure(part, "writes per workload (audit log)", real(writes) / len(asks), "writes"),
        Figure(part, "CPU per workload", 1000 * (rig.cpu() - cpu) / len(asks), "ms"),
    ]
    for kind in KINDS:
        waits = run.waits[kind.name]
        rows.append(Figure(part, f"request to grant, {kind.name}, mean", sum(waits) / len(waits), "s"))
        rows.append(Figure(part, f"request to grant, {kind.name}, p99", percentile(waits, 99), "s"))
    return rows


def _schedule(teams: Sequence[str], size: float) -> list[tuple[float, str, str, Kind]]:
    """When each workload is asked for, in order."""
    found = [
        (number * kind.every, team, f"{kind.name}-{number}", kind)
        for team in teams
        for kind in KINDS
        for number in range(max(1, round(kind.count * size)))
    ]
    return sorted(found, key=lambda ask: ask[0])


class Run:
    """One play: who asked when, who runs until when."""

    def __init__(self, asking: Load) -> None:
        self.waits: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
        self._asking = asking
        self._kinds: dict[ObjectKey, Kind] = {}
        self._ends: list[tuple[float, ObjectKey]] = []
        self._left = 0
        asking.on_phase = self._phase

    async def play(self, asks: Sequence[tuple[float, str, str, Kind]], began: float) -> None:
        """Ask at the schedule's pace (as far as the API server keeps it) until all have ended.

        Raises:
            TimeoutError: not within half an hour.
        """
        self._left = len(asks)
        turns = iter(asks)
        async with asyncio.timeout(LIMIT_SECONDS):
            asking = [self._ask(turns, began) for _ in range(ENDERS)]
            await asyncio.gather(*asking, *(self._end() for _ in range(ENDERS)))

    async def _ask(self, turns: Iterator[tuple[float, str, str, Kind]], began: float) -> None:
        for due, team, name, kind in turns:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            self._kinds[ObjectKey(team, name)] = kind
            await self._asking.ask(team, name, kind.gpus, preemptible=True)

    def _phase(self, key: ObjectKey, phase: str) -> None:
        if phase == "Granted" and key in self._kinds:
            kind = self._kinds.pop(key)
            asked = self._asking.asked.get(key, time.monotonic())
            self.waits[kind.name].append(max(0.0, time.monotonic() - asked))
            heapq.heappush(self._ends, (time.monotonic() + kind.runs, key))

    async def _end(self) -> None:
        while self._left:
            if not self._ends or self._ends[0][0] > time.monotonic():
                await asyncio.sleep(0.02)
                continue
            _, key = heapq.heappop(self._ends)
            await self._asking.withdraw(key)
            self._left -= 1

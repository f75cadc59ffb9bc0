"""Twenty minutes of churn: whether memory and latency stay flat, with the error of the slope."""

import asyncio
import itertools
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.bare import Bare, install
from benchmarks.load import Load, load
from benchmarks.results import Figure
from benchmarks.rig import Rig, percentile, real
from benchmarks.things import govern, namespace, pool, share
from benchmarks.world import NAME, Shape, nodes_of
from gpupool.kube.resources import ObjectKey
from localplane.kube import Kube
from localplane.progress import step

MINUTES: Final = 20.0
WARM_UP: Final = 0.25
"""Part of the run that is not looked at: caches fill, pages are touched for the first time."""
TURN_SECONDS: Final = 10.0
CHURN: Final = 20
"""Requests that go, and come, in a turn."""
BARE: Final = 5
HOUR: Final = 3600.0


@dataclass
class Run:
    """One soak, turn by turn.

    Attributes:
        rig: the cluster.
        asking: the load on it.
        teams: who asks.
        bare_writer: the same writes without the operator.
        at: seconds since the beginning of each turn; the lists after it are what was seen then.
    """

    rig: Rig
    asking: Load
    teams: Sequence[str]
    bare_writer: Bare
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - the same again
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10**6))

    at: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    wait: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def turn(self, now: float) -> None:
        """Some go, as many come, and all of those are decided."""
        for key in self.rng.sample(sorted(self.asking.asked), min(CHURN, len(self.asking.asked))):
            await self.asking.withdraw(key)
        asks = [(self.rng.choice(self.teams), f"ask-{next(self.numbers)}", 1) for _ in range(CHURN)]
        keys = [ObjectKey(*ask[:2]) for ask in asks]
        await self.asking.ask_all(asks)
        await self.asking.until_decided(keys)
        pairs, _ = await self.bare_writer.pairs(BARE)
        self.at.append(now)
        self.rss.append(self.rig.rss())
        self.cpu.append(self.rig.cpu())
        self.wait.append(percentile(self.asking.waits(keys), 50))
        self.bare.append(percentile(pairs, 50))


def soak(rig: Rig, kube: Kube, shape: Shape, minutes: float) -> list[Figure]:
    """Churn for so long under Enforce."""
    with step(f"ballast: {shape}"):
        install(kube)
        nodes_of(kube, shape)
        teams = [namespace(kube, f"soak-{number}") for number in range(shape.teams)]
        shares = [share(team, shape.gpus // shape.teams) for team in teams]
        govern(kube, pool(NAME, shares, mode="Enforce"))
    return asyncio.run(_soak(rig, shape, teams, minutes))


async def _soak(rig: Rig, shape: Shape, teams: Sequence[str], minutes: float) -> list[Figure]:
    async with load(rig.cluster) as asking:
        asks = [(teams[n % len(teams)], f"ask-{n}", 1) for n in range(shape.requests)]
        await asking.ask_all(asks)
        asked = [ObjectKey(*ask[:2]) for ask in asks]
        await asking.until_decided(asked)
        run, began, (_, position) = (
            Run(rig, asking, teams, Bare(asking.client, await asking.sample(asked[0]))),
            time.monotonic(),
            rig.writes(),
        )
        with step(f"churn for {minutes:g} minutes") as progress:
            while (now := time.monotonic() - began) < 60 * minutes:
                await run.turn(now)
                progress.detail = f"{now / 60:.1f} min, {run.rss[-1]:.0f} MB, {run.wait[-1]:.2f} s"
                await asyncio.sleep(max(0.0, began + now + TURN_SECONDS - time.monotonic()))
        writes, _ = rig.writes(position)
    return _figures(f"soak {minutes:g} min, {shape}", run, real(writes) / (CHURN * len(run.at)))


def _figures(part: str, found: Run, writes: float) -> list[Figure]:
    skipped = round(WARM_UP * len(found.at))
    at = found.at[skipped:]
    rows = [Figure(part, "writes per decision (audit log)", writes, "writes")]
    for what, values, unit in (
        ("RSS", found.rss, "MB"),
        ("request to decision, p50 of a turn", [1000 * v for v in found.wait], "ms"),
        ("bare status + Event", [1000 * v for v in found.bare], "ms"),
    ):
        kept = values[skipped:]
        slope, error = slope_of(at, kept)
        rows += [
            Figure(part, f"{what}, median", percentile(kept, 50), unit),
            Figure(
                part, f"{what}, slope (error beside it)", HOUR * slope, f"{unit}/h", HOUR * error, "1 sigma"
            ),
        ]
    spent = (found.cpu[-1] - found.cpu[0]) / (found.at[-1] - found.at[0])
    return [*rows, Figure(part, "CPU under this churn", 100 * spent, "% of a core")]


def slope_of(at: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Least squares: the slope, and its standard error."""
    count = len(at)
    middle, mean = sum(at) / count, sum(values) / count
    spread = sum((x - middle) ** 2 for x in at)
    slope = sum((x - middle) * (y - mean) for x, y in zip(at, values, strict=True)) / spread
    left = sum((y - mean - slope * (x - middle)) ** 2 for x, y in zip(at, values, strict=True))
    return slope, math.sqrt(left / max(1, count - 2) / spread)

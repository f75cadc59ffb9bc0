"""Decisions a second, beside a bare writer of the same two writes in the same minutes.

Requests are granted under Enforce, so that a decision is what it is in earnest: its status and its Event, and
the quota of the namespace behind them. What stands beforehand (nodes, requests) is the ballast.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from benchmarks.bare import Bare, install
from benchmarks.load import Load, load
from benchmarks.results import Figure
from benchmarks.rig import Rig, percentile, real, summary
from benchmarks.things import govern, namespace, pool, share
from benchmarks.world import NAME, Shape, nodes_of
from gpupool.kube.resources import ObjectKey
from localplane.kube import Kube
from localplane.progress import say, step

PER_SECOND: Final = 50.0
SECONDS: Final = 60.0
BURST: Final = 1_000
SETTLED: Final = 3.0
"""Seconds without a write after which what was to be said is said."""
SETTLED_WITHIN: Final = 300.0
BARE: Final = "bare status + Event"
Ask: TypeAlias = tuple[str, str, int]

_names = itertools.count()


def rate(rig: Rig, kube: Kube, shape: Shape) -> list[Figure]:
    """A burst, then a steady stream; both beside the bare writer.

    Args:
        rig: a cluster of its own.
        kube: an admin connection.
        shape: the ballast.
    """
    with step(f"ballast: {shape}") as progress:
        install(kube)
        nodes_of(kube, shape)
        teams = [namespace(kube, f"rate-{number}") for number in range(shape.teams)]
        guaranteed = shape.gpus // shape.teams
        govern(kube, pool(NAME, [share(team, guaranteed) for team in teams], mode="Enforce"))
        progress.result = "made"
    return asyncio.run(_measure(rig, shape, teams))


async def _measure(rig: Rig, shape: Shape, teams: list[str]) -> list[Figure]:
    async with load(rig.cluster) as asking:
        with step(f"{shape.requests:,} standing requests") as progress:
            standing = _asks(teams, shape.requests)
            await asking.ask_all(standing)
            await asking.until_decided(_keys(standing))
            progress.result = "decided"
        bare = Bare(asking.client, await asking.sample(_keys(standing)[0]))
        return [
            *await _burst(rig, asking, bare, _asks(teams, shape.scaled(BURST)), str(shape)),
            *await _stream(
                rig, asking, bare, _asks(teams, round(PER_SECOND * shape.scaled(SECONDS))), str(shape)
            ),
        ]


async def _burst(rig: Rig, asking: Load, bare: Bare, asks: list[Ask], ballast: str) -> list[Figure]:
    """As many as there are, all at once: decisions a second against pairs of writes a second."""
    keys, part = _keys(asks), f"burst of {len(asks):,} into {ballast}"
    with step(part) as progress:
        async with _spending(rig, part, len(asks)) as spent:
            await asking.ask_all(asks)
            await asking.until_decided(keys)
        ours = len(keys) / (max(asking.decided[k] for k in keys) - min(asking.asked[k] for k in keys))
        same = len(asks) / await bare.burst(len(asks))
        pairs = len(asks) / (await bare.pairs(len(asks)))[1]
        progress.result = f"{ours:.0f} decisions/s; bare: {same:.0f}, {pairs:.0f} without the creation"
    what = "decisions a second, their creation included"
    return [
        Figure(part, what, ours, "1/s", same, f"bare create + {BARE.removeprefix('bare ')}"),
        Figure(part, what, ours, "1/s", pairs, BARE),
        *spent,
    ]


async def _stream(rig: Rig, asking: Load, bare: Bare, asks: list[Ask], ballast: str) -> list[Figure]:
    """Fifty a second: how long each waits, beside the same writes at the same pace."""
    keys, part = _keys(asks), f"{PER_SECOND:.0f} requests/s, {ballast}"
    with step(f"{len(asks):,} requests, {PER_SECOND:.0f} a second") as progress:
        async with _spending(rig, part, len(asks)) as spent:
            await asking.ask_all(asks, PER_SECOND)
            await asking.until_decided(keys)
        waits = asking.waits(keys)
        pairs, _ = await bare.pairs(len(asks), PER_SECOND)
        progress.result = f"p50 {percentile(waits, 50):.2f} s, p99 {percentile(waits, 99):.2f} s"
    rows = [
        Figure(part, f"request to decision, p{p}", percentile(waits, p), "s", percentile(pairs, p), BARE)
        for p in (50, 99)
    ]
    return [*rows, *spent]


@asynccontextmanager
async def _spending(rig: Rig, part: str, decisions: int) -> AsyncIterator[list[Figure]]:
    """What the operator wrote and used within the block, Events that come after it included."""
    position = await _settled(rig, rig.writes()[1])  # Events of what was decided before come later
    figures: list[Figure] = []
    cpu = rig.cpu()
    yield figures
    await _settled(rig, position)
    writes, _ = rig.writes(position)
    say(f"  writes: {summary(writes)}")
    figures += [
        Figure(
            part, "writes per decision (audit log)", real(writes) / decisions, "writes", 2, "status + Event"
        ),
        Figure(part, "CPU per decision", 1000 * (rig.cpu() - cpu) / decisions, "ms"),
    ]


async def _settled(rig: Rig, since: int) -> int:
    """Wait until nothing is written any more; returns where the audit log ends then."""
    last, deadline = -1, asyncio.get_running_loop().time() + SETTLED_WITHIN
    while (now := rig.writes(since)[1]) != last and asyncio.get_running_loop().time() < deadline:
        last = now
        await asyncio.sleep(SETTLED)
    return now


def _asks(teams: list[str], count: int) -> list[Ask]:
    return [(teams[number % len(teams)], f"ask-{next(_names)}", 1) for number in range(count)]


def _keys(asks: Iterable[Ask]) -> list[ObjectKey]:
    return [ObjectKey(namespace, name) for namespace, name, _ in asks]

"""Plan time of the pure planner on clusters of three sizes, and how it grows.

Half of the requests hold what they were granted, busy; the others are new and ask for twice what is left, so
that a quarter of all waits in the queue with a decision record of its own.
"""

import gc
import statistics
import time
from itertools import pairwise
from typing import Final

from benchmarks.results import Figure
from gpupool.model.pool import Mode
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from support.builders import a_pool, a_quota, a_request, a_share, a_snapshot, granted, nodes, pods

SIZES: Final = ((100, 200), (1_000, 2_000), (5_000, 10_000))
"""Nodes of 8 GPUs, and requests."""

GPUS: Final = 8
TEAMS: Final = 50
RUNS: Final = 3


def figures() -> list[Figure]:
    """Seconds per plan, each size beside the smallest, and seconds per request."""
    took = {size: _seconds(cluster(*size)) for size in SIZES}
    smallest = took[SIZES[0]]
    found = []
    for (count, requests), seconds in took.items():
        what = f"{count:,} nodes, {requests:,} requests"
        against = "" if (count, requests) == SIZES[0] else f"{SIZES[0][0]} nodes"
        found.append(Figure("plan time", what, seconds, "s", smallest if against else None, against))
    for (before, after), each in _growth(took).items():
        times = after[1] / before[1]
        found.append(
            Figure("plan time", f"growth {before[1]:,} to {after[1]:,}", each, "x", times, "linear growth")
        )
    return found


def cluster(count: int, requests: int) -> Snapshot:
    """A pool of so many nodes and requests."""
    half, whole = requests // 2, count * GPUS
    teams = [f"team-{number}" for number in range(TEAMS)]
    held = whole // 2 // half
    old = [granted(f"old-{n}", held, teams[n % TEAMS]) for n in range(half)]
    new = [a_request(f"new-{n}", 2 * held, teams[n % TEAMS], preemptible=n % 2 == 0) for n in range(half)]
    running = [
        pod
        for n, request in enumerate(old)
        for pod in pods(
            1, request.key.name, request.key.namespace, gpus=held, node=f"node-{n * held // GPUS + 1}"
        )
    ]
    quotas = {team: a_quota(held * half // TEAMS, held * half // TEAMS) for team in teams}
    shares = [a_share(team, whole // TEAMS) for team in teams]
    return a_snapshot(
        a_pool(*shares, mode=Mode.ENFORCE), *old, *new, nodes=nodes(count), pods=running, quotas=quotas
    )


def _seconds(snapshot: Snapshot) -> float:
    """Median of a few plans, the collector of garbage at rest."""
    took = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(RUNS):
            began = time.perf_counter()
            make_plan(snapshot)
            took.append(time.perf_counter() - began)
    finally:
        gc.enable()
    return statistics.median(took)


def _growth(
    took: dict[tuple[int, int], float],
) -> dict[tuple[tuple[int, int], tuple[int, int]], float]:
    return {(a, b): took[b] / took[a] for a, b in pairwise(SIZES)}

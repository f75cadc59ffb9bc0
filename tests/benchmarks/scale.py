"""A thousand nodes and two thousand requests: how long until the first decision, and how much memory."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from benchmarks.results import Figure
from benchmarks.rig import Rig
from benchmarks.things import API, GROUP, create_all, namespace, pool, pool_status, request, share
from localplane.errors import PartError
from localplane.kube import Kube
from localplane.nodes import node_manifest
from localplane.processes import wait_until
from localplane.progress import step

NODES: Final = 1_000
REQUESTS: Final = 2_000
TEAMS: Final = 20
GPUS: Final = 8
NAME: Final = "scale"
DECISION_SECONDS: Final = 180.0
PATIENCE: Final = 3


def build(kube: Kube) -> None:
    """Write the nodes (unmanaged, Ready), a pool with twenty shares, and the requests; no operator runs."""
    per_team = REQUESTS // TEAMS
    teams = [namespace(kube, f"scale-{number}") for number in range(TEAMS)]
    nodes = [
        node_manifest(f"scale-{number}", GPUS, labels={GROUP: NAME}, managed=False) for number in range(NODES)
    ]
    asks = [request(team, f"ask-{number}", 1 + number % 6) for team in teams for number in range(per_team)]
    create_all(kube, [*nodes, *asks])
    kube.create(pool(NAME, [share(team, NODES * GPUS // TEAMS) for team in teams]))


def first_decision(rig: Rig, kube: Kube, empty_rss: float) -> list[Figure]:
    """Stop the operator, build, start it, and watch; leaves all as it is."""
    rig.cluster.stop("operator")
    with step(f"{NODES} nodes, {REQUESTS} requests"):
        build(kube)
    bare = _bare_lists(kube)
    _, position = rig.writes()
    with step("first decision") as progress, ThreadPoolExecutor(1) as other:
        ready = other.submit(_ready, rig)
        rig.until_operator()
        began = rig.started()
        first = _since(began, lambda: bool(rig.writes(position)[0]))
        whole = _since(began, lambda: bool(pool_status(kube, NAME)))
        progress.result = f"after {first:.1f} s, all written after {whole:.1f} s"
        readied = ready.result() - began
    part = f"start, {NODES:,} nodes, {REQUESTS:,} requests"
    lists, empty = "reading the same objects", "operator of an empty cluster"
    return [
        Figure(part, "process start to the first decision written", first, "s", bare, lists),
        Figure(part, "process start to every decision written", whole, "s", bare, lists),
        Figure(part, "process start to Ready", readied, "s", bare, lists),
        Figure(part, "RSS of the operator", rig.rss(), "MB", empty_rss, empty),
        Figure(part, "RSS at its highest", rig.rss("VmHWM"), "MB", empty_rss, empty),
    ]


def _ready(rig: Rig) -> float:
    """Let the operator run; returns when (unix time) its pod was Ready, however long the plane would wait.

    Raises:
        PartError: It is not Ready after several times the plane's own patience.
    """
    for _ in range(PATIENCE - 1):
        with suppress(PartError):
            rig.cluster.start("operator")
            return time.time()
    rig.cluster.start("operator")
    return time.time()


def _bare_lists(kube: Kube) -> float:
    """Seconds of nothing but the paged lists."""
    began = time.perf_counter()
    for path in ("/api/v1/nodes", f"/apis/{API}/capacityrequests", "/api/v1/pods", "/api/v1/namespaces"):
        kube.list(path)
    return time.perf_counter() - began


def _since(began: float, condition: Callable[[], bool]) -> float:
    """Seconds from the process's start until a condition holds.

    Raises:
        TimeoutError: It does not hold within DECISION_SECONDS.
    """
    if not wait_until(condition, DECISION_SECONDS):
        raise TimeoutError(f"no decision within {DECISION_SECONDS:.0f} s")
    return time.time() - began

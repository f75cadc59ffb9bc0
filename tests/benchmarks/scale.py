"""Many nodes and requests: how long until the first decision, and how much memory."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from benchmarks.results import Figure
from benchmarks.rig import Rig
from benchmarks.things import API, create_all, namespace, pool, pool_status, request, share
from benchmarks.world import NAME, Shape, nodes_of
from localplane.errors import PartError
from localplane.kube import Kube
from localplane.processes import wait_until
from localplane.progress import step

DECISION_SECONDS: Final = 300.0
PATIENCE: Final = 10


def build(kube: Kube, shape: Shape) -> None:
    """Write the nodes, a pool with a share for every team, and the requests; no operator runs."""
    teams = [namespace(kube, f"scale-{number}") for number in range(shape.teams)]
    nodes_of(kube, shape)
    asks = range(shape.requests)
    create_all(kube, [request(teams[n % len(teams)], f"ask-{n}", 1 + n % 6) for n in asks])
    kube.create(pool(NAME, [share(team, shape.gpus // shape.teams) for team in teams]))


def first_decision(rig: Rig, kube: Kube, empty_rss: float, shape: Shape) -> list[Figure]:
    """Stop the operator, build, start it, and watch; leaves all as it is."""
    rig.cluster.stop("operator")
    with step(str(shape)):
        build(kube, shape)
    bare = _bare_lists(kube)
    _, position = rig.writes()
    with step("first decision") as progress, ThreadPoolExecutor(1) as other:
        ready = other.submit(_ready, rig)
        rig.until_operator()
        began = rig.started()
        first = _since(began, lambda: bool(rig.writes(position)[0]["patch capacityrequests/status"]))
        whole = _since(began, lambda: bool(pool_status(kube, NAME)))
        cpu = rig.cpu()
        progress.result = f"after {first:.1f} s, all written after {whole:.1f} s"
        readied = ready.result() - began
    part = f"start, {shape}"
    lists, empty = "reading the same objects", "operator of an empty cluster"
    return [
        Figure(part, "process start to the first decision written", first, "s", bare, lists),
        Figure(part, "process start to every decision written", whole, "s", bare, lists),
        Figure(part, "process start to Ready", readied, "s", bare, lists),
        Figure(part, "CPU until every decision is written, per request", 1000 * cpu / shape.requests, "ms"),
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

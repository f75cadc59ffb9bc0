"""`make bench`: one table of figures, beside baselines measured in the same minutes; nothing is asserted.

`python -m benchmarks [PART...]` runs a choice of the parts; `--size 0.1` a tenth of each, for a try-out.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import endpoints, kueue, planning, rate, results, soak
from benchmarks.podcreate import pod_create
from benchmarks.results import Figure
from benchmarks.rig import Rig, bench_cluster
from benchmarks.scale import first_decision
from benchmarks.steady import idle, questions_per_reading
from benchmarks.things import (
    APP,
    GROUP,
    create_all,
    enforced,
    namespace,
    pod,
    pool,
    pool_status,
    request,
    share,
)
from benchmarks.world import Shape
from localplane.errors import PlaneError
from localplane.kube import Kube
from localplane.nodes import create_nodes, node_manifest
from localplane.paths import CHECKOUT
from localplane.processes import wait_until
from localplane.progress import say, step

PARTS: Final = ("plan", "pods", "steady", "scale", "large", "rate", "kueue", "endpoints", "soak")
THOUSAND: Final = Shape(1_000, 2_000)
TARGET: Final = Shape(5_000, 10_000)
SOAKED: Final = Shape(1_000, 3_000)
WIDTH: Final = 150
NODES: Final = 63
GPUS: Final = 8
FEW, MANY = 10, 500
NAME: Final = "bench"
TEAM: Final = "bench-governed"
READY_SECONDS: Final = 90.0
SETTLED_SECONDS: Final = 20.0
"""Measured numbers are written every fifteen seconds at most: a shorter quiet means nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print the table, write the document."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)}; all by default")
    parser.add_argument("--size", type=float, default=1.0, help="part of the full nodes and requests")
    parser.add_argument("--minutes", type=float, default=soak.MINUTES, help="of the soak")
    parser.add_argument("--out", type=Path, default=CHECKOUT / ".build" / "bench.json")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}; use {', '.join(PARTS)}")
    parts = frozenset(chosen.parts or PARTS)
    began = time.monotonic()
    try:
        figures = measure(parts, chosen.size, chosen.minutes)
    except (PlaneError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - began
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(results.table(figures))
    results.save(figures, seconds, chosen.out)
    say(f"bench: {seconds / 60:.1f} minutes; numbers: {chosen.out}")
    return 0


def measure(parts: frozenset[str], size: float, minutes: float) -> list[Figure]:
    """Run the chosen parts; most have a cluster of their own: what was measured before is not in the way."""
    figures: list[Figure] = []
    if "plan" in parts:
        with step("plan time"):
            figures += planning.figures()
    if parts & {"pods", "steady"}:
        with bench_cluster("1s") as rig, rig.cluster.kube() as kube:
            figures += _governed(rig, kube, parts)
    alone: Mapping[str, Callable[[Rig, Kube], list[Figure]]] = {
        "scale": lambda rig, kube: _scale(rig, kube, THOUSAND.at(size)),
        "large": lambda rig, kube: _scale(rig, kube, TARGET.at(size)),
        "rate": lambda rig, kube: rate.rate(rig, kube, TARGET.at(size)),
        "kueue": lambda rig, kube: kueue.kueue(rig, kube, size),
        "endpoints": lambda rig, kube: endpoints.endpoints(rig, kube, size),
        "soak": lambda rig, kube: soak.soak(rig, kube, SOAKED.at(size), minutes),
    }
    for name in [part for part in PARTS if part in parts & alone.keys()]:
        with bench_cluster() as rig, rig.cluster.kube() as kube:
            figures += alone[name](rig, kube)
    return figures


def _scale(rig: Rig, kube: Kube, shape: Shape) -> list[Figure]:
    figures = first_decision(rig, kube, rig.rss(), shape)
    _settle(rig)
    with step(f"idle, {shape}"):
        return figures + idle(rig, f"{shape}, Observe")


def _governed(rig: Rig, kube: Kube, parts: frozenset[str]) -> list[Figure]:
    figures: list[Figure] = []
    with step("a governed pool") as progress:
        _govern(kube)
        progress.result = f"Enforce, {NODES} nodes"
    if "pods" in parts:
        spaces = [namespace(kube, name) for name in ("bench-quota", "bench-plain")]
        _until(lambda: all(_account(kube, space) for space in spaces), "namespaces are usable")
        with step("pod create latency"):
            figures += pod_create(kube, TEAM, *spaces)
    if "steady" in parts:
        figures += _steady(rig, kube)
    return figures


def _steady(rig: Rig, kube: Kube) -> list[Figure]:
    per_reading: dict[int, list[int]] = {}
    present = 0
    for count in (FEW, MANY):
        with step(f"questions with {count} pods") as progress:
            create_all(kube, [pod(TEAM, f"steady-{number}") for number in range(present, count)])
            _until_held(kube, count)
            present = count
            per_reading[count] = questions_per_reading(rig)
            progress.result = f"per reading: {per_reading[count]}"
    few, many = (max(per_reading[count], default=0) for count in (FEW, MANY))
    _settle(rig)
    with step(f"idle, {MANY} busy pods"):
        quiet = idle(rig, f"{MANY} busy pods, Enforce")
    return [
        Figure("Prometheus", f"questions per cycle with {MANY} pods", many, "queries", few, f"{FEW} pods"),
        *quiet,
    ]


def _govern(kube: Kube) -> None:
    """A pool under Enforce with one team, whose request is granted."""
    names = [f"bench-{number}" for number in range(NODES)]
    create_nodes(kube, [node_manifest(name, GPUS, labels={GROUP: NAME}) for name in names])
    namespace(kube, TEAM)
    # The window is short: after half a minute nothing measured moves any more.
    reclaim = {"mode": "Recommend", "window": "30s", "lookback": "30s", "grace": "1h"}
    kube.create(pool(NAME, [share(TEAM, MANY)], mode="Enforce", reclaim=reclaim))
    kube.create(request(TEAM, APP, MANY))
    _until(lambda: enforced(kube, NAME) and _account(kube, TEAM), "the pool is enforced")
    _until(lambda: pool_status(kube, NAME)["granted"].get("nvidia.com/gpu") == MANY, "the request is granted")


def _settle(rig: Rig, quiet: float = SETTLED_SECONDS, limit: float = 90.0) -> None:
    """Wait until the operator has written nothing for a while."""
    with step("until nothing changes") as progress:
        deadline, last, since = time.monotonic() + limit, -1, time.monotonic()
        while time.monotonic() - since < quiet and time.monotonic() < deadline:
            position = rig.writes()[1]
            if position != last:
                last, since = position, time.monotonic()
            time.sleep(0.5)
        calm = time.monotonic() - since >= quiet
        progress.result = f"no write for {quiet:g} s" if calm else f"still writing after {limit:g} s"


def _until_held(kube: Kube, count: int) -> None:
    def held() -> bool:
        return bool(pool_status(kube, NAME).get("held", {}).get("nvidia.com/gpu", 0) == count)

    _until(held, f"{count} GPUs are held")


def _account(kube: Kube, space: str) -> bool:
    return kube.exists(f"/api/v1/namespaces/{space}/serviceaccounts/default")


def _until(condition: Callable[[], bool], what: str) -> None:
    if not wait_until(condition, READY_SECONDS, every=0.2):
        raise TimeoutError(f"not within {READY_SECONDS:.0f} s: {what}")


if __name__ == "__main__":
    sys.exit(main())

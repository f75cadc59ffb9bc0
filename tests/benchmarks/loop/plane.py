"""The hour on the real plane, from an empty cluster to what was counted."""

import time
from dataclasses import dataclass
from typing import Final

from benchmarks.loop.metricserver import metric_server
from benchmarks.loop.simulated import LIMITS
from benchmarks.loop.stage import PATH, Script, Stage
from benchmarks.loop.steering import LOOK
from benchmarks.loop.watch import Counted, Look, Watched, until_scraped, watch
from gpupool.policy.slo.arrivals import PLAIN
from localplane import release
from localplane.cluster import Cluster
from localplane.progress import step

LEAD: Final = 2.0
"""Seconds of the world between the order to play and the beginning."""


@dataclass(frozen=True, slots=True)
class Played:
    """What the plane made of the hour.

    Attributes:
        watched: its replicas.
        counted: good requests and all, by objective.
        arrived: requests of the hour.
        lost: requests that no replica answered.
        said: attainments that the operator told at the end.
    """

    watched: Watched
    counted: tuple[tuple[float, float], ...]
    arrived: float
    lost: float
    said: tuple[float, ...]


def on_plane(cluster: Cluster, script: Script) -> Played:
    """Build the stage in a cluster, and play."""
    with cluster.kube() as kube, metric_server(cluster, kube):
        values = {"cycleInterval": LOOK / script.speed, "evaluationWindow": _evaluated(script)}
        release.install(cluster, values)
        stage = Stage(cluster, kube, script)
        with step("stage") as progress:
            stage.build()
            progress.result = f"{script.play.replicas} replicas serve"
        begin = time.time() + LEAD
        epoch = begin + script.play.lead / script.speed
        stage.play(begin)
        with step("the hour") as progress:
            watched = watch(kube, epoch, script.speed, lambda seen: setattr(progress, "detail", _shown(seen)))
            progress.result = f"{len(watched.looks)} looks"
        until_scraped(epoch, script.speed)
        counted = Counted(cluster.prometheus_url, epoch, script.speed)
        rows = kube.get(PATH).get("status", {}).get("objectives", [])
        return Played(
            watched,
            tuple(counted.requests(sli, limit) for sli, limit in LIMITS.items()),
            counted.arrived(),
            counted.lost(),
            tuple(float(row["attainment"]) for row in rows if "attainment" in row),
        )


def _evaluated(script: Script) -> str:
    return f"{max(1, round(PLAIN / script.speed))}s"


def _shown(seen: Look) -> str:
    return (
        f"minute {seen.at / 60:.0f}: {seen.ready} of {seen.present} replicas ready, floor {seen.floor},"
        f" {seen.pace}, {seen.samples} windows learned, {seen.rate:.2f} requests/s a replica"
    )

"""The operator's replicas: which one leads, its processes held or killed, how it ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from localplane import podholds
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.runner.settings import NAMESPACE
from support.plane import condition, eventually, main_status

Json = dict[str, Any]
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/gpupool"
OPERATOR = "app.kubernetes.io/name=gpupool,app.kubernetes.io/component=operator"


def pods(kube: Kube) -> dict[str, Json]:
    """The operator's pods by name, without those on their way out."""
    found = kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods", labels=OPERATOR)
    return {p["metadata"]["name"]: p for p in found if "deletionTimestamp" not in p["metadata"]}


def leader(kube: Kube) -> str:
    """Name of the pod that the Lease names; empty where it names none."""
    return podholds.leader(kube)


def settled_leader(kube: Kube) -> str:
    """Wait until all replicas are ready and one of them leads; its pod's name."""
    return eventually(lambda: _settled(kube), f"one replica leads, all are ready ({_seen(kube)})", 60)


def _settled(kube: Kube) -> str:
    found, name = pods(kube), leader(kube)
    return name if name in found and all(condition(p, "Ready") == "True" for p in found.values()) else ""


def _seen(kube: Kube) -> str:
    ready = {name: condition(pod, "Ready") for name, pod in pods(kube).items()}
    return f"lease of {leader(kube)!r}, ready {ready}"


def epoch(kube: Kube) -> int:
    """The epoch that the Lease stands for."""
    return int(kube.get(LEASE)["spec"]["leaseTransitions"]) + 1


def restarts(kube: Kube, pod: str) -> int:
    """How often a pod's container was started again."""
    return int(main_status(pods(kube)[pod]).get("restartCount", 0))


def last_words(cluster: Cluster, pod: str) -> str:
    """What a pod's container has written."""
    return (cluster.layout.logs / "pods" / f"{pod}_operator.log").read_text()


@contextmanager
def held(cluster: Cluster, pod: str, signal_name: str) -> Iterator[None]:
    """One replica frozen (STOP) or killed and kept down (KILL) for a while."""
    podholds.hold_pod(cluster.layout, pod, signal_name)
    try:
        yield
    finally:
        podholds.release_pod(cluster.layout, pod)


def kill(cluster: Cluster, *names: str) -> None:
    """Kill replicas once; they start again by themselves."""
    for name in names:
        for process in podholds.processes_of(cluster.layout, name):
            process.signal(signal.SIGKILL)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took; slow machines are no failure."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s")

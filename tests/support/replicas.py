"""The operator's replicas: which one leads, its processes held or killed, how it ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx

from localplane import podholds
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.runner.settings import NAMESPACE
from support.faultproxy.proxy import FaultProxy
from support.plane import condition, eventually, main_status
from support.story import Story

Json = dict[str, Any]
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/gpupool"
BUSY = 2
"""Processes for each core, on average of a minute, from which on a machine is too busy to time things."""
OPERATOR = "app.kubernetes.io/name=gpupool,app.kubernetes.io/component=operator"


def pods(kube: Kube) -> dict[str, Json]:
    """The operator's pods by name, without those on their way out."""
    found = kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods", labels=OPERATOR)
    return {p["metadata"]["name"]: p for p in found if "deletionTimestamp" not in p["metadata"]}


def leader(kube: Kube) -> str:
    """Name of the pod that the Lease names; empty where it names none."""
    return podholds.leader(kube)


def holder(kube: Kube) -> str:
    """The process that the Lease names, which no later process of the same pod is; empty where none."""
    lease = kube.find(LEASE)
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


def leaders_page(cluster: Cluster) -> str:
    """The metrics of the replica that leads; a standby's, shown while that one is slow, are waited out."""
    return eventually(partial(_leading, cluster), "the leader's metrics", 60)


def _leading(cluster: Cluster) -> str:
    try:
        answer = httpx.get(cluster.metrics_url, trust_env=False, timeout=15)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.is_success and "\ngpupool_leader 1" in answer.text else ""


@contextmanager
def killed(cluster: Cluster) -> Iterator[None]:
    """Kill the operator, and after the block start it and wait until one of the new processes leads.

    Ready is not enough: replicas stand by, ready, until the Lease of the dead leader is over.
    """
    with cluster.kube() as kube:
        before = holder(kube)
        try:
            cluster.stop("operator", "KILL")
            yield
        finally:
            cluster.start("operator")
            until_led_anew(cluster, kube, before)


def until_led_anew(cluster: Cluster, kube: Kube, before: str) -> str:
    """Wait until another process than that one leads and says so; returns its metrics."""
    eventually(
        lambda: holder(kube) not in {"", before},
        lambda: f"somebody leads after {before} ({_seen(kube)})",
        120,
    )
    return leaders_page(cluster)


def settled_leader(kube: Kube) -> str:
    """Wait until all replicas are ready and one of them leads; its pod's name."""
    return eventually(
        lambda: _settled(kube), lambda: f"one replica leads, all are ready ({_seen(kube)})", 120
    )


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
def held(cluster: Cluster, pod: str) -> Iterator[Callable[[str], None]]:
    """Lets one replica be frozen (STOP), or killed and kept down (KILL), until the block ends."""
    try:
        yield partial(podholds.hold_pod, cluster.layout, pod)
    finally:
        podholds.release_pod(cluster.layout, pod)


def kill(cluster: Cluster, *names: str) -> None:
    """Kill replicas once; they start again by themselves."""
    for name in names:
        for process in podholds.processes_of(cluster.layout, name):
            process.signal(signal.SIGKILL)


def token_of(proxy: FaultProxy, pod: str) -> str:
    """What a replica that leads shows to the API server, so that its requests can be told from others'."""
    renewals = (a for a in reversed(proxy.journal) if a.kind == "leases" and a.method == "PUT")
    holders = ((a, str(a.content["spec"]["holderIdentity"])) for a in renewals)
    return next(a.header(b"authorization") for a, holder in holders if holder.startswith(f"{pod}_"))


def governed(story: Story, **asks: int) -> dict[str, str]:
    """A pool of 8 GPUs and a team for each name, with that many granted and walled; each may have all 8."""
    story.add_nodes(1)
    teams = {name: story.team(name) for name in asks}
    story.pool(shares=[story.share(team, 4, limit=8) for team in teams.values()])
    for name, number in asks.items():
        if number:
            story.ask(teams[name], "work", number, preemptible=True)
            story.until(partial(_walled, story, teams[name], number), f"the wall of {name} is in force", 120)
    return teams


def _walled(story: Story, team: str, number: int) -> bool:
    quota = story.kube.find(f"/api/v1/namespaces/{team}/resourcequotas/gpupool") or {}
    return str(number) in quota.get("status", {}).get("hard", {}).values()


def renewed(kube: Kube) -> datetime:
    """When the leader last renewed its Lease; of a dead one, when it was last known to live."""
    return datetime.fromisoformat(kube.get(LEASE)["spec"]["renewTime"])


@dataclass(frozen=True, slots=True)
class Takeover:
    """Seconds from a dead leader's last renewal to the first decision after it, on a machine so busy."""

    seconds: float
    load: float

    @classmethod
    def since(cls, last: datetime) -> Takeover:
        """One whose first decision is there now."""
        now = datetime.now(UTC)  # noqa: TID251 - whoever looks has a clock of its own
        return cls((now - last).total_seconds(), os.getloadavg()[0])

    @property
    def counts(self) -> bool:
        """Whether its time says something of the operator, and not of what else the machine does."""
        return self.load < BUSY * (os.cpu_count() or 1)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took; slow machines are no failure."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s")

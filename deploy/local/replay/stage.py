"""The cluster that a trace is played on: nodes, a pool in Observe, a namespace and a request per team, pods.

The pool only observes: nobody governed the recorded cluster, and what gpupool shows of a cluster it does not
touch is what a newcomer sees first. Grants, use and data states are computed alike in every mode.
"""

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import httpx

from gpupool.api.convert import pool as read_pool
from gpupool.collector.projections import pod as read_pod
from gpupool.model.objects import Pod
from gpupool.model.pool import Pool
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import all_ready, create_nodes, node_manifest
from localplane.processes import wait_until
from replay.errors import ReplayError
from replay.recording import Life, Recording

Json: TypeAlias = dict[str, Any]

API: Final = "gpupool.dev/v1alpha1"
NAME: Final = "replay"
GROUP: Final = "replay.example/group"
APP: Final = "replayed"
GPUS_PER_NODE: Final = 8
RESOURCE: Final = "nvidia.com/gpu"
USE: Final = "fake.gpupool.dev/gpu-utilization"
WINDOW: Final = "10s"
"""Window of the pool: short, because an hour of the trace may pass in a minute."""

READY_SECONDS: Final = 60.0


class Stage:
    """Everything of the replay that lives in the API server.

    Args:
        cluster: with the operator installed.
        kube: an admin connection to it.
        recording: what will be played.
    """

    def __init__(self, cluster: Cluster, kube: Kube, recording: Recording) -> None:
        self._cluster = cluster
        self._kube = kube
        self._recording = recording
        self.nodes = math.ceil(len(recording.lives) / GPUS_PER_NODE)

    def build(self) -> None:
        """Create nodes, namespaces, the pool and one request per team, and wait until all is granted.

        Raises:
            ReplayError: Something did not become ready.
        """
        names = [f"{NAME}-{number}" for number in range(1, self.nodes + 1)]
        create_nodes(self._kube, [node_manifest(name, GPUS_PER_NODE, labels={GROUP: NAME}) for name in names])
        for team in self._recording.teams:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team_name(team)}}
            self._kube.create(body)
        self._kube.apply(self._pool_manifest())
        for team in self._recording.teams:
            self._kube.apply(self._request_manifest(team))
        self._until(lambda: all_ready(self._kube, names), "the nodes are Ready")
        self._until(self._accounts_exist, "namespaces have their ServiceAccounts")
        self._until(
            lambda: self._counted("granted") == len(self._recording.lives), "all requests are granted"
        )

    def play(self, epoch: float, speed: float) -> None:
        """Tell the exporter what to play.

        Args:
            epoch: unix time of the trace's second 0.
            speed: seconds of the trace per second.
        """
        url = f"http://127.0.0.1:{self._cluster.port('exporter')}/control"
        change = {"epoch": epoch, "speed": speed, "traces": str(self._recording.file.resolve())}
        httpx.post(url, json=change, trust_env=False).raise_for_status()

    def create(self, life: Life) -> None:
        """Create a pod of the trace."""
        self._kube.create(pod_manifest(life))

    def delete(self, life: Life) -> None:
        """Delete a pod of the trace."""
        self._kube.delete(f"/api/v1/namespaces/{team_name(life.team)}/pods/{pod_name(life)}")

    def until_held(self, count: int) -> None:
        """Wait until the operator says that so many GPUs are held.

        Raises:
            ReplayError: It does not.
        """
        self._until(lambda: self._counted("held") == count, f"{count} GPUs are held")

    def pool(self) -> Pool:
        """The pool as the operator reads it."""
        return read_pool(self._kube.get(f"/apis/{API}/gpupools/{NAME}"))

    def pods(self) -> list[Pod]:
        """The teams' pods as the operator reads them."""
        paths = (f"/api/v1/namespaces/{team_name(team)}/pods" for team in self._recording.teams)
        found = (read_pod(raw) for path in paths for raw in self._kube.list(path))
        return [pod for pod in found if pod is not None]

    def _pool_manifest(self) -> Json:
        shares = [
            {"team": name, "namespaces": [name], "guaranteed": len(self._recording.of_team(team))}
            for team, name in ((team, team_name(team)) for team in self._recording.teams)
        ]
        reclaim = {"window": WINDOW, "lookback": WINDOW, "grace": "1h", "startupGrace": "0s"}
        spec = {
            "mode": "Observe",
            "nodes": {"selector": {"matchLabels": {GROUP: NAME}}},
            "shares": shares,
            "reclaim": reclaim,
        }
        return {"apiVersion": API, "kind": "GpuPool", "metadata": {"name": NAME}, "spec": spec}

    def _request_manifest(self, team: int) -> Json:
        name = team_name(team)
        spec = {
            "gpus": len(self._recording.of_team(team)),
            "owner": {"team": name, "contact": "replay@example.com"},
            "workload": {"selector": {"matchLabels": {"app": APP}}},
            "expectedUtilization": 80,
        }
        metadata = {"name": APP, "namespace": name}
        return {"apiVersion": API, "kind": "CapacityRequest", "metadata": metadata, "spec": spec}

    def _counted(self, what: str) -> int:
        found = self._kube.get(f"/apis/{API}/gpupools/{NAME}")
        return int(found.get("status", {}).get(what, {}).get(RESOURCE, 0))

    def _accounts_exist(self) -> bool:
        """Pods are refused until the controller has made the default ServiceAccount."""
        paths = (f"/api/v1/namespaces/{team_name(t)}/serviceaccounts/default" for t in self._recording.teams)
        return all(self._kube.exists(path) for path in paths)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        if not wait_until(condition, READY_SECONDS, every=0.2):
            held, granted = self._counted("held"), self._counted("granted")
            raise ReplayError(
                f"not within {READY_SECONDS:.0f} s: {what} (held {held}, granted {granted}); "
                f"the logs are in {self._cluster.layout.logs}"
            )


def team_name(team: int) -> str:
    """A team's name, also that of its namespace and share."""
    return f"team-{team}"


def pod_name(life: Life) -> str:
    """Name of the pod that plays a life."""
    return f"pod-{life.pod}"


def pod_manifest(life: Life) -> Json:
    """A pod with one GPU that shows what the trace says of it."""
    container = {"name": "main", "image": "replayed", "resources": {"limits": {RESOURCE: "1"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(life),
            "namespace": team_name(life.team),
            "labels": {"app": APP},
            "annotations": {USE: f"trace:{NAME}/{life.pod}"},
        },
        "spec": {"containers": [container], "nodeSelector": {GROUP: NAME}},
    }

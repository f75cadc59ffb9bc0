"""Endpoints on a real plane: Deployments with a simulated engine, read by the operator of the chart."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.engines import said
from support.gpupods import pod_spec
from support.plane import eventually

Json = dict[str, Any]
API = "/apis/gpupool.dev/v1alpha1"
SECONDS = 60.0
QUIET = 8.0
"""Seconds in which the pods are scraped, looked at, and their status written."""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it, which looks at the endpoints every second."""
    release.install(released_plane, {"cycleInterval": 1}, quiet=True)
    return released_plane


@dataclass
class Town:
    """Endpoints of one namespace on nodes of its own."""

    kube: Kube
    namespace: str
    node: str
    control: str
    overlay: dict[str, Json] = field(default_factory=dict)

    def deploy(self, name: str = "chat", replicas: int = 2, **engine: Any) -> None:
        """A Deployment of an engine, or a change of it."""
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels, "annotations": said(**{"start_after": "1s", "load": 8, **engine})},
            "spec": {
                **pod_spec(1, nodeSelector={"kubernetes.io/hostname": self.node}),
                "terminationGracePeriodSeconds": 1,
            },
        }
        self.kube.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
            }
        )

    def promise(self, *objectives: Json, name: str = "chat", target: str = "", **spec: Any) -> None:
        """An InferenceSLO of a Deployment."""
        self.kube.apply(
            {
                "apiVersion": "gpupool.dev/v1alpha1",
                "kind": "InferenceSLO",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target or name},
                    "objectives": list(objectives) or [{"sli": "ttft", "threshold": "500ms", "percent": 99}],
                    "window": "10m",
                    **spec,
                },
            }
        )

    def status(self, name: str = "chat") -> Json:
        """What is said of it."""
        path = f"{API}/namespaces/{self.namespace}/inferenceslos/{name}"
        return dict(self.kube.get(path).get("status", {}))

    def row(self, number: int = 0, name: str = "chat") -> Json:
        """One objective of it."""
        rows = self.status(name).get("objectives", [])
        return dict(rows[number]) if number < len(rows) else {}

    def condition(self, type_: str, name: str = "chat") -> Json:
        """One condition of it."""
        found = (c for c in self.status(name).get("conditions", []) if c["type"] == type_)
        return dict(next(found, {}))

    def until(
        self, ask: Callable[[], object], what: str, name: str = "chat", seconds: float = SECONDS
    ) -> None:
        """Wait for something about an endpoint; its status is told where it does not come."""
        eventually(ask, lambda: f"{what}: {self.status(name)}", seconds)

    def until_state(self, state: str, name: str = "chat", number: int = 0) -> Json:
        """Wait for a data state of an objective; returns the objective."""
        self.until(lambda: self.row(number, name).get("dataState") == state, f"dataState {state}", name)
        return self.row(number, name)

    def say(self, name: str = "chat", **annotations: Any) -> None:
        """Lay annotations over those of a workload, while its pods run on; none mend it."""
        key = f"{self.namespace}/{name}"
        self.overlay[key] = {k.replace("_", "-"): v for k, v in annotations.items()}
        httpx.post(self.control, json={"engines": self.overlay}, trust_env=False).raise_for_status()

    def served(self, name: str = "chat") -> int:
        """Requests that its pods have served in their lives, by their own count."""
        page = httpx.get(self.control.replace("/control", "/engines/state"), trust_env=False)
        pods = page.raise_for_status().json()["workloads"][f"{self.namespace}/{name}"]["pods"]
        return sum(int(pod["served"]) for pod in pods.values())

    def quiet(self, name: str = "chat", seconds: float = SECONDS) -> tuple[int, float]:
        """Let nobody ask until nothing is counted any more; returns what its pods served, and the events."""
        self.say(name, load=0)
        self.until(lambda: self._rests(name), "it rests", name, seconds)
        return self.served(name), float(self.row(0, name)["events"])

    def _rests(self, name: str) -> bool:
        """Whether the operator knows that nobody asks, nothing was served and no event came for a while."""
        if self.row(0, name).get("dataState") != "NoTraffic":
            return False
        before = self.served(name), self.row(0, name).get("events")
        time.sleep(QUIET)
        return before == (self.served(name), self.row(0, name).get("events"))


@pytest.fixture
def town(plane: Cluster, kube: Kube, namespace: Callable[..., str]) -> Iterator[Town]:
    """A namespace and a node of this test alone."""
    node = f"slo-{os.getpid()}-{next(_numbers)}"
    create_nodes(kube, [node_manifest(node, 8)])
    control = f"http://127.0.0.1:{plane.port('exporter')}/control"
    yield Town(kube, namespace("slo"), node, control)
    httpx.post(control, json={"engines": {}}, trust_env=False).raise_for_status()
    kube.delete(f"{NODES}/{node}")

"""Endpoints of one governed pool, one namespace each, with a request and an InferenceSLO of its own."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from integration.slo.conftest import API
from localplane.kube import Kube
from support.engines import said
from support.gpupods import pod_spec
from support.plane import eventually
from support.story import RESOURCE, Story

Json = dict[str, Any]
Found = TypeVar("Found")
SECONDS = 90.0
PRICE = 2.5
"""Of a GPU for an hour."""


@dataclass
class Berths:
    """A pool with namespaces of its own, made and taken away with it."""

    kube: Kube
    story: Story
    spaces: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def open(cls, kube: Kube, name: str, nodes: int) -> "Iterator[Berths]":
        """A pool of some nodes; its namespaces are made as they are named."""
        story = Story(kube, lambda n: n, name=f"{name}-{os.getpid()}")
        story.add_nodes(nodes)
        quay = cls(kube, story)
        try:
            yield quay
        finally:
            for namespace in quay.spaces.values():
                kube.delete(f"/api/v1/namespaces/{namespace}")
            story.end()

    def berth(self, name: str) -> str:
        """A namespace for an endpoint."""
        namespace = f"{self.story.name}-{name}"
        self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.spaces[name] = namespace
        return namespace

    def govern(self, guaranteed: Mapping[str, int]) -> None:
        """The pool: a share for each endpoint, and a price."""
        self.story.pool(
            "Enforce",
            shares=[self.story.share(self.spaces[name], gpus) for name, gpus in guaranteed.items()],
            reclaim={"mode": "Observe"},
            cost={"perGpuHour": {RESOURCE: f"{PRICE:.2f}"}, "currency": "USD"},
        )

    def ask(self, name: str, gpus: int, **spec: Any) -> None:
        """Its request, or a change of it; a part of it is of use."""
        self.story.ask(self.spaces[name], "chat", gpus, **{"minGpus": 1, **spec})

    def deploy(self, name: str, replicas: int = 2, gpus: int = 1, **engine: Any) -> None:
        """Its pods; without words about an engine they show no metrics."""
        labels = {"app": "chat"}
        annotations = said(**{"start_after": "1s", **engine}) if engine else {}
        self.kube.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "chat", "namespace": self.spaces[name]},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels, "annotations": annotations},
                        "spec": {**pod_spec(gpus), "terminationGracePeriodSeconds": 1},
                    },
                },
            }
        )

    def promise(self, name: str, **spec: Any) -> None:
        """Its InferenceSLO."""
        self.kube.apply(
            {
                "apiVersion": "gpupool.dev/v1alpha1",
                "kind": "InferenceSLO",
                "metadata": {"name": "chat", "namespace": self.spaces[name]},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
                    "objectives": [{"sli": "ttft", "threshold": "500ms", "percent": 95}],
                    "window": "5m",
                    "minEvents": 20,
                    **spec,
                },
            }
        )

    def slo(self, name: str) -> Json:
        """What is said of the endpoint."""
        path = f"{API}/namespaces/{self.spaces[name]}/inferenceslos/chat"
        return dict(self.kube.get(path).get("status", {}))

    def request(self, name: str) -> Json:
        """What is said of its request."""
        return self.story.status(self.spaces[name], "chat")

    def reason(self, name: str) -> str:
        """Why its request stands where it stands."""
        return str(self.request(name).get("decision", {}).get("reason", ""))

    def until(self, name: str, ask: Callable[[], Found | None], what: str) -> Found:
        """Wait for something about an endpoint."""

        def told() -> str:
            slo = {k: v for k, v in self.slo(name).items() if k not in {"objectives", "profile"}}
            return f"{name}: {what}: {self.request(name)} {slo}"

        return eventually(ask, told, SECONDS)

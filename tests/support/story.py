"""Words to tell a story on a governed cluster: nodes of a group of their own, a pool, teams, asks, pods."""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx

from localplane.kube import Kube, KubeError
from localplane.nodes import create_nodes, node_manifest
from localplane.processes import wait_until
from support.gpupods import USE, gpu_pod, pod_spec
from support.marks import ADMISSION, standing
from support.plane import eventually

Json: TypeAlias = dict[str, Any]
Found = TypeVar("Found")
GROUP = "test.example/gpu-group"
RESOURCE = "nvidia.com/gpu"
QUOTA = "gpupool"

GOVERNED_SECONDS = 120.0
"""Within which a pool is enforced whole on a busy machine: labels, walls, policies and their proof."""
STEP_SECONDS = 60.0
"""Within which one step of a story is seen there."""

OUTSIDERS = f"{ADMISSION}/validatingadmissionpolicybindings/gpupool-outsiders"
"""The binding of the rules about pods outside of pools; it stands while anybody enforces."""

_numbers = itertools.count(1)
QUICK: Json = {
    "reclaim": {
        "window": "6s",
        "lookback": "6s",
        "grace": "5s",
        "startupGrace": "0s",
        "releaseAfter": "10m",
        "headroom": 0,
        "coverage": 50,
    },
    "recall": {"within": "15s", "notice": "5s"},
}
"""Durations that let a story end within a minute."""


@dataclass
class Story:
    """One pool with its nodes and namespaces, torn down by the fixture."""

    kube: Kube
    make_namespace: Callable[..., str]
    name: str = field(default_factory=lambda: f"pool-{os.getpid()}-{next(_numbers)}")
    nodes: list[str] = field(default_factory=list)

    # ------------------------------------------------------------------ stage

    def add_nodes(self, count: int = 2, gpus: int = 8) -> list[str]:
        """Fake nodes of this story's group."""
        start = len(self.nodes)
        names = [f"{self.name}-node-{start + i + 1}" for i in range(count)]
        create_nodes(self.kube, [node_manifest(n, gpus, labels={GROUP: self.name}) for n in names])
        self.nodes += names
        return names

    def team(self, name: str) -> str:
        """A namespace for a team."""
        return self.make_namespace(f"{self.name}-{name}")

    def pool(self, mode: str = "Enforce", *, shares: list[Json] | None = None, **spec: Any) -> Json:
        """Create the pool, or change it."""
        body = {
            "apiVersion": "gpupool.dev/v1alpha1",
            "kind": "GpuPool",
            "metadata": {"name": self.name},
            "spec": {
                "mode": mode,
                "nodes": {"selector": {"matchLabels": {GROUP: self.name}}},
                "shares": shares or [],
                **spec,
            },
        }
        return self.kube.apply(body)

    def share(self, namespace: str, guaranteed: int = 0, **more: Any) -> Json:
        """A share of one namespace, named like it."""
        return {"team": namespace, "namespaces": [namespace], "guaranteed": guaranteed, **more}

    # ------------------------------------------------------------------ actors

    def ask(self, namespace: str, name: str, gpus: int, **spec: Any) -> Json:
        """Apply a CapacityRequest."""
        body = {
            "apiVersion": "gpupool.dev/v1alpha1",
            "kind": "CapacityRequest",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "gpus": gpus,
                "owner": {"team": namespace, "contact": "people@example.com"},
                "workload": {"selector": {"matchLabels": {"app": name}}},
                "expectedUtilization": 80,
                **spec,
            },
        }
        return self.kube.apply(body)

    def run(self, namespace: str, app: str, pods: int, gpus: int = 1, use: str = "50") -> list[str]:
        """Bare pods of an app; they run until deleted."""
        names = [f"{app}-{next(_numbers)}" for _ in range(pods)]
        for name in names:
            pod = gpu_pod(namespace, name, gpus, annotations={USE: use})
            pod["metadata"]["labels"] = {"app": app}
            self.kube.create(pod)
        return names

    def deploy(self, namespace: str, app: str, replicas: int, gpus: int = 1, use: str = "50") -> None:
        """A Deployment of GPU pods, or a new number of its replicas."""
        labels = {"app": app}
        template = {
            "metadata": {"labels": labels, "annotations": {USE: use}},
            "spec": {**pod_spec(gpus), "terminationGracePeriodSeconds": 1},
        }
        self.kube.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": app, "namespace": namespace},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
            }
        )

    # ------------------------------------------------------------------ what is seen

    def request(self, namespace: str, name: str) -> Json:
        """A request as it stands."""
        return self.kube.get(self.request_path(namespace, name))

    def status(self, namespace: str, name: str) -> Json:
        """A request's status."""
        return dict(self.request(namespace, name).get("status", {}))

    def pool_status(self) -> Json:
        """The pool's status."""
        return dict(self.kube.get(self.path).get("status", {}))

    def enforced(self) -> Json | None:
        """Condition Enforced, where it is True for the spec as it stands and not for an earlier one."""
        pool = self.kube.get(self.path)
        found = self.condition("Enforced", pool.get("status", {}))
        current = found.get("observedGeneration") == pool["metadata"]["generation"]
        return found if current and found["status"] == "True" else None

    def decided(self) -> bool:
        """Whether the pool's status is about the spec as it stands."""
        pool = self.kube.get(self.path)
        return bool(pool.get("status", {}).get("observedGeneration") == pool["metadata"]["generation"])

    def hard(self, namespace: str) -> int | None:
        """What our quota allows in a namespace; None without one, or while it is still being made."""
        quota = self.kube.find(f"/api/v1/namespaces/{namespace}/resourcequotas/{QUOTA}")
        found = {} if quota is None else quota["spec"].get("hard", {})
        return int(found[key]) if (key := f"requests.{RESOURCE}") in found else None

    def in_force(self, namespace: str) -> int | None:
        """What the API server counts against, a moment after our quota was written; None without one."""
        quota = self.kube.find(f"/api/v1/namespaces/{namespace}/resourcequotas/{QUOTA}") or {}
        found = quota.get("status", {}).get("hard", {})
        return int(found[key]) if (key := f"requests.{RESOURCE}") in found else None

    def held(self, namespace: str) -> int:
        """GPUs of the namespace's bound, living pods."""
        pods = self.kube.list(f"/api/v1/namespaces/{namespace}/pods")
        living = [
            p
            for p in pods
            if p["status"].get("phase") in {"Pending", "Running"} and p["spec"].get("nodeName")
        ]
        return sum(int(c["resources"]["limits"][RESOURCE]) for p in living for c in p["spec"]["containers"])

    def events(self, namespace: str, name: str) -> list[str]:
        """Reasons of the Events about a request, in order."""
        found = self.kube.list(f"/api/v1/namespaces/{namespace}/events", fields=f"involvedObject.name={name}")
        return [e["reason"] for e in sorted(found, key=lambda e: e["metadata"]["creationTimestamp"])]

    @property
    def path(self) -> str:
        """Path of the pool."""
        return f"/apis/gpupool.dev/v1alpha1/gpupools/{self.name}"

    @staticmethod
    def request_path(namespace: str, name: str) -> str:
        """Path of a request."""
        return f"/apis/gpupool.dev/v1alpha1/namespaces/{namespace}/capacityrequests/{name}"

    # ------------------------------------------------------------------ waiting

    def until_phase(self, namespace: str, name: str, *phases: str, seconds: float = STEP_SECONDS) -> Json:
        """Wait for a phase; returns the status."""
        return eventually(
            lambda: s if (s := self.status(namespace, name)).get("phase") in phases else None,
            lambda: f"{name} becomes {' or '.join(phases)} (now {self.status(namespace, name)})",
            seconds,
        )

    def until_enforced(self, seconds: float = GOVERNED_SECONDS) -> Json:
        """Wait until quotas, labels and policies stand as the spec now says and were probed."""
        return eventually(
            self.enforced,
            lambda: f"pool {self.name} is enforced (it says {self.pool_status().get('conditions')})",
            seconds,
        )

    def until_nobody_enforces(self) -> None:
        """Wait until what other tests had enforced is gone, with the rules about pods outside of pools.

        Deleted is not yet out of force: what those rules refuse must be let in.
        """
        pods = "/api/v1/namespaces/gpupool-probe/pods"
        eventually(
            lambda: not self.kube.exists(OUTSIDERS) and not self.kube.list(pods) and self._lets_anybody_in(),
            lambda: f"nobody enforces any more ({self._who_enforces()})",
            GOVERNED_SECONDS,
        )

    def _lets_anybody_in(self) -> bool:
        manifest = gpu_pod("default", "placed-by-hand", nodeName="somewhere")
        try:
            self.kube.create(manifest, dry_run=True)
        except KubeError as error:
            if error.status != httpx.codes.FORBIDDEN:
                raise
            return False
        return True

    def _who_enforces(self) -> str:
        """Pools with their modes, and whose the rules about pods outside of them are."""
        found = self.kube.list("/apis/gpupool.dev/v1alpha1/gpupools")
        modes = {p["metadata"]["name"]: p["spec"].get("mode") for p in found}
        owners = (self.kube.find(OUTSIDERS) or {}).get("metadata", {}).get("ownerReferences", [])
        return f"pools {modes}, the outsiders' binding is owned by {[o['name'] for o in owners]}"

    def until(
        self, ask: Callable[[], Found | None], what: str | Callable[[], str], seconds: float = STEP_SECONDS
    ) -> Found:
        """Wait until an answer is truthy."""
        return eventually(ask, what, seconds)

    def condition(self, kind: str, owner: Json | None = None) -> Json:
        """A condition of the pool (or of a given status), empty where it is not set."""
        status = self.pool_status() if owner is None else owner
        return next((c for c in status.get("conditions", []) if c["type"] == kind), {})

    # ------------------------------------------------------------------ curtain

    def end(self, seconds: float = GOVERNED_SECONDS) -> None:
        """Take the pool and its nodes away, and give the operator time to take back what it wrote for it.

        Where it does not, it is for the next test to say so: one that ends does not fail over it.
        """
        self.kube.delete(self.path)
        for node in self.nodes:
            self.kube.delete(f"/api/v1/nodes/{node}")
        wait_until(self._released, seconds)

    def _released(self) -> bool:
        try:
            return not standing(self.kube, self.name)
        except KubeError:  # a kind is on its way out
            return False

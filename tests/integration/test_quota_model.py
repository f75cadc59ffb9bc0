"""The simulator's quota is the API server's: random histories, lived twice, agree at every step."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from gpupool.model.objects import Key, Quota
from gpupool.simulator.cluster import Cluster as Model
from gpupool.simulator.workloads import Template
from localplane.cluster import Cluster
from localplane.kube import Kube, KubeError
from localplane.nodes import create_nodes, node_manifest
from support.builders import GPU, NOW, a_pool, nodes
from support.gpupods import gpu_pod
from support.plane import Json, eventually, temporary_cluster

HISTORIES = 20
STEPS = 10
SECOND = timedelta(seconds=1)
FORBIDDEN = 403
INFORMED = 2.0
"""Seconds within which the plugin that counts has heard of a quota whose status is new already."""


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A plane whose controller-manager is frozen now and then."""
    with temporary_cluster() as cluster:
        with cluster.kube() as kube:
            create_nodes(kube, [node_manifest(f"quota-{i}", 8) for i in (1, 2)])
        yield cluster


@dataclass
class Twins:
    """The same namespace in the model and on the plane."""

    kube: Kube
    plane: Cluster
    namespace: str
    model: Model = field(default_factory=lambda: Model(NOW, a_pool()))
    pods: list[tuple[Key, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model.nodes = {n.name: n for n in nodes(2)}

    # ------------------------------------------------------------------ what happens

    def limit(self, gpus: int) -> None:
        """The quota is written."""
        name = {"name": "gpupool", "namespace": self.namespace}
        spec = {"hard": {f"requests.{GPU}": str(gpus)}}
        self.kube.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": name, "spec": spec})
        old = self.model.quotas.get(self.namespace, Quota(hard={}, status_hard={}, used={}))
        self.model.quotas[self.namespace] = replace(old, hard={GPU: gpus})

    def create(self, gpus: int) -> None:
        """A pod is asked for; both must give the same answer."""
        admitted = self.model.create_pod(self.namespace, Template(gpus=gpus, grace=timedelta()))
        name = f"pod-{self.model.serial}-{len(self.pods)}"
        pod = gpu_pod(self.namespace, name, gpus, terminationGracePeriodSeconds=0)
        refusal = self._refusal(pod)
        until = time.monotonic() + INFORMED
        while admitted and refusal and time.monotonic() < until:
            time.sleep(0.05)
            refusal = self._refusal(pod)
        assert admitted == (not refusal), f"the model says {admitted}, the API server {refusal or 'yes'}"
        if admitted:
            self.pods.append((list(self.model.pods)[-1], name))

    def _refusal(self, pod: Json) -> str:
        try:
            self.kube.create(pod)
        except KubeError as error:
            if error.status != FORBIDDEN:
                raise
            return error.message
        return ""

    def delete(self, index: int) -> None:
        """A pod goes."""
        if self.pods:
            key, name = self.pods.pop(index % len(self.pods))
            self.model.delete_pod(key)
            self.kube.delete(f"/api/v1/namespaces/{self.namespace}/pods/{name}")

    def freeze(self) -> None:
        """The controller-manager stops: quota status follows nothing any more."""
        if self.model.quota_works:
            self.plane.stop("controller-manager", "STOP")
            self.model.quota_works = False

    def thaw(self) -> None:
        """It goes on."""
        if not self.model.quota_works:
            self.plane.start("controller-manager")
            self.model.quota_works = True

    # ------------------------------------------------------------------ what is seen

    def agree(self, what: str) -> None:
        """Let both settle and compare what is in force, what is counted and what is held."""
        self.model.step(SECOND)
        wanted = self.modelled()
        eventually(
            lambda: self.real() == wanted,
            lambda: f"{what}: the model says {wanted}, not {self.real()}",
            60,
        )

    def modelled(self) -> tuple[int | None, int | None, int]:
        """Limit in force, use counted (None before the first count), GPUs held, in the model."""
        quota = self.model.quotas.get(self.namespace)
        held = self.model.held(self.namespace, GPU)
        if quota is None or not quota.status_hard:
            return None, None, held
        return quota.status_hard[GPU], quota.used.get(GPU, 0), held

    def real(self) -> tuple[int | None, int | None, int]:
        """The same on the plane."""
        found = self.kube.find(f"/api/v1/namespaces/{self.namespace}/resourcequotas/gpupool") or {}
        status = found.get("status", {})
        pods = self.kube.list(f"/api/v1/namespaces/{self.namespace}/pods")
        bound = [c for p in pods if p["spec"].get("nodeName") for c in p["spec"]["containers"]]
        held = sum(int(c["resources"]["limits"][GPU]) for c in bound)
        name = f"requests.{GPU}"
        if name not in status.get("hard", {}):
            return None, None, held
        return int(status["hard"][name]), int(status["used"][name]), held

    def end(self) -> None:
        """Free the GPUs for the next history."""
        self.thaw()
        while self.pods:
            self.delete(0)
        self.agree("the end")


def _event(twins: Twins, rng: random.Random) -> tuple[str, Callable[[], None]]:
    kind = rng.choices(("create", "limit", "delete", "freeze", "thaw"), (10, 5, 4, 2, 3))[0]
    if kind == "create":
        gpus = rng.randint(1, 4)
        return f"create {gpus}", lambda: twins.create(gpus)
    if kind == "limit":
        gpus = rng.randint(0, 12)
        return f"limit {gpus}", lambda: twins.limit(gpus)
    if kind == "delete":
        index = rng.randrange(8)
        return f"delete {index}", lambda: twins.delete(index)
    return kind, twins.freeze if kind == "freeze" else twins.thaw


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_random_history_ends_the_same_in_the_model_and_on_the_plane(
    seed: int, kube: Kube, plane: Cluster, namespace: Callable[..., str]
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a history, not a secret
    twins = Twins(kube, plane, namespace("quota"))
    told: list[str] = []
    try:
        twins.limit(rng.randint(4, 12))
        twins.agree("the first quota")
        for _ in range(STEPS):
            what, happen = _event(twins, rng)
            told.append(what)
            happen()
            twins.agree(" → ".join(told))
    finally:
        twins.thaw()
    twins.end()


def test_a_quota_that_was_never_counted_keeps_nobody_out(
    kube: Kube, plane: Cluster, namespace: Callable[..., str]
) -> None:
    twins = Twins(kube, plane, namespace("uncounted"))
    twins.freeze()
    try:
        twins.limit(0)
        twins.create(2)
        assert twins.real()[0] is None, "the quota was counted meanwhile"
    finally:
        twins.thaw()
    twins.end()

"""A release's life on a real cluster: helm as a person runs it, and what is left when it is gone."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from localplane import release
from localplane.runner.settings import NAMESPACE
from support.marks import standing, two_lines
from support.plane import eventually
from support.story import GOVERNED_SECONDS, STEP_SECONDS, Story

if TYPE_CHECKING:
    from pathlib import Path

    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OURS = "app.kubernetes.io/name=gpupool"
OUR_CRDS = ("gpupools.gpupool.dev", "capacityrequests.gpupool.dev", "inferenceslos.gpupool.dev")
KEPT = {f"customresourcedefinition.apiextensions.k8s.io/{crd}" for crd in OUR_CRDS}
_numbers = itertools.count(1)


def helm(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm in the release's namespace; the caller looks at its return code."""
    home = cluster.layout.private / "helm"
    environment = {"KUBECONFIG": str(cluster.kubeconfig), "HOME": str(home)}  # caches go there too
    command = [str(cluster.program("helm")), *arguments, "--namespace", NAMESPACE]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=150)


def kubectl(cluster: Cluster, *arguments: str) -> str:
    """What kubectl prints.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    command = [str(cluster.program("kubectl")), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def placement(cluster: Cluster, folder: Path) -> str:
    """A file of the values that place the chart's pods on the runner's node."""
    file = folder / "placement.yaml"
    file.write_text(yaml.safe_dump(release.chart_values(cluster)))
    return str(file)


def objects_of_ours(cluster: Cluster) -> set[str]:
    """Everything in the cluster that carries the name of gpupool, whatever its kind; Events come and go."""
    kinds = kubectl(cluster, "api-resources", "--verbs=list", "-o", "name").split()
    listed = ",".join(k for k in kinds if not k.startswith("events"))
    return set(kubectl(cluster, "get", listed, "-A", "-l", OURS, "-o", "name", "--ignore-not-found").split())


def release_log(cluster: Cluster) -> str:
    """What the last release hook said."""
    logs = sorted((cluster.layout.logs / "pods").glob("*-release-*.log"), key=lambda f: f.stat().st_mtime)
    return logs[-1].read_text() if logs else ""


@dataclass
class Tenancy:
    """An enforced pool with running pods, in the cluster of a release."""

    story: Story
    team: str
    uids: dict[str, str]

    @property
    def kube(self) -> Kube:
        return self.story.kube

    def running(self) -> dict[str, str]:
        """Running pods and their uids."""
        pods = self.kube.list(f"/api/v1/namespaces/{self.team}/pods")
        return {
            p["metadata"]["name"]: p["metadata"]["uid"] for p in pods if p["status"]["phase"] == "Running"
        }

    def governed(self) -> bool:
        """Whether the pool stands enforced, taint and all."""
        marks = standing(self.kube, self.story.name)
        return self.story.enforced() is not None and any("taint" in m for m in marks)

    def end(self) -> None:
        """Take pods, namespace, pool and nodes away."""
        for name in self.running():
            self.kube.delete(f"/api/v1/namespaces/{self.team}/pods/{name}", grace_seconds=0)
        self.kube.delete(f"/api/v1/namespaces/{self.team}")
        if self.kube.exists(f"{CRDS}/gpupools.gpupool.dev"):
            self.kube.delete(f"/apis/gpupool.dev/v1alpha1/gpupools/{self.story.name}")
        for node in self.story.nodes:
            self.kube.delete(f"/api/v1/nodes/{node}")


CPU_PODS: Json = {"isolation": {"cpuPods": "Allow"}}
"""What a pool says that lets pods without GPUs come to its nodes."""


def settle(kube: Kube, spec: Json = CPU_PODS) -> Tenancy:
    """Make the pool, ask for GPUs, and run three GPU pods and a CPU pod in it.

    Args:
        kube: an admin connection.
        spec: what the pool says beside its nodes and shares.
    """

    def namespace(prefix: str) -> str:
        name = f"{prefix}-{os.getpid()}-{next(_numbers)}"
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: kube.exists(account), "the default ServiceAccount", STEP_SECONDS)
        return name

    story = Story(kube, namespace)
    story.add_nodes(1)
    team = story.team("a")
    tenancy = Tenancy(story, team, {})
    story.pool(shares=[story.share(team, 8)], **spec)
    story.ask(team, "work", 4)
    story.until_phase(team, "work", "Granted", seconds=60)
    story.until(
        tenancy.governed,
        lambda: f"the pool is enforced (it says {story.pool_status().get('conditions')})",
        GOVERNED_SECONDS,
    )
    quota = f"/api/v1/namespaces/{team}/resourcequotas/gpupool"
    story.until(lambda: "4" in kube.get(quota).get("status", {}).get("hard", {}).values(), "the wall counts")
    story.run(team, "work", 3)
    cpu = {"containers": [{"name": "main", "image": "work"}], **two_lines(story.name)}
    kube.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": team}, "spec": cpu}
    )
    tenancy.uids = story.until(lambda: r if len(r := tenancy.running()) == 4 else None, "four pods run")
    return tenancy

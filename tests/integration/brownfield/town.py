"""A cluster with a life of its own: what runs in it before gpupool comes, and what happens every day."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from localplane.kube import KubeError
from localplane.nodes import create_nodes, node_manifest
from support.gpupods import RUN_FOR, USE, gpu_job, gpu_pod, pod_spec
from support.plane import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from localplane.kube import Kube

Json = dict[str, Any]
GROUP = "town.example/group"
STIR = "town.example/stirred"
NAMESPACES = ("vision", "nlp", "batch", "burst", "loners", "gpu-operator", "monitoring")
KUEUE = "kueue.x-k8s.io"
PATIENCE = 120.0
ROLLED = (("vision", "serve", 2), ("vision", "web", 1), ("loners", "stray", 1), ("batch", "queued", 1))
"""Deployments with the replicas they have at rest."""


@dataclass
class Town:
    """What runs, and what is done to it."""

    kube: Kube
    stirred: int = 0

    # ------------------------------------------------------------------ before gpupool

    def build(self) -> None:
        """Everything that is there on the day gpupool is installed; waits until it runs."""
        for name in NAMESPACES:
            self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": _meta(name)})
        for name in NAMESPACES:
            path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            self.wait(partial(self.kube.exists, path), "the default ServiceAccounts")
        nodes = [node_manifest(f"lab-{n}", 8, labels={GROUP: "lab"}) for n in (1, 2, 3)]
        create_nodes(self.kube, [*nodes, node_manifest("free-1", 4, labels={GROUP: "free"})])
        self._kueue()
        for manifest in (*self._workloads(), *self._others()):
            self.wait(partial(self._made, manifest), f"{manifest['kind']} is taken")
        self.wait(self._alive, "everything runs")

    def _workloads(self) -> list[Json]:
        lab: Json = {"nodeSelector": {GROUP: "lab"}}
        own = {"metadata": {"annotations": {"owner": "vision-leads@example.com"}}}
        notes = [gpu_pod("vision", f"note-{n}", annotations={USE: "20"}, **lab) for n in (1, 2)]
        for note in notes:
            note["metadata"]["labels"] = {"app": "note"}
        stateful = deployment("vision", "db", 1, pod_spec(**lab))
        stateful |= {"kind": "StatefulSet"}
        stateful["spec"] |= {"serviceName": "db"}
        stateful["spec"].pop("strategy")
        fit = gpu_job("nlp", "fit", 1, annotations={RUN_FOR: "8s"}, **lab)
        fit["spec"]["completions"] = 6
        serve = deployment("vision", "serve", 2, pod_spec(**lab))
        serve["spec"]["template"]["metadata"]["annotations"] |= own["metadata"]["annotations"]
        return [
            serve,
            deployment("vision", "web", 1, pod_spec(0)),
            stateful,
            *notes,
            fit,
            deployment("batch", "queued", 1, pod_spec(**lab)),
            deployment("burst", "grow", 1, pod_spec(2, nodeSelector={GROUP: "burst"})),
            deployment("loners", "stray", 1, pod_spec(nodeSelector={GROUP: "free"})),
        ]

    def _others(self) -> list[Json]:
        quota = {"hard": {"requests.nvidia.com/gpu": "16"}}
        scaling = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "serve"},
            "minReplicas": 1,
            "maxReplicas": 6,
        }
        queue = {"apiVersion": f"{KUEUE}/v1beta1", "kind": "LocalQueue", "spec": {"clusterQueue": "gpus"}}
        hpa = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": scaling}
        agent = {"nodeSelector": {GROUP: "lab"}, "tolerations": [{"operator": "Exists"}]}
        return [
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": _meta("compute", "vision"),
                "spec": quota,
            },
            hpa | {"metadata": _meta("serve", "vision")},
            queue | {"metadata": _meta("queue", "batch")},
            daemonset("gpu-operator", "dcgm-exporter", {"nodeSelector": {GROUP: "lab"}}),
            daemonset("monitoring", "agent", agent),
        ]

    def _kueue(self) -> None:
        """The two kinds of Kueue that count, as far as somebody looks at them."""
        names = (("LocalQueue", "localqueues", "Namespaced"), ("ClusterQueue", "clusterqueues", "Cluster"))
        for kind, plural, scope in names:
            self.kube.create(custom(kind, plural, scope))
        for _, plural, _ in names:
            self.wait(partial(self._served, plural), "Kueue's kinds are served")
        queue = {"apiVersion": f"{KUEUE}/v1beta1", "kind": "ClusterQueue", "spec": {}}
        self.wait(partial(self._made, queue | {"metadata": _meta("gpus")}), "a ClusterQueue is taken")

    def _served(self, plural: str) -> bool:
        """Whether a new kind can be listed."""
        try:
            return self.kube.exists(f"/apis/{KUEUE}/v1beta1/{plural}")
        except KubeError as error:
            if error.status != 429:
                raise
            return False

    def _made(self, manifest: Json) -> bool:
        """Create an object; False while the server says that a new kind's storage is not ready yet."""
        kind, meta = manifest["kind"], manifest["metadata"]
        plain = {
            "LocalQueue": f"namespaces/{meta.get('namespace')}/localqueues",
            "ClusterQueue": "clusterqueues",
        }
        path = f"/apis/{KUEUE}/v1beta1/{plain[kind]}" if kind in plain else ""
        try:
            self.kube.create(manifest, path=path)
        except KubeError as error:
            if error.status != 429:
                raise
            return False
        return True

    def _alive(self) -> bool:
        counts = {(n, a): len(self.running(n, a)) for n, a, _ in ROLLED}
        return (
            all(counts[n, a] == r for n, a, r in ROLLED)
            and bool(self.running("vision", "db"))
            and len(self.running("vision", "note")) == 2
            and len(self.running("gpu-operator", "dcgm-exporter")) == 3
            and len(self.running("monitoring", "agent")) == 3
            and len(self.kube.list("/api/v1/namespaces/burst/pods")) == 1
        )

    # ------------------------------------------------------------------ every day

    def stir(self) -> None:
        """Roll and scale what can be rolled and scaled, let a Job finish, lose pods; wait for all of it."""
        self.stirred += 1
        for namespace, name, replicas in ROLLED:
            self.patch(namespace, name, replicas + 1 if name == "serve" else replicas, str(self.stirred))
        self.scale_stateful(2)
        job = gpu_job("nlp", f"quick-{self.stirred}", 2, annotations={RUN_FOR: "2s"})
        job["spec"]["template"]["spec"]["nodeSelector"] = {GROUP: "lab"}
        self.kube.create(job)
        for namespace in ("gpu-operator", "burst"):
            victim = self.kube.list(f"/api/v1/namespaces/{namespace}/pods")[0]["metadata"]["name"]
            self.kube.delete(f"/api/v1/namespaces/{namespace}/pods/{victim}", grace_seconds=0)
        self.wait(self._moved, f"what was begun in round {self.stirred} has happened")
        self.patch("vision", "serve", 2, str(self.stirred))
        self.scale_stateful(1)
        self.wait(self._alive, "everything runs again")

    def calm(self) -> None:
        """Make everything as it was before the first round."""
        for namespace, name, replicas in ROLLED:
            self.patch(namespace, name, replicas, "0")
        for n in range(1, self.stirred + 1):
            self.kube.request(
                "DELETE", f"/apis/batch/v1/namespaces/nlp/jobs/quick-{n}", propagationPolicy="Background"
            )
        self.wait(lambda: self._alive() and self._rolled("0"), "everything runs as it did")

    def _moved(self) -> bool:
        return (
            self._rolled(str(self.stirred))
            and len(self.running("vision", "serve")) == 3
            and len(self.running("vision", "db")) == 2
            and self.done(f"quick-{self.stirred}")
            and len(self.running("gpu-operator", "dcgm-exporter")) == 3
            and len(self.kube.list("/api/v1/namespaces/burst/pods")) == 1
        )

    def _rolled(self, mark: str) -> bool:
        """Whether all pods of the Deployments are of the newest template."""
        return all(
            {p["metadata"]["annotations"].get(STIR) for p in self.pods(n, a)} == {mark} for n, a, _ in ROLLED
        )

    def patch(self, namespace: str, name: str, replicas: int, mark: str) -> None:
        """Scale and roll a Deployment."""
        template = {"metadata": {"annotations": {STIR: mark}}}
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        self.kube.patch(path, {"spec": {"replicas": replicas, "template": template}})

    def scale_stateful(self, replicas: int) -> None:
        """Scale the StatefulSet."""
        self.kube.patch("/apis/apps/v1/namespaces/vision/statefulsets/db", {"spec": {"replicas": replicas}})

    # ------------------------------------------------------------------ looking

    def pods(self, namespace: str, app: str) -> list[Json]:
        """Pods of an app that are not on their way out."""
        found = self.kube.list(f"/api/v1/namespaces/{namespace}/pods", labels=f"app={app}")
        return [p for p in found if "deletionTimestamp" not in p["metadata"]]

    def running(self, namespace: str, app: str) -> list[str]:
        """Names of the running ones."""
        return [
            p["metadata"]["name"] for p in self.pods(namespace, app) if p["status"].get("phase") == "Running"
        ]

    def done(self, job: str) -> bool:
        """Whether a Job is complete."""
        status = self.kube.get(f"/apis/batch/v1/namespaces/nlp/jobs/{job}").get("status", {})
        return any(c["type"] == "Complete" and c["status"] == "True" for c in status.get("conditions", []))

    def refused(self) -> list[str]:
        """What controllers say they were refused, anywhere."""
        events = self.kube.list("/api/v1/events", fields="reason=FailedCreate")
        return [f"{e['involvedObject'].get('name')}: {e['message']}" for e in events]

    def wait(self, ask: Callable[[], Any], what: str) -> None:
        """Wait until an answer is truthy."""
        eventually(ask, what, PATIENCE)


def deployment(namespace: str, name: str, replicas: int, spec: Json) -> Json:
    """A Deployment that never has more pods than replicas."""
    labels = {"app": name}
    annotations = {USE: "40", STIR: "0"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name, namespace),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {**spec, "terminationGracePeriodSeconds": 1},
            },
        },
    }


def daemonset(namespace: str, name: str, spec: Json) -> Json:
    """A DaemonSet without GPUs."""
    labels = {"app": name}
    container = {"name": "main", "image": "example.invalid/agent"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _meta(name, namespace),
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {**spec, "containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }


def custom(kind: str, plural: str, scope: str) -> Json:
    """A CustomResourceDefinition that takes everything."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": schema}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{KUEUE}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
        },
        "spec": {"group": KUEUE, "scope": scope, "names": names, "versions": [version]},
    }


def _meta(name: str, namespace: str = "") -> Json:
    return {"name": name} | ({"namespace": namespace} if namespace else {})

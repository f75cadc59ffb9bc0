"""Everything the operator does in its life, in steps: what each rule of its roles is there for."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from localplane import release
from localplane.runner.settings import NAMESPACE
from support.engines import said
from support.gpupods import pod_spec
from support.marks import ADMISSION, marks, standing
from support.plane import eventually
from support.story import QUICK, Story

if TYPE_CHECKING:
    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
_numbers = itertools.count(1)
SECONDS = 90.0
TARGET: Json = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "serve"}
NOTE = "gpupool.dev/rollout-guard"
BREAK_GLASS = ("system:masters", "gpupool:break-glass")

VALUES: Json = {"evaluationWindow": "10s", "metricsApi": {"enabled": True}}
"""Of the chart: what a VPA is bounded by is learned soon, and rules beside those of the default values."""
OTHERS = (
    ("kueue.x-k8s.io", "v1beta1", "LocalQueue"),
    ("keda.sh", "v1alpha1", "ScaledObject"),
    ("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler"),
)
"""Kinds of others that the operator reads where they are served: group, version, kind."""
MADE_ONCE = (
    f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/gpupool",
    f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/gpupool-external-metrics-ipv4",
    "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io",
)
"""What an operator finds of the one before it: taken away, it is made anew."""


class EnoughError(Exception):
    """A step is ended early, because what it was to show was seen."""


@dataclass
class Stage:
    """One pool with an owner and a borrower, on a cluster with the operator in it."""

    cluster: Cluster
    kube: Kube
    story: Story
    owner: str = ""
    borrower: str = ""
    enough: Callable[[], bool] = lambda: False

    def until(self, ask: Callable[[], Any], what: str) -> Any:
        """Wait for the operator.

        Raises:
            EnoughError: what was looked for was seen; the step need not go on.
            AssertionError: it did not come.
        """
        return eventually(lambda: ask() or self._over(), what, SECONDS)

    def _over(self) -> bool:
        if self.enough():
            raise EnoughError
        return False

    def end(self) -> None:
        """Clear the stage, whatever step it came to."""
        self.story.end()
        for namespace in filter(None, (self.owner, self.borrower)):
            pods = f"/api/v1/namespaces/{namespace}/pods"
            for pod in self.kube.list(pods):
                self.kube.delete(f"{pods}/{pod['metadata']['name']}", grace_seconds=0)
            self.kube.delete(f"/api/v1/namespaces/{namespace}")


def crd(group: str, version: str, kind: str) -> Json:
    """The least CRD of a namespaced kind of somebody else."""
    plural = f"{kind.lower()}s"
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    served = {"name": version, "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # What a group of Kubernetes' own domain has to say.
            "annotations": {"api-approved.kubernetes.io": "unapproved, tests only"},
        },
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }


def stage(cluster: Cluster, kube: Kube) -> Stage:
    """A stage of its own for one run."""

    def namespace(prefix: str) -> str:
        name = f"{prefix}-{os.getpid()}-{next(_numbers)}"
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: kube.exists(account), "the default ServiceAccount", SECONDS)
        return name

    return Stage(cluster, kube, Story(kube, namespace))


def start(stage: Stage) -> None:
    """The operator starts, mirrors everything and becomes ready; kinds of others are there to be read."""
    for group, version, kind in OTHERS:
        stage.kube.apply(crd(group, version, kind))
    stage.cluster.stop("operator", "KILL")
    for path in MADE_ONCE:
        stage.kube.delete(path)
    stage.cluster.start("operator")
    stage.until(lambda: all(map(stage.kube.exists, MADE_ONCE)), "what is made once is there")


def govern(stage: Stage) -> None:
    """An enforced pool: labels, taint, policies, quotas; a grant, and Events that tell of it."""
    story = stage.story
    story.add_nodes(1)
    stage.owner, stage.borrower = story.team("owner"), story.team("borrower")
    shares = [story.share(stage.owner, 4), story.share(stage.borrower)]
    story.pool(shares=shares, recall=QUICK["recall"])
    story.ask(stage.borrower, "batch", 8, minGpus=1, preemptible=True)
    stage.until(lambda: story.status(stage.borrower, "batch").get("granted") == 8, "the borrower is granted")
    stage.until(story.enforced, "the pool is enforced")
    stage.until(lambda: any("taint" in mark for mark in marks(stage.kube, story.name)), "the node is tainted")
    stage.until(lambda: story.events(stage.borrower, "batch"), "the grant is told")


def recall(stage: Stage) -> None:
    """The owner asks: borrowers are evicted, and those a budget keeps are deleted in the end."""
    story = stage.story
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "batch", "namespace": stage.borrower},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "batch"}}},
    }
    stage.kube.create(budget)
    names = story.run(stage.borrower, "batch", 8)
    stage.until(lambda: story.held(stage.borrower) == len(names), "the borrower runs")
    story.ask(stage.owner, "serve", 4)
    stage.until(lambda: story.status(stage.owner, "serve").get("granted") == 4, "the owner has its GPUs")


def steer(stage: Stage) -> None:
    """The owner's endpoint lets its HPA be adopted, the ScaledObject in its place too, and a VPA be made."""
    place = {"name": "serve", "namespace": stage.owner}
    stage.story.deploy(stage.owner, "serve", 1)
    engine = {"metadata": {"annotations": said(start_after="1s", load=2)}}
    workload = f"/apis/apps/v1/namespaces/{stage.owner}/deployments/serve"
    stage.kube.patch(workload, {"spec": {"template": engine}})
    hpa = {"scaleTargetRef": TARGET, "maxReplicas": 9}
    stage.kube.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": place,
            "spec": hpa,
        }
    )
    _promise(stage, "Adopt")
    path = f"/apis/autoscaling/v2/namespaces/{stage.owner}/horizontalpodautoscalers/serve"
    stage.until(lambda: stage.kube.get(path)["spec"]["maxReplicas"] < hpa["maxReplicas"], "it is adopted")
    stage.kube.delete(path)
    scaled = {"scaleTargetRef": {"name": "serve"}, "maxReplicaCount": 9, "triggers": [{"type": "cron"}]}
    path = f"/apis/keda.sh/v1alpha1/namespaces/{stage.owner}/scaledobjects"
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": place, "spec": scaled}
    stage.kube.create(body, path=path)
    stage.until(lambda: stage.kube.get(f"{path}/serve")["spec"]["maxReplicaCount"] < 9, "it is adopted too")
    path = f"/apis/autoscaling.k8s.io/v1/namespaces/{stage.owner}/verticalpodautoscalers/serve"
    stage.until(lambda: stage.kube.exists(path), "a VPA is made")
    # A note of a rollout that nobody guards is taken off, as after a pause whose InferenceSLO is gone.
    stage.kube.patch(workload, {"metadata": {"annotations": {NOTE: "[]"}}})
    stage.until(lambda: NOTE not in stage.kube.get(workload)["metadata"]["annotations"], "the note is gone")
    for kind in ("Deployment", "StatefulSet"):
        _wake(stage, kind)


def create(stage: Stage) -> None:
    """It has an HPA made on the metric that the operator serves; that and the VPA are deleted again."""
    hpas = f"/apis/autoscaling/v2/namespaces/{stage.owner}/horizontalpodautoscalers"
    stage.kube.delete(f"/apis/keda.sh/v1alpha1/namespaces/{stage.owner}/scaledobjects/serve")
    _promise(stage, "Create")
    stage.until(lambda: stage.kube.exists(f"{hpas}/gpupool-serve"), "an HPA is made")
    _promise(stage, "Advise", "Advise")
    stage.until(lambda: not stage.kube.exists(f"{hpas}/gpupool-serve"), "it is deleted")
    vpas = f"/apis/autoscaling.k8s.io/v1/namespaces/{stage.owner}/verticalpodautoscalers"
    stage.until(lambda: not stage.kube.exists(f"{vpas}/serve"), "the VPA is deleted too")


def _promise(stage: Stage, hpa: str, vpa: str = "Create") -> None:
    promise = {"sli": "ttft", "threshold": "500ms", "percent": 99}
    stage.kube.apply(
        {
            "apiVersion": "gpupool.dev/v1alpha1",
            "kind": "InferenceSLO",
            "metadata": {"name": "serve", "namespace": stage.owner},
            "spec": {"targetRef": TARGET, "objectives": [promise], "scaling": {"hpa": hpa, "vpa": vpa}},
        }
    )


def _wake(stage: Stage, kind: str) -> None:
    """A workload that was let sleep, by an operator that is gone, wakes: nobody promises anything of it."""
    name, apps = f"sleeps-{kind.lower()}", f"/apis/apps/v1/namespaces/{stage.owner}/{kind.lower()}s"
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(1)}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    spec |= {"serviceName": name} if kind == "StatefulSet" else {}
    place = {"name": name, "namespace": stage.owner}
    stage.kube.apply({"apiVersion": "apps/v1", "kind": kind, "metadata": place, "spec": spec})
    stands = {"minReplicas": 1, "maxReplicas": 4}
    note = json.dumps({**stands, "written": stands, "asleep": 1})
    stage.kube.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": place | {"annotations": {"gpupool.dev/hpa-originals": note}},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}, **stands},
        }
    )
    stage.until(lambda: stage.kube.get(f"{apps}/{name}")["spec"]["replicas"] == 1, f"{name} wakes")


def mend(stage: Stage) -> None:
    """Hand-made changes are mended, also where an apply alone cannot do it."""
    kube, name = stage.kube, stage.story.name
    before = standing(kube, name)
    bindings = f"{ADMISSION}/validatingadmissionpolicybindings"
    found = kube.list(bindings, labels=f"gpupool.dev/pool={name}")
    for binding in found:
        # Deny and Warn do not go together: our apply beside this one is invalid.
        kube.patch(f"{bindings}/{binding['metadata']['name']}", {"spec": {"validationActions": ["Warn"]}})
    with kube.impersonating("keeper", BREAK_GLASS) as emergency:
        emergency.delete(f"/api/v1/namespaces/{stage.owner}/resourcequotas/gpupool")
    stage.until(lambda: standing(kube, name).keys() == before.keys(), "what was deleted is back")
    stage.until(lambda: _deny(kube, bindings, name), "the bindings deny again")


def _deny(kube: Kube, bindings: str, pool: str) -> bool:
    found = kube.list(bindings, labels=f"gpupool.dev/pool={pool}")
    return all(
        "Deny" in b["spec"]["validationActions"] or b["spec"]["validationActions"] == ["Warn", "Audit"]
        for b in found
    ) and any("Deny" in b["spec"]["validationActions"] for b in found)


def withdraw(stage: Stage) -> None:
    """Back in Observe nothing is left."""
    stage.story.pool("Observe", shares=[])
    stage.until(lambda: marks(stage.kube, stage.story.name) == [], "nothing of ours is left")


def uninstall(stage: Stage) -> None:
    """`helm uninstall` takes back what stands."""
    story = stage.story
    story.pool("Enforce", shares=[story.share(stage.owner, 4)])
    stage.until(story.enforced, "the pool is enforced again")
    release.uninstall(stage.cluster)
    if left := marks(stage.kube):
        raise AssertionError(f"left behind: {left}")


STEPS: dict[str, Callable[[Stage], None]] = {
    "start": start,
    "govern": govern,
    "recall": recall,
    "steer": steer,
    "create": create,
    "mend": mend,
    "withdraw": withdraw,
    "uninstall": uninstall,
}


def run(stage: Stage, *names: str) -> None:
    """Go through steps, all if none is named."""
    for name in names or STEPS:
        partial(STEPS[name], stage)()

"""One team with an endpoint, its HPA and its InferenceSLO: what the tests of steering act on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integration.slo.conftest import API
from localplane.kube import Kube
from support.engines import said
from support.gpupods import pod_spec
from support.plane import eventually
from support.story import Story

Json = dict[str, Any]
NOTE = "gpupool.dev/hpa-originals"
SECONDS = 90.0
QUIET = 6.0
"""Seconds in which the operator looks, and the HPA controller acts, several times."""


@dataclass
class Harbour:
    """One team with an endpoint, its HPA and its InferenceSLO, in a pool or without."""

    kube: Kube
    story: Story
    namespace: str
    pooled: bool = False

    def govern(self, mode: str = "Enforce", gpus: int = 8) -> None:
        """A pool around the namespace."""
        self.story.pool(mode, shares=[self.story.share(self.namespace, gpus)])
        self.pooled = True
        if mode == "Enforce":
            self.story.until_enforced()

    def deploy(
        self,
        replicas: int = 2,
        surge: Any = 1,
        unavailable: Any = 0,
        *,
        patience: int = 600,
        wait: bool = True,
        **engine: Any,
    ) -> None:
        """The endpoint, or a change of it."""
        labels = {"app": "chat"}
        spec = {**pod_spec(1), "terminationGracePeriodSeconds": 1}
        if not self.pooled:
            spec["nodeSelector"] = {"kubernetes.io/hostname": self.story.nodes[0]}
        annotations = said(**{"start_after": "1s", "load": 4, **engine})
        rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
        self.kube.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "chat", "namespace": self.namespace},
                "spec": {
                    "replicas": replicas,
                    "progressDeadlineSeconds": patience,
                    "selector": {"matchLabels": labels},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
                    "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
                },
            }
        )
        if wait:
            self.until(lambda: self.ready() == replicas, f"{replicas} replicas serve")

    def scale(self, low: int = 1, high: int = 5, **spec: Any) -> Json:
        """An HPA of its owner."""
        body = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "chat", "namespace": self.namespace, "labels": {"theirs": "yes"}},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
                "minReplicas": low,
                "maxReplicas": high,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 80},
                        },
                    }
                ],
                **spec,
            },
        }
        return self.kube.create(body)

    def promise(self, window: str = "10m", **scaling: Any) -> None:
        """The InferenceSLO, or a change of it."""
        self.kube.apply(
            {
                "apiVersion": "gpupool.dev/v1alpha1",
                "kind": "InferenceSLO",
                "metadata": {"name": "chat", "namespace": self.namespace},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
                    "objectives": [{"sli": "ttft", "threshold": "500ms", "percent": 99}],
                    "window": window,
                    "scaling": scaling,
                },
            }
        )

    # ------------------------------------------------------------------ what is seen

    def hpa(self) -> Json:
        """The HPA as it stands."""
        path = f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers/chat"
        return self.kube.get(path)

    def limits(self) -> tuple[int, int]:
        """Least and most replicas of the HPA."""
        spec = self.hpa()["spec"]
        return spec["minReplicas"], spec["maxReplicas"]

    def behavior(self, direction: str) -> Json:
        """How fast the HPA may go in a direction."""
        return dict(self.hpa()["spec"].get("behavior", {}).get(direction, {"selectPolicy": ""}))

    def write(self, **spec: Any) -> None:
        """Another manager writes the HPA's spec."""
        path = f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers/chat"
        self.kube.patch(path, {"spec": spec})

    def status(self) -> Json:
        """What is said of the endpoint."""
        return dict(self.kube.get(self.path).get("status", {}))

    def decision(self) -> Json:
        """What was decided."""
        return dict(self.status().get("decision", {}))

    def condition(self, type_: str) -> Json:
        """One condition."""
        return self.story.condition(type_, self.status())

    def reason(self) -> str:
        """Whether it is steered, or why not."""
        return str(self.condition("Steering").get("reason", ""))

    def pods(self) -> dict[str, str]:
        """Live pods: uid by name."""
        found = self.kube.list(f"/api/v1/namespaces/{self.namespace}/pods", labels="app=chat")
        return {
            p["metadata"]["name"]: p["metadata"]["uid"]
            for p in found
            if "deletionTimestamp" not in p["metadata"]
        }

    def deployment(self) -> Json:
        """The Deployment."""
        return self.kube.get(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/chat")

    def ready(self) -> int:
        """Replicas of the newest template that serve, when no other pod is left."""
        found = self.deployment()
        status = found.get("status", {})
        fresh = status.get("observedGeneration") == found["metadata"]["generation"]
        alone = status.get("replicas") == status.get("updatedReplicas") == status.get("readyReplicas")
        return int(status.get("readyReplicas", 0)) if fresh and alone else -1

    @property
    def path(self) -> str:
        """Of the InferenceSLO."""
        return f"{API}/namespaces/{self.namespace}/inferenceslos/chat"

    def until(self, ask: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
        """Wait; the status is told where it does not come."""

        def told() -> str:
            found = self.kube.find(self.path) or {}
            status = {k: v for k, v in found.get("status", {}).items() if k != "objectives"}
            return f"{what}: {status} {self.deployment().get('status')}"

        eventually(ask, told, seconds)

    def stays(self, ask: Callable[[], object]) -> None:
        """Nothing changes for a while."""
        before = ask()
        end = time.monotonic() + QUIET
        while time.monotonic() < end:
            assert ask() == before
            time.sleep(0.3)


def restored(harbour: Harbour, before: Json) -> None:
    """The HPA is byte for byte what its owner had, and nothing tells of us."""

    def clean() -> bool:
        meta = harbour.hpa()["metadata"]
        ours = [m for m in meta["managedFields"] if m["manager"] == "gpupool"]
        return NOTE not in meta.get("annotations", {}) and not ours

    eventually(clean, lambda: f"no trace is left: {harbour.hpa()['metadata']}", SECONDS)
    assert harbour.hpa()["spec"] == before["spec"]

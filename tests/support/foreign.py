"""The kinds of others, from their own CRDs, and KEDA's part played on them.

KEDA itself does not run here: what it would make of a ScaledObject (an HPA that it owns, with the
ScaledObject's annotations and limits) is written by `Keda` as KEDA 2.21 writes it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from localplane.foreigncrds import crds
from localplane.kube import Kube, KubeError
from support.plane import eventually

Json = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCALED = "/apis/keda.sh/v1alpha1"
HPAS = "/apis/autoscaling/v2"
UNSAID = {"minReplicaCount": 0, "maxReplicaCount": 100}


def serve(kube: Kube, name: str) -> None:
    """Have the API server serve the kinds of others."""
    for crd in crds(name):
        path = f"{DEFINITIONS}/{crd['metadata']['name']}"
        if not kube.exists(path):
            kube.create(crd, path=DEFINITIONS)
        group, names = crd["spec"]["group"], crd["spec"]["names"]
        version = next(v["name"] for v in crd["spec"]["versions"] if v["storage"])
        listed = f"/apis/{group}/{version}/{names['plural']}"
        eventually(partial(_lists, kube, listed), f"{listed} is served")


def _lists(kube: Kube, path: str) -> bool:
    try:
        return kube.exists(path)
    except KubeError as error:
        if error.status != 429:  # a new kind's storage is not ready yet
            raise
        return False


@dataclass
class Keda:
    """One ScaledObject `chat` of its owner, and the HPA that KEDA makes of it."""

    kube: Kube
    namespace: str

    @property
    def path(self) -> str:
        """Of the ScaledObject."""
        return f"{SCALED}/namespaces/{self.namespace}/scaledobjects/chat"

    @property
    def hpa_path(self) -> str:
        """Of the HPA."""
        return f"{HPAS}/namespaces/{self.namespace}/horizontalpodautoscalers/keda-hpa-chat"

    def own(self, annotations: Json | None = None, **spec: Any) -> Json:
        """Its owner makes it; KEDA makes the HPA, as soon as it may."""
        trigger = {
            "type": "prometheus",
            "metadata": {"query": "up", "threshold": "1", "serverAddress": "http://p"},
        }
        body = {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "chat", "namespace": self.namespace, "annotations": annotations or {}},
            "spec": {"scaleTargetRef": {"name": "chat"}, "triggers": [trigger], **spec},
        }
        self.kube.create(body, path=self.path.removesuffix("/chat"))
        found = self.get()
        self.reconcile()
        return found

    def get(self) -> Json:
        """The ScaledObject as it stands."""
        return self.kube.get(self.path)

    def hpa(self) -> Json:
        """The HPA as it stands."""
        return self.kube.get(self.hpa_path)

    def limits(self) -> tuple[int | None, int | None]:
        """Fewest and most replicas of the ScaledObject."""
        spec = self.get()["spec"]
        return spec.get("minReplicaCount"), spec.get("maxReplicaCount")

    def write(self, **spec: Any) -> None:
        """Another manager writes the ScaledObject's spec."""
        self.kube.patch(self.path, {"spec": spec})

    def annotate(self, **annotations: str | None) -> None:
        """Its owner annotates it: paused_replicas="3"."""
        said = {f"autoscaling.keda.sh/{k.replace('_', '-')}": v for k, v in annotations.items()}
        self.kube.patch(self.path, {"metadata": {"annotations": said}})

    def reconcile(self) -> None:
        """What KEDA does: the HPA follows the ScaledObject, its annotations included."""
        found = self.get()
        meta, spec = found["metadata"], {**UNSAID, **found["spec"]}
        config = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
        owner = {"apiVersion": found["apiVersion"], "kind": found["kind"], "name": "chat", "uid": meta["uid"]}
        self.kube.apply(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {
                    "name": "keda-hpa-chat",
                    "namespace": self.namespace,
                    "annotations": meta.get("annotations", {}),
                    "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
                },
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
                    "minReplicas": max(1, spec["minReplicaCount"]),
                    "maxReplicas": spec["maxReplicaCount"],
                    "metrics": [
                        {
                            "type": "External",
                            "external": {
                                "metric": {"name": "s0-prometheus"},
                                "target": {"type": "AverageValue", "averageValue": "1"},
                            },
                        }
                    ],
                    **({"behavior": config["behavior"]} if "behavior" in config else {}),
                },
            }
        )

"""What the tests of created HPAs look at: our HPA, its metric, and the APIService it comes by."""

import base64
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from integration.steering.harbour import Harbour
from localplane.cluster import Cluster
from localplane.kube import KubeError
from localplane.runner.settings import NAMESPACE

Json = dict[str, Any]
METRIC = "gpupool_required_replicas"
GROUP = "/apis/external.metrics.k8s.io/v1beta1"
API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io"
SLICE = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/gpupool-external-metrics-ipv4"
HOST = f"gpupool-external-metrics.{NAMESPACE}.svc"


@dataclass
class Quay:
    """One endpoint whose HPA is made, or whose owner makes one on our metric."""

    harbour: Harbour
    plane: Cluster

    @property
    def path(self) -> str:
        """Of the HPA that we make."""
        return self.path_of("gpupool-chat")

    def path_of(self, name: str) -> str:
        """Of an HPA of the endpoint's namespace."""
        return f"/apis/autoscaling/v2/namespaces/{self.harbour.namespace}/horizontalpodautoscalers/{name}"

    def made(self) -> Json:
        """The HPA that we make, empty where there is none."""
        return self.harbour.kube.find(self.path) or {}

    def limits(self) -> tuple[int, int]:
        """Its least and most replicas; zeros where there is none."""
        spec = self.made().get("spec", {})
        return spec.get("minReplicas", 0), spec.get("maxReplicas", 0)

    def active(self, name: str = "gpupool-chat") -> tuple[str, str]:
        """Whether an HPA can work its metric out, as the HPA controller says it, and why not."""
        found = self.harbour.kube.find(self.path_of(name)) or {}
        row = self.harbour.story.condition("ScalingActive", found.get("status", {}))
        return str(row.get("status", "")), str(row.get("reason", ""))

    def value(self) -> int | None:
        """The metric's value by way of the API server; None where it is an error."""
        path = f"{GROUP}/namespaces/{self.harbour.namespace}/{METRIC}"
        selector = f"namespace={self.harbour.namespace},slo=chat"
        try:
            (item,) = self.harbour.kube.get(path, labelSelector=selector)["items"]
        except KubeError:
            return None
        return int(item["value"])

    def wanted(self) -> int:
        """Replicas that the workload is to have."""
        return int(self.harbour.deployment()["spec"]["replicas"])

    def available(self) -> bool:
        """Whether the API server says that the API behind the APIService answers."""
        found = self.harbour.kube.find(API_SERVICE) or {}
        row = self.harbour.story.condition("Available", found.get("status", {}))
        return bool(row.get("status") == "True")

    def looked_at(self) -> None:
        """Have the API server look now; without a change it does twice a minute."""
        self.harbour.kube.patch(API_SERVICE, {"metadata": {"annotations": {"test.example/look": "now"}}})

    def on_our_metric(self, high: int = 5) -> None:
        """An HPA of its owner's on our metric, which lets replicas go at once."""
        external = {
            "metric": {"name": METRIC, "selector": {"matchLabels": {"slo": "chat"}}},
            "target": {"type": "AverageValue", "averageValue": "1"},
        }
        self.harbour.scale(
            high=high,
            metrics=[{"type": "External", "external": external}],
            behavior={"scaleDown": {"stabilizationWindowSeconds": 0}},
        )

    def serves(self, client: str) -> bool:
        """Whether such a client is answered; not while the bundle is another leader's still."""
        try:
            return self.direct(client) == HTTPStatus.OK
        except httpx.ConnectError:
            return False

    def direct(self, client: str) -> int:
        """The status of an answer to a client that comes past the API server, with such a certificate."""
        kube = self.harbour.kube
        bundle = base64.b64decode(kube.get(API_SERVICE)["spec"]["caBundle"]).decode()
        found = kube.get(SLICE)
        address, port = found["endpoints"][0]["addresses"][0], found["ports"][0]["port"]
        trust = ssl.create_default_context(cadata=bundle)
        if client:
            certs = self.plane.layout.private / "certs"
            trust.load_cert_chain(certs / f"{client}.crt", certs / f"{client}.key")
        with httpx.Client(verify=trust, trust_env=False) as asking:
            named = {"sni_hostname": HOST}
            return asking.get(f"https://{address}:{port}{GROUP}", extensions=named).status_code

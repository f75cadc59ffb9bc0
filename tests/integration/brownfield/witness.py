"""An independent witness: what stands in a cluster, and what the API server refused to whom."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from chart.living import kubectl
from localplane.state import Options

if TYPE_CHECKING:
    from pathlib import Path

    from localplane.cluster import Cluster

Json = dict[str, Any]
MOVING = {
    *("events", "events.events.k8s.io", "pods", "replicasets.apps", "controllerrevisions.apps"),
    *("endpoints", "endpointslices.discovery.k8s.io", "leases.coordination.k8s.io"),
    *("apiservices.apiregistration.k8s.io", "componentstatuses", "ipaddresses.networking.k8s.io"),
    *("podmetrics.metrics.k8s.io", "nodemetrics.metrics.k8s.io"),
}
"""Kinds that the control plane makes and unmakes by itself."""
COUNTED = ("deployment.kubernetes.io/revision",)
"""Annotations that count rounds of the day."""
GROUPS = ("", "apps", "batch", "autoscaling", "policy")
"""What workloads are made of. A controller that checks policies may meet one that was deleted meanwhile."""
ENDING = "because it is being terminated"
"""What Kubernetes itself says to a controller that looks after a namespace on its way out."""
CONTROLLERS = (
    "system:serviceaccount:kube-system:",
    "system:kube-controller-manager",
    "system:kube-scheduler",
)


@dataclass(frozen=True)
class Audit:
    """The API server's own record of every write."""

    policy: Path
    log: Path

    @classmethod
    def under(cls, folder: Path) -> Audit:
        """Files for it."""
        rules = [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
            {"level": "Metadata", "omitStages": ["RequestReceived"]},
        ]
        policy = folder / "audit-policy.yaml"
        body = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
        policy.write_text(yaml.safe_dump(body))
        return cls(policy, folder / "audit.log")

    def options(self) -> Options:
        """Of a cluster that keeps it."""
        flags = (f"--audit-policy-file={self.policy}", f"--audit-log-path={self.log}")
        return Options(apiserver_args=flags)

    def denied(self) -> list[str]:
        """Writes that controllers were denied."""
        return [
            f"{e['verb']} {e['requestURI']} by {e['user']['username']}: {e['responseStatus'].get('message')}"
            for e in self._entries()
            if e["user"]["username"].startswith(CONTROLLERS)
            and e.get("objectRef", {}).get("apiGroup", "") in GROUPS
            and e.get("responseStatus", {}).get("code") in {403, 422}
            and ENDING not in e["responseStatus"].get("message", "")
        ]

    def evictions(self) -> list[str]:
        """Evictions that anybody asked for, dry runs apart."""
        return [
            e["requestURI"]
            for e in self._entries()
            if e.get("objectRef", {}).get("subresource") == "eviction" and "dryRun" not in e["requestURI"]
        ]

    def _entries(self) -> list[Json]:
        # The last line may still be being written.
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def standing(cluster: Cluster) -> dict[str, Json]:
    """Every object of the cluster by kind, namespace and name: metadata and what is asked, not status."""
    kinds = kubectl(cluster, "api-resources", "--verbs=list", "-o", "name").split()
    listed = ",".join(k for k in kinds if k not in MOVING)
    found = json.loads(kubectl(cluster, "get", listed, "-A", "-o", "json", "--ignore-not-found"))
    return {_name(o): _still(o) for o in found["items"]}


def _name(obj: Json) -> str:
    meta = obj["metadata"]
    return f"{obj['kind']} {meta.get('namespace', '')}/{meta['name']}"


def _still(obj: Json) -> Json:
    meta = obj["metadata"]
    kept = {k: meta[k] for k in ("uid", "labels", "finalizers", "ownerReferences") if meta.get(k)}
    kept["annotations"] = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in COUNTED}
    rest = {k: v for k, v in obj.items() if k not in {"metadata", "status", "apiVersion", "kind"}}
    return {"metadata": kept, **rest}

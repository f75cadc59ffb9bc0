"""Small words of the isolation tests: make a pod, ask for it, wait, see what came of it."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

from localplane.kube import Kube, KubeError
from localplane.processes import wait_until
from localplane.resources import collection_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]

GPU = "nvidia.com/gpu"
BREAK_GLASS = "gpupool:break-glass"
OPERATOR = "system:serviceaccount:gpupool-system:gpupool"
PROBE_NAMESPACE = "gpupool-probe"
LIMIT = 90.0
_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """A name no other test of this machine uses."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


def refusal(attempt: Callable[[], object]) -> KubeError:
    """The error the API server answers; fails the test if it answers success."""
    try:
        made = attempt()
    except KubeError as error:
        return error
    raise AssertionError(f"the API server accepted it: {made}")


def pod(name: str, gpus: int = 0, *, resource: str = GPU, **spec: Any) -> Json:
    """A pod that asks for GPUs as most people write it: limits alone."""
    resources = {"limits": {resource: str(gpus)}} if gpus else {}
    container = {"name": "main", "image": "example.invalid/work", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


def create(client: Kube, namespace: str, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Json:
    """Create a namespaced object."""
    placed = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
    return client.create(placed, dry_run=dry_run)


def warnings(client: Kube, namespace: str, manifest: Mapping[str, Any]) -> list[str]:
    """Create an object as a dry run and return the API server's warnings.

    Raises:
        AssertionError: It was refused.
    """
    path = collection_path(manifest["apiVersion"], manifest["kind"], namespace)
    answer = client._http.post(path, json=manifest, params={"dryRun": "All"})
    assert answer.is_success, answer.text
    return answer.headers.get_list("Warning")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = LIMIT) -> None:
    """Poll until the condition holds; fail the test naming what did not happen."""
    assert wait_until(condition, seconds), f"waited {seconds:g} s in vain for {what}"


def phase(kube: Kube, namespace: str, name: str) -> str:
    """The pod's phase, or '' if it does not exist."""
    found = kube.find(f"/api/v1/namespaces/{namespace}/pods/{name}")
    return "" if found is None else str(found.get("status", {}).get("phase", ""))


def runs_on(kube: Kube, namespace: str, labels: str = "") -> list[str]:
    """Nodes of the namespace's Running pods."""
    pods = kube.list(f"/api/v1/namespaces/{namespace}/pods", labels=labels)
    return [p["spec"]["nodeName"] for p in pods if p.get("status", {}).get("phase") == "Running"]

"""Builders of GPU pods and Jobs, with what they shall do on fake nodes."""

from typing import Any

START_AFTER = "fake.gpupool.dev/start-after"
RUN_FOR = "fake.gpupool.dev/run-for"
STATE = "fake.gpupool.dev/state"
TERMINATE_AFTER = "fake.gpupool.dev/terminate-after"
USE = "fake.gpupool.dev/gpu-utilization"


def pod_spec(gpus: int = 1, *, resource: str = "nvidia.com/gpu", **extra: Any) -> dict[str, Any]:
    """A pod spec with one container `main` that asks for GPUs."""
    limits = {resource: str(gpus)} if gpus else {}
    return {"containers": [{"name": "main", "image": "work", "resources": {"limits": limits}}], **extra}


def gpu_pod(
    namespace: str, name: str, gpus: int = 1, *, annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A bare pod; `spec` holds further fields of its spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
        "spec": pod_spec(gpus, **spec),
    }


def gpu_job(
    namespace: str,
    name: str,
    pods: int,
    *,
    annotations: dict[str, str] | None = None,
    gpus: int = 1,
    **spec: Any,
) -> dict[str, Any]:
    """A Job of so many pods at once."""
    template = {
        "metadata": {"annotations": annotations or {}},
        "spec": pod_spec(gpus, restartPolicy="Never", **spec),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parallelism": pods, "completions": pods, "template": template},
    }


def live_pod(
    name: str,
    *,
    node: str = "gpu-1",
    gpus: int = 1,
    use: str | None = None,
    phase: str = "Running",
    started: str | None = "2026-01-01T00:00:00Z",
) -> dict[str, Any]:
    """A bound pod as the API server shows it; `started` None has no running container."""
    pod = gpu_pod("team", name, gpus, annotations={} if use is None else {USE: use}, nodeName=node)
    pod["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"}
    state = {"running": {"startedAt": started}} if started else {"waiting": {"reason": "ImagePullBackOff"}}
    pod["status"] = {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}
    return pod

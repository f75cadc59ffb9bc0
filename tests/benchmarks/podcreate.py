"""How long the API server takes to create a pod, with and without our policies in its way.

Three namespaces take turns, pod by pod: one of a pool under Enforce (validating and mutating policies and our
quota), one with a plain ResourceQuota on GPUs, one with nothing. Pods are gated, so that no scheduler
disturbs, and deleted between the measured creates.
"""

import time
from typing import Final

from benchmarks.results import Figure
from benchmarks.rig import percentile
from benchmarks.things import pod
from localplane.kube import Kube

ROUNDS: Final = 150
WARM_UP: Final = 15
GPU, CPU = 1, 0


def pod_create(kube: Kube, governed: str, quota_only: str, plain: str) -> list[Figure]:
    """Measure GPU pods and CPU pods.

    Args:
        kube: an admin connection.
        governed: a namespace of a pool under Enforce.
        quota_only: a namespace with a ResourceQuota that is not ours.
        plain: a namespace with nothing.
    """
    _quota(kube, quota_only)
    cases = [(where, gpus) for gpus in (GPU, CPU) for where in (governed, quota_only, plain)]
    took: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for number in range(WARM_UP + ROUNDS):
        for case in cases:
            seconds = _create(kube, *case, number)
            if number >= WARM_UP:
                took[case].append(1000 * seconds)
    figures = []
    for gpus, kind in ((GPU, "GPU pod"), (CPU, "CPU pod")):
        for percent in (50, 95):
            ours = percentile(took[governed, gpus], percent)
            for other, name in ((plain, "namespace without policies"), (quota_only, "and a plain quota")):
                beside = percentile(took[other, gpus], percent)
                figures.append(Figure("pod create", f"{kind}, p{percent}", ours, "ms", beside, name))
    return figures


def _create(kube: Kube, namespace: str, gpus: int, number: int) -> float:
    body = pod(namespace, f"latency-{gpus}-{number}", gpus, gated=True)
    began = time.perf_counter()
    kube.create(body)
    seconds = time.perf_counter() - began
    kube.delete(f"/api/v1/namespaces/{namespace}/pods/{body['metadata']['name']}", grace_seconds=0)
    return seconds


def _quota(kube: Kube, namespace: str) -> None:
    hard = {"requests.nvidia.com/gpu": "400"}
    metadata = {"name": "plain", "namespace": namespace}
    kube.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}})

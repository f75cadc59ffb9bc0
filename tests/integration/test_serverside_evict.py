"""Ending pods on the real API server: budgets hold evictions, a delete passes them, namesakes are spared."""

from collections.abc import Callable

import pytest

from gpupool.applier.evict import AlreadyGone, BlockedByBudget, Evicted, delete_pod, evict
from gpupool.kube.client import KubeClient
from localplane.kube import Kube
from support.polling import eventually
from support.writing import writer_of

OTHER_UID = "00000000-0000-0000-0000-000000000000"


def running_pod(kube: Kube, namespace: str, name: str = "worker") -> str:
    """Make a pod that counts as running (nobody has to run it), and give its uid.

    Budgets do not hold pods that are still Pending, so its status says Running and Ready.
    """
    made = kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name, "labels": {"app": "worker"}},
            "spec": {
                "schedulerName": "nobody",
                "containers": [{"name": "c", "image": "example.invalid/none"}],
            },
        }
    )
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    kube.patch(f"{pod_path(namespace, name)}/status", {"status": ready})
    return str(made["metadata"]["uid"])


def pod_path(namespace: str, name: str = "worker") -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


async def holding_budget(kube: Kube, namespace: str) -> None:
    """A budget that lets no pod of `app: worker` go, judged by its controller."""
    kube.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"namespace": namespace, "name": "hold"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "worker"}}},
        }
    )
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/hold"
    await eventually(
        lambda: kube.get(path).get("status", {}).get("currentHealthy") == 1, what="the budget's status"
    )


async def test_a_pod_without_a_budget_is_evicted(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("evict")
    uid = running_pod(kube, home)
    writer, _ = writer_of(client)
    assert await evict(writer, home, "worker", uid, epoch=1) == Evicted()
    await eventually(lambda: not kube.exists(pod_path(home)))


async def test_a_budget_holds_an_eviction_and_a_delete_passes_it(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("evict")
    uid = running_pod(kube, home)
    await holding_budget(kube, home)
    writer, _ = writer_of(client, within=30)
    held = await evict(writer, home, "worker", uid, epoch=1)
    assert isinstance(held, BlockedByBudget)
    assert held.retry_after > 0
    assert "hold" in held.message
    assert client.transport.answers["POST", 429] == 1, "a budget's refusal is an answer, not worth a retry"
    assert kube.exists(pod_path(home))
    assert await delete_pod(writer, home, "worker", uid, epoch=1) == Evicted()
    await eventually(lambda: not kube.exists(pod_path(home)))


@pytest.mark.parametrize("end", [evict, delete_pod])
async def test_a_pod_that_is_gone_is_an_answer(
    client: KubeClient, namespace: Callable[..., str], end: Callable[..., object]
) -> None:
    home = namespace("evict")
    writer, _ = writer_of(client)
    assert await end(writer, home, "worker", OTHER_UID, epoch=1) == AlreadyGone()  # type: ignore[misc]


@pytest.mark.parametrize("end", [evict, delete_pod])
async def test_a_namesake_is_spared(
    kube: Kube, client: KubeClient, namespace: Callable[..., str], end: Callable[..., object]
) -> None:
    home = namespace("evict")
    running_pod(kube, home)
    writer, _ = writer_of(client)
    assert await end(writer, home, "worker", OTHER_UID, epoch=1) == AlreadyGone()  # type: ignore[misc]
    assert "deletionTimestamp" not in kube.get(pod_path(home))["metadata"]

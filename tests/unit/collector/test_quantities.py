"""GPUs of quantities and of pods, as the scheduler and ResourceQuota count them."""

from typing import Any

import pytest

from gpupool.collector.quantities import count_of, extended, pod_gpus

GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("8", 8),
        (8, 8),
        ("0", 0),
        ("2k", 2000),  # how the API server writes back a quota of 2000
        ("1500", 1500),
        ("1500m", 1),
        ("1.5k", 1500),
        ("2e3", 2000),
        ("1Ki", 1024),
        ("0.5Ki", 512),
        ("1M", 10**6),
        ("3E", 3 * 10**18),
        ("", 0),
        ("-1", 0),
        ("many", 0),
        ("1kk", 0),
        (None, 0),
    ],
)
def test_a_quantity_is_read_in_every_form_the_api_server_writes(text: Any, count: int) -> None:
    assert count_of(text) == count


def test_only_extended_resources_count_and_only_where_there_are_some() -> None:
    found = extended(
        {
            "cpu": "8",
            "memory": "1Gi",
            "hugepages-2Mi": "1",
            "example.kubernetes.io/thing": "4",
            GPU: "8",
            MIG: "0",
            "rdma/hca": "1k",
        }
    )
    assert found == {GPU: 8, "rdma/hca": 1000}


def container(*, sidecar: bool = False, **gpus: int) -> dict[str, Any]:
    """A container that asks for GPUs under `requests` or `limits`."""
    found: dict[str, Any] = {
        "resources": {part: {GPU: str(count), "cpu": "1"} for part, count in gpus.items()}
    }
    return found | ({"restartPolicy": "Always"} if sidecar else {})


@pytest.mark.parametrize(
    ("containers", "inits", "gpus"),
    [
        ([container(limits=2)], [], 2),
        ([container(limits=2, requests=2)], [], 2),
        ([container(requests=2)], [], 2),
        ([container(limits=2), container(limits=1)], [], 3),
        ([container()], [], 0),
        # An init container runs before the others: the larger of both counts.
        ([container(limits=2)], [container(limits=4)], 4),
        ([container(limits=2)], [container(limits=1), container(limits=1)], 2),
        ([container()], [container(limits=1), container(limits=3)], 3),
        # A sidecar stays: it counts beside the containers, and beside the init containers after it.
        ([container(limits=2)], [container(limits=1, sidecar=True)], 3),
        ([container(limits=2)], [container(limits=1, sidecar=True), container(limits=4)], 5),
        ([container(limits=2)], [container(limits=4), container(limits=1, sidecar=True)], 4),
        ([container(limits=2)], [container(limits=1, sidecar=True), container(limits=1, sidecar=True)], 4),
        ([], [container(limits=1, sidecar=True)], 1),
    ],
)
def test_containers_init_containers_and_sidecars_add_up_as_the_scheduler_counts(
    containers: list[dict[str, Any]], inits: list[dict[str, Any]], gpus: int
) -> None:
    found = pod_gpus({"containers": containers, "initContainers": inits})
    assert found == ({GPU: gpus} if gpus else {})


def test_resources_are_counted_apart() -> None:
    spec = {
        "containers": [{"resources": {"limits": {GPU: "1", MIG: "2"}}}],
        "initContainers": [{"resources": {"limits": {MIG: "3"}}}],
    }
    assert pod_gpus(spec) == {GPU: 1, MIG: 3}


def test_a_pod_without_resources_asks_for_nothing() -> None:
    assert pod_gpus({"containers": [{"name": "main"}]}) == {}
    assert pod_gpus({}) == {}

"""Manifests of fake nodes, and the arguments of `make nodes`."""

import re

import pytest

from localplane.gpumodels import MODELS, UnknownModelError
from localplane.nodes import GROUP, NodesError, default_nodes, node_manifest, parse_labels
from localplane.nodetable import table

LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def test_an_h100_node_says_what_gpu_feature_discovery_would() -> None:
    labels = node_manifest("gpu-1", 8, "NVIDIA-H100-80GB-HBM3", {"team": "vision"})["metadata"]["labels"]
    expected = {
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.count": "8",
        "nvidia.com/gpu.memory": "81559",
        "nvidia.com/gpu.family": "hopper",
        "nvidia.com/gpu.machine": "p5.48xlarge",
        "nvidia.com/gpu.compute.major": "9",
        "nvidia.com/gpu.compute.minor": "0",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.mode": "compute",
        "nvidia.com/mig.capable": "true",
        "kubernetes.io/hostname": "gpu-1",
        "node.kubernetes.io/instance-type": "p5.48xlarge",
        "team": "vision",
    }
    assert labels | expected == labels


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("gpus", [1, 4, 8])
def test_every_model_makes_a_valid_node_with_its_own_resource(model: str, gpus: int) -> None:
    node = node_manifest("n", gpus, model)
    assert node["status"]["allocatable"][MODELS[model].resource] == str(gpus)
    assert node["status"]["capacity"] == node["status"]["allocatable"]
    assert {"cpu", "memory", "pods", "ephemeral-storage"} <= node["status"]["allocatable"].keys()
    assert all(LABEL_VALUE.fullmatch(value) for value in node["metadata"]["labels"].values())
    assert node["spec"]["providerID"] == "kwok://n"
    assert node["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}


def test_an_amd_node_carries_no_nvidia_label() -> None:
    labels = node_manifest("n", 8, "AMD-Instinct-MI300X")["metadata"]["labels"]
    assert not [key for key in labels if key.startswith("nvidia.com/")]
    assert labels["amd.com/gpu.product-name"] == "AMD_Instinct_MI300X_OAM"


def test_a_cpu_node_has_no_gpu_label_and_no_gpu() -> None:
    node = node_manifest("n", 0)
    assert not [key for key in node["metadata"]["labels"] if "nvidia" in key or "amd.com" in key]
    assert node["status"]["allocatable"].keys() == {"cpu", "memory", "pods", "ephemeral-storage"}


def test_a_mig_resource_can_stand_in_for_whole_gpus() -> None:
    amounts = node_manifest("n", 7, resource="nvidia.com/mig-1g.10gb")["status"]["allocatable"]
    assert amounts["nvidia.com/mig-1g.10gb"] == "7"
    assert "nvidia.com/gpu" not in amounts


def test_an_unmanaged_node_is_written_ready_and_kwok_leaves_it_alone() -> None:
    node = node_manifest("n", 8, managed=False)
    assert node["metadata"]["annotations"] == {}
    assert [(c["type"], c["status"]) for c in node["status"]["conditions"]] == [("Ready", "True")]


def test_a_models_name_may_be_spelt_with_spaces_and_any_case() -> None:
    assert (
        node_manifest("n", 1, "nvidia l40s")["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-L40S"
    )


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'H900' is not a known GPU model; use one of NVIDIA-H100"):
        node_manifest("n", 8, "H900")


def test_the_default_cluster_has_one_model_per_group_and_two_cpu_nodes() -> None:
    nodes = default_nodes()
    groups: dict[str, set[str]] = {}
    for node in nodes:
        labels = node["metadata"]["labels"]
        groups.setdefault(labels.get(GROUP, ""), set()).add(labels.get("nvidia.com/gpu.product", ""))
    assert groups.keys() == {"research", "lab", "production", ""}
    assert all(len(products) == 1 for products in groups.values())
    lab = [node for node in nodes if node["metadata"]["labels"].get(GROUP) == "lab"]
    assert sum(int(node["status"]["allocatable"]["nvidia.com/gpu"]) for node in lab) == 64
    assert len([node for node in nodes if "nvidia.com/gpu" not in node["status"]["allocatable"]]) == 2


def test_labels_are_read_as_pairs() -> None:
    assert parse_labels("a=b, example.com/gpu-group=lab,empty=") == {
        "a": "b",
        "example.com/gpu-group": "lab",
        "empty": "",
    }
    assert parse_labels("") == {}


@pytest.mark.parametrize("text", ["a", "=b", "a=b c", "-a=b", "a=b,c/d/e=f", "a=" + "x" * 64])
def test_a_bad_label_is_named_with_the_fix(text: str) -> None:
    with pytest.raises(NodesError, match=r"labels: .* is not key=value .* write example\.com/gpu-group=lab"):
        parse_labels(text)


def test_the_table_shows_state_gpus_product_and_given_labels() -> None:
    node = node_manifest("gpu-1", 8, labels={GROUP: "lab"}, managed=False)
    node["spec"]["unschedulable"] = True
    assert table([node, node_manifest("cpu-1", 0)]).splitlines() == [
        "NODE   STATUS          GPUS  PRODUCT                LABELS",
        "gpu-1  Ready,cordoned  8     NVIDIA-H100-80GB-HBM3  example.com/gpu-group=lab",
        "cpu-1  NotReady        -     -",
    ]

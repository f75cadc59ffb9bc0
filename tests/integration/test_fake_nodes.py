"""Fake nodes on the real control plane."""

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localplane.cluster import Cluster
from localplane.gpumodels import MODELS
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, main, node_manifest
from localplane.processes import wait_until
from support.gpupods import gpu_pod

LIMIT = 30.0
MANIFEST = """
apiVersion: v1
kind: Node
metadata: {name: %s, labels: {rack: r1}, annotations: {kwok.x-k8s.io/node: fake}}
status: {allocatable: {nvidia.com/gpu: 8}}
"""


@pytest.fixture
def names(kube: Kube) -> Iterator[Callable[[str], str]]:
    """Makes node names of this test alone; the nodes are deleted afterwards."""
    made: list[str] = []

    def name(prefix: str) -> str:
        made.append(f"{prefix}-{os.getpid()}")
        return made[-1]

    yield name
    for node in made:
        kube.delete(f"{NODES}/{node}")


@pytest.fixture
def kubectl(plane: Cluster) -> Callable[..., str]:
    """Runs kubectl as the admin and returns what it prints."""

    def run(*argv: str, stdin: str = "") -> str:
        command = [str(plane.program("kubectl")), "--kubeconfig", str(plane.kubeconfig), *argv]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def condition(kube: Kube, node: str, kind: str = "Ready") -> str | None:
    found: list[Any] = kube.get(f"{NODES}/{node}")["status"].get("conditions", [])
    return next((entry["status"] for entry in found if entry["type"] == kind), None)


def becomes(kube: Kube, node: str, ready: str) -> bool:
    return wait_until(lambda: condition(kube, node) == ready, LIMIT)


def test_every_model_becomes_ready_with_truthful_labels(kube: Kube, names: Callable[[str], str]) -> None:
    nodes = {names(model.lower()): model for model in MODELS}
    assert create_nodes(kube, [node_manifest(name, 4, model) for name, model in nodes.items()]) == len(MODELS)
    for name, model in nodes.items():
        assert becomes(kube, name, "True"), name
        node = kube.get(f"{NODES}/{name}")
        labels = node["metadata"]["labels"]
        assert node["status"]["allocatable"][MODELS[model].resource] == "4"
        assert labels | node_manifest(name, 4, model)["metadata"]["labels"] == labels
    assert wait_until(
        lambda: not any(kube.get(f"{NODES}/{name}")["spec"].get("taints") for name in nodes), LIMIT
    )


def test_creating_the_same_nodes_again_changes_nothing(kube: Kube, names: Callable[[str], str]) -> None:
    manifests = [node_manifest(names("again"), 8)]
    assert create_nodes(kube, manifests) == 1
    assert create_nodes(kube, manifests) == 0


def test_make_nodes_adds_cordons_and_removes(
    plane: Cluster, kube: Kube, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*argv: str) -> tuple[int, str]:
        code = main(argv, plane.kubeconfig)
        return code, "".join(capsys.readouterr())

    code, text = run(
        "--add", "2", "--gpus", "4", "--model", "NVIDIA-L40S", "--labels", "test=add-cordon-remove"
    )
    found = kube.list(NODES, labels="test=add-cordon-remove")
    added = sorted(node["metadata"]["name"] for node in found)
    assert code == 0
    assert f"added {', '.join(added)}" in text
    assert [node["status"]["allocatable"]["nvidia.com/gpu"] for node in found] == ["4", "4"]
    code, text = run("--cordon", added[0])
    assert code == 0
    assert f"kubectl uncordon {added[0]}" in text
    assert kube.get(f"{NODES}/{added[0]}")["spec"]["unschedulable"] is True
    for name in added:
        assert run("--remove", name)[0] == 0
    assert kube.list(NODES, labels="test=add-cordon-remove") == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--add", "1", "--model", "H900"], "'H900' is not a known GPU model"),
        (["--add", "1", "--labels", "x"], "'x' is not key=value"),
        (["--add", "1", "--gpus", "99"], "99 is not between 0 and 64"),
        (["--remove", "no-such-node"], "'no-such-node' does not exist"),
        (["--cordon", "no-such-node"], "'no-such-node' does not exist"),
    ],
)
def test_make_nodes_refuses_what_cannot_be(
    plane: Cluster, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert main(argv, plane.kubeconfig) == 1
    assert said in capsys.readouterr().err


def test_a_node_and_a_pod_of_plain_kubectl_work_like_our_own(
    kube: Kube,
    namespace: Callable[..., str],
    names: Callable[[str], str],
    kubectl: Callable[..., str],
) -> None:
    node, team = names("plain"), namespace("plain")
    kubectl("apply", "-f", "-", stdin=MANIFEST % node)
    assert becomes(kube, node, "True")
    status = kube.get(f"{NODES}/{node}")["status"]
    assert status["allocatable"] == status["capacity"]
    assert status["allocatable"]["nvidia.com/gpu"] == "8"
    assert {"cpu", "memory", "pods"} <= status["allocatable"].keys()
    kube.create(gpu_pod(team, "work", 8, nodeSelector={"rack": "r1"}))
    kubectl("wait", "-n", team, "pod/work", "--for=condition=Ready", "--timeout=30s")
    assert kube.get(f"/api/v1/namespaces/{team}/pods/work")["spec"]["nodeName"] == node


def test_a_node_annotated_not_ready_is_not_ready_until_the_annotation_goes(
    kube: Kube, names: Callable[[str], str]
) -> None:
    node = names("unready")
    create_nodes(kube, [node_manifest(node, 8)])
    assert becomes(kube, node, "True")
    for value, ready in (("false", "False"), (None, "True")):
        kube.patch(f"{NODES}/{node}", {"metadata": {"annotations": {"fake.gpupool.dev/ready": value}}})
        assert becomes(kube, node, ready)


def test_unmanaged_nodes_are_ready_from_the_first_moment(kube: Kube, names: Callable[[str], str]) -> None:
    node = names("unmanaged")
    create_nodes(kube, [node_manifest(node, 8, managed=False)])
    assert condition(kube, node) == "True"
    assert kube.get(f"{NODES}/{node}")["status"]["capacity"]["nvidia.com/gpu"] == "8"

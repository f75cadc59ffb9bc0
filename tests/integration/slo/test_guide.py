"""The guides' manifests, applied one after the other as they stand: the operator decides of each."""

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from integration.slo.conftest import API
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.engines import said
from support.faultstory import variant
from support.foreign import serve
from support.gpupods import pod_spec
from support.guides import Block, manifests
from support.plane import eventually

Json = dict[str, Any]
SECONDS = 90.0
POOL = f"{API}/gpupools/serving"
HOME = "/namespaces/chat-prod"
SPACES = ("chat-prod", "search-prod")
GROUP = {"example.com/gpu-group": "serving"}
OWNER = [block for block in manifests() if block.page == "inference-owner"]
PLATFORM = [block for block in manifests() if block.page == "platform-team"]
KINDS = {"InferenceSLO": "inferenceslos", "CapacityRequest": "capacityrequests"}


@pytest.fixture(scope="module")
def serving(plane: Cluster) -> Iterator[Kube]:
    """What the guides take for granted: the nodes, the namespaces, the workloads, the kinds of others."""
    names = [f"guide-{os.getpid()}-{number}" for number in range(8)]
    with plane.kube() as kube:
        for name in ("keda", "vpa", "podmonitor"):
            serve(kube, name)
        create_nodes(kube, [node_manifest(name, 8, labels=GROUP) for name in names])
        for space in SPACES:
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
        for name in ("chat", "search", "embed", "draft"):
            kube.apply(deployment(name))
        yield kube
        for path in (POOL, *(f"/api/v1/namespaces/{space}" for space in SPACES)):
            kube.delete(path)
        for name in names:
            kube.delete(f"{NODES}/{name}")


def deployment(name: str) -> Json:
    """A workload of the owner's: two replicas of an engine."""
    labels = {"app": name, "example.com/engine": "vllm"}
    spec = pod_spec(1, nodeSelector=GROUP, terminationGracePeriodSeconds=1)
    annotations = said(start_after="1s", load=8)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "chat-prod"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }


def apply(plane: Cluster, block: Block) -> None:
    """As people do it."""
    kubectl = [str(plane.program("kubectl")), "--kubeconfig", str(plane.kubeconfig)]
    command = [*kubectl, "apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"]
    done = subprocess.run(command, input=block.text, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def look(kube: Kube, found: Json) -> Json:
    """An object of ours as it stands."""
    at = found["metadata"]
    return kube.get(f"{API}/namespaces/{at['namespace']}/{KINDS[found['kind']]}/{at['name']}")


def decided(kube: Kube, found: Json) -> str:
    """What the operator says of the object as it stands now; empty while it has not looked."""
    seen = look(kube, found)
    status = seen.get("status", {})
    if status.get("observedGeneration") != seen["metadata"]["generation"]:
        return ""
    if found["kind"] == "CapacityRequest":
        return str(status.get("decision", {}).get("reason", ""))
    reasons = {c["type"]: str(c["reason"]) for c in status.get("conditions", [])}
    return reasons.get("Steering", "") if "decision" in status and "Met" in reasons else ""


def told(kube: Kube, found: Json) -> str:
    """An object of ours, where it is not decided in time."""
    return f"decided: {look(kube, found)}"


def through(plane: Cluster, kube: Kube, page: list[Block]) -> list[tuple[str, str, str]]:
    """Apply a page block by block: the kind and name of each object of ours, and what is said of it."""
    said_of = []
    for block in page:
        apply(plane, block)
        for found in (each for each in block.objects if each["kind"] in KINDS):
            why = eventually(partial(decided, kube, found), partial(told, kube, found), SECONDS)
            said_of.append((found["kind"], found["metadata"]["name"], why))
    return said_of


Followed = dict[str, list[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def followed(plane: Cluster, serving: Kube) -> Followed:
    """Both pages from top to bottom."""
    found = {"platform-team": through(plane, serving, PLATFORM)}
    return found | {"inference-owner": through(plane, serving, OWNER)}


def test_every_block_is_decided_as_it_stands(followed: Followed, serving: Kube) -> None:
    """The pool only looks, as its page has it begin: grants are decided, and nobody is steered."""
    assert serving.get(POOL)["status"]["conditions"]
    assert followed["platform-team"] == [("CapacityRequest", "search", "Granted")]
    assert followed["inference-owner"] == [
        ("InferenceSLO", "chat", "Advise"),
        ("InferenceSLO", "chat", "PoolNotEnforced"),
        ("InferenceSLO", "search", "PoolNotEnforced"),
        ("InferenceSLO", "embed", "PoolNotEnforced"),
        ("InferenceSLO", "draft", "PoolNotEnforced"),
        ("CapacityRequest", "chat", "Granted"),
        ("InferenceSLO", "chat", "Advise"),
        ("InferenceSLO", "chat", "Advise"),
    ]


@pytest.mark.usefixtures("followed")
@variant
def test_what_is_to_be_steered_is_when_the_pool_enforces(plane: Cluster, serving: Kube) -> None:
    adopting = next(b for b in OWNER if "HorizontalPodAutoscaler" in b.text)
    apply(plane, adopting)
    serving.patch(POOL, {"spec": {"mode": "Enforce"}})
    slo = next(found for found in adopting.objects if found["kind"] == "InferenceSLO")
    eventually(lambda: decided(serving, slo) == "Adopted", partial(told, serving, slo), SECONDS)
    hpa = serving.get(f"/apis/autoscaling/v2{HOME}/horizontalpodautoscalers/chat")
    assert "gpupool" in {entry["manager"] for entry in hpa["metadata"]["managedFields"]}
    assert hpa["spec"]["maxReplicas"] == look(serving, slo)["status"]["decision"]["ceiling"]
    eventually(lambda: look(serving, slo)["status"]["objectives"][0].get("attainment"), "users are heard of")

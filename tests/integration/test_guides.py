"""What the docs tell people to apply is accepted by a real API server as it stands."""

import json
import subprocess

import pytest

from gpupool.api.kinds import KINDS
from localplane.cluster import Cluster
from support.foreign import serve
from support.guides import Block, manifests
from support.manifests import Json, install_crds

MODELS = {kind.name: kind.model for kind in KINDS}
FOREIGN = ("keda", "vpa", "podmonitor")


@pytest.fixture(scope="module", autouse=True)
def _kinds(plane: Cluster) -> None:
    """Every kind that the guides speak of, and the namespaces."""
    spaces = {found["metadata"].get("namespace") for block in manifests() for found in block.objects}
    with plane.kube() as kube:
        install_crds(kube)
        for name in FOREIGN:
            serve(kube, name)
        for name in sorted(spaces - {None}):
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            kube.apply(space, path=f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize("block", manifests(), ids=str)
def test_a_block_applies_as_it_stands(plane: Cluster, block: Block) -> None:
    kubectl = [str(plane.program("kubectl")), "--kubeconfig", str(plane.kubeconfig)]
    apply = [*kubectl, "apply", "--validate=strict", "--dry-run=server", "-o", "json", "-f", "-"]
    done = subprocess.run(apply, input=block.text, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    stored: list[Json] = answer["items"] if answer["kind"] == "List" else [answer]
    assert [found["kind"] for found in stored] == [found["kind"] for found in block.objects]
    for read, meant in zip(stored, block.objects, strict=True):
        if model := MODELS.get(meant["kind"]):
            parsed = [model.model_validate(each).to_wire()["spec"] for each in (read, meant)]
            assert parsed[0] == parsed[1]

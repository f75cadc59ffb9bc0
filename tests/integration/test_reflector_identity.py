"""The client as a ServiceAccount on the real API server: files of a pod, rotation, refusals."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gpupool.applier.serverside import Writer
from gpupool.errors import Forbidden, Unauthorized
from gpupool.kube.auth import Credentials, in_cluster
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Selection
from localplane.cluster import Cluster
from localplane.kube import Kube
from support.mirroring import CONFIG_MAPS
from support.writing import config_map, writer_of


def new_token(kube: Kube, namespace: str) -> str:
    """Ask for a token of the namespace's default ServiceAccount, as a kubelet does."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    return str(kube.request("POST", path, body=body)["status"]["token"])


@pytest.fixture
def home(namespace: Callable[..., str]) -> str:
    return namespace("identity")


@pytest.fixture
def pod(plane: Cluster, home: str, tmp_path: Path) -> Credentials:
    """Credentials of a pod whose token has run out."""
    cluster = yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = cluster.get("certificate-authority-data")
    certificates = (
        base64.b64decode(authority) if authority else Path(cluster["certificate-authority"]).read_bytes()
    )
    (tmp_path / "ca.crt").write_bytes(certificates)
    (tmp_path / "namespace").write_text(home)
    (tmp_path / "token").write_text("expired")
    host, _, port = cluster["server"].removeprefix("https://").partition(":")
    return in_cluster(
        {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "GPUPOOL_SERVICEACCOUNT_DIR": str(tmp_path),
        }
    )


async def test_a_token_that_was_rotated_is_taken_up_within_the_same_call(
    kube: Kube, pod: Credentials, home: str, tmp_path: Path
) -> None:
    async with KubeClient(pod) as client:
        with pytest.raises(Unauthorized):
            await client.list_all(Selection(CONFIG_MAPS, home))
        (tmp_path / "token").write_text(new_token(kube, home))
        with pytest.raises(Forbidden):  # known now, and allowed nothing
            await client.list_all(Selection(CONFIG_MAPS, home))
        refused = client.transport.answers["GET", 401]
        with pytest.raises(Forbidden):
            await client.list_all(Selection(CONFIG_MAPS, home))
        assert client.transport.answers["GET", 401] == refused, "the new token is kept"


async def test_a_write_without_permission_is_forbidden_and_not_tried_again(
    kube: Kube, pod: Credentials, home: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(new_token(kube, home))
    async with KubeClient(pod) as client:
        writer: Writer = writer_of(client)[0]
        with pytest.raises(Forbidden) as refused:
            await writer.apply(CONFIG_MAPS, config_map(home, "one", v="1"), epoch=1)
        assert f"system:serviceaccount:{home}:default" in refused.value.failure.message
        assert client.transport.answers["PATCH", 403] == 1

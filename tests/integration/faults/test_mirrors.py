"""A mirror behind a proxy that swallows what watches tell."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gpupool.kube.auth import in_cluster
from gpupool.kube.client import KubeClient
from localplane.kube import Kube
from support.faultproxy.proxy import HOST, FaultProxy
from support.mirroring import QUICK, RESTART, drop, fill, mirrored
from support.polling import eventually


@pytest.fixture
def home(kube: Kube, namespace: Callable[..., str]) -> str:
    """A namespace whose default ServiceAccount may read it."""
    name = namespace("mirrors")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": name}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    metadata = {"name": "view", "namespace": name}
    kube.create({**binding, "metadata": metadata, "roleRef": role, "subjects": [subject]})
    return name


@pytest.fixture
async def through(proxy: FaultProxy, kube: Kube, home: str, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """The operator's client on its way through the proxy, as that ServiceAccount."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{home}/serviceaccounts/default/token"
    (tmp_path / "token").write_text(kube.request("POST", path, body=asked)["status"]["token"])
    (tmp_path / "namespace").write_text(home)
    authority = proxy.cluster.layout.private / "certs" / "ca.crt"
    (tmp_path / "ca.crt").write_bytes(authority.read_bytes())
    environment = {
        "KUBERNETES_SERVICE_HOST": HOST,
        "KUBERNETES_SERVICE_PORT": str(proxy.port),
        "GPUPOOL_SERVICEACCOUNT_DIR": str(tmp_path),
    }
    async with KubeClient(in_cluster(environment)) as client:
        yield client


async def test_watches_that_stay_silent_are_cut_and_a_list_finds_what_was_missed(
    proxy: FaultProxy, kube: Kube, through: KubeClient, home: str
) -> None:
    names = fill(kube, home, 6)
    async with mirrored(through, home, replace(QUICK, inactivity=1.0)) as mirror:
        await eventually(lambda: mirror.names == names, RESTART)
        with proxy.freezing():
            drop(kube, home, "m00")
            await eventually(lambda: mirror.names == names - {"m00"}, RESTART, "the list that finds it")
            assert mirror.reflector.counters.reconnects >= 2
            assert mirror.reflector.counters.drifts == 0

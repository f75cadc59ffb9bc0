"""What must stay secret is in no log, no metric, no status and no Event, at debug level too."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from localplane import release
from localplane.runner.settings import NAMESPACE
from support.plane import eventually, temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
BEARER = "bearer-that-nobody-may-read-4711"
HEADER = "tenant-key-that-nobody-may-read-0815"


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster whose operator logs everything and has secrets to keep."""
    with temporary_cluster() as cluster:
        with cluster.kube() as kube:
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            data = {"token": base64.b64encode(BEARER.encode()).decode()}
            secret = {"name": "prometheus", "namespace": NAMESPACE}
            kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "data": data})
        values = {**release.chart_values(cluster), "logLevel": "debug"}
        values["prometheus"] |= {"credentialsSecret": "prometheus", "headers": {"X-Tenant-Key": HEADER}}
        release.install(cluster, values, quiet=True)
        yield cluster


def test_no_secret_is_in_a_log_a_metric_or_a_status(plane: Cluster, kube: Kube) -> None:
    kube.apply(
        {
            "apiVersion": "gpupool.dev/v1alpha1",
            "kind": "GpuPool",
            "metadata": {"name": "lab"},
            "spec": {"nodes": {"names": ["no-such-node"]}},
        }
    )
    path = "/apis/gpupool.dev/v1alpha1/gpupools/lab"
    eventually(lambda: kube.get(path).get("status", {}).get("conditions"), "the pool is looked at", 60)
    logs = sorted((plane.layout.logs / "pods").glob("*_operator.log"))
    eventually(lambda: any("debug" in log.read_text() for log in logs), "debug lines are written", 60)
    told = {log.name: log.read_text(errors="replace") for log in logs}
    told["metrics"] = httpx.get(plane.metrics_url, trust_env=False).text
    told["status"] = str(kube.get(path))
    told["events"] = str(kube.list("/api/v1/events"))
    for account in token_files(plane):
        secrets = {BEARER, HEADER, account}
        found = {where for where, text in told.items() for secret in secrets if secret in text}
        assert not found, "a secret is told"


def token_files(plane: Cluster) -> list[str]:
    """The ServiceAccount tokens that the operator's pods have."""
    found = [f.read_text().strip() for f in plane.layout.private.rglob("token") if f.is_file()]
    assert found, "the operator's pods have a token"
    return found

"""The local control plane is a real one, and says so."""

from collections.abc import Callable

import httpx

from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.processes import wait_until
from localplane.toolchain import KUBERNETES_VERSION


def test_the_api_server_reports_the_pinned_version(kube: Kube) -> None:
    assert kube.get("/version")["gitVersion"] == KUBERNETES_VERSION == "v1.36.3"


def test_every_part_runs_and_names_its_log(plane: Cluster) -> None:
    rows = {row.name: row for row in plane.status()}
    expected = {"etcd", "apiserver", "controller-manager", "scheduler", "kwok", "prometheus"}
    assert expected <= rows.keys()
    assert {rows[name].state for name in expected} == {"running"}
    assert all(rows[name].log.exists() for name in expected)


def test_the_env_file_holds_absolute_plain_values(plane: Cluster) -> None:
    values = dict(line.split("=", 1) for line in plane.layout.env.read_text().splitlines())
    assert values["KUBECONFIG"] == str(plane.kubeconfig)
    assert values["PROMETHEUS_URL"] == plane.prometheus_url
    assert values["GPUPOOL_METRICS_URL"].endswith("/metrics")
    assert httpx.get(f"{values['PROMETHEUS_URL']}/-/ready", trust_env=False).is_success


def test_a_new_namespace_is_usable_at_once(kube: Kube, namespace: Callable[..., str]) -> None:
    name = namespace("basics")
    kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": name}})
    assert [
        item["metadata"]["name"]
        for item in kube.list(f"/api/v1/namespaces/{name}/configmaps", fields="metadata.name=one")
    ] == ["one"]


def test_another_user_is_refused_what_nobody_gave_them(as_user: Callable[..., Kube]) -> None:
    answer = as_user("alice", ["team-a"]).request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": "list", "resource": "nodes"}},
        },
    )
    assert answer["status"]["allowed"] is False


def test_an_added_target_file_is_scraped_within_seconds(plane: Cluster) -> None:
    own = plane.prometheus_url.removeprefix("http://")
    file = plane.layout.targets / "self.json"
    file.write_text(f'[{{"targets": ["{own}"], "labels": {{"job": "second-exporter"}}}}]')

    def scraped() -> bool:
        query = httpx.get(
            f"{plane.prometheus_url}/api/v1/query",
            params={"query": 'up{job="second-exporter"}'},
            trust_env=False,
        )
        return [row["value"][1] for row in query.json()["data"]["result"]] == ["1"]

    try:
        assert wait_until(scraped, 30)
    finally:
        file.unlink()

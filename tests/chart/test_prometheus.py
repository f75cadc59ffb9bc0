"""The chart's way to Prometheus: address, credentials, whom to believe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chart.finding import RefusedError, container, environment, of_kind, only

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
FOLDER = "/etc/gpupool/prometheus"


def files(workload: Json) -> list[Json]:
    """Sources of the folder with credentials."""
    volumes = workload["spec"]["template"]["spec"]["volumes"]
    return [source for v in volumes if v["name"] == "prometheus" for source in v["projected"]["sources"]]


def test_without_credentials_there_is_no_folder(defaults: list[Json]) -> None:
    deployment = only(defaults, "Deployment")
    assert files(deployment) == []
    assert "GPUPOOL_PROMETHEUS_CREDENTIALS" not in environment(deployment)


def test_credentials_come_from_secret_config_map_and_account_and_none_is_required(
    render: Callable[..., list[Json]],
) -> None:
    deployment = only(
        render(
            "prometheus.credentialsSecret=gate",
            "prometheus.caConfigMap=trust",
            "prometheus.serviceAccountToken=true",
        ),
        "Deployment",
    )
    secret, certificates, token = files(deployment)
    assert secret == {"secret": {"name": "gate", "optional": True}}
    assert certificates["configMap"] == {
        "name": "trust",
        "optional": True,
        "items": [{"key": "ca.crt", "path": "ca.crt"}],
    }
    assert token["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}
    assert environment(deployment)["GPUPOOL_PROMETHEUS_CREDENTIALS"] == FOLDER
    mounts = {m["name"]: m for m in container(deployment)["volumeMounts"]}
    assert mounts["prometheus"] == {"name": "prometheus", "mountPath": FOLDER, "readOnly": True}


def test_headers_jobs_and_namespaces_reach_the_operator(render: Callable[..., list[Json]]) -> None:
    variables = environment(
        only(
            render(
                "prometheus.headers.X-Scope-OrgID=gpu",
                "prometheus.ownJobs={a,b}",
                "prometheus.exporterNamespaces={gpu-operator,monitoring}",
                "prometheus.insecureSkipVerify=true",
            ),
            "Deployment",
        )
    )
    assert variables["GPUPOOL_PROMETHEUS_HEADERS"] == '{"X-Scope-OrgID":"gpu"}'
    assert variables["GPUPOOL_PROMETHEUS_OWN_JOBS"] == "a,b"
    assert variables["GPUPOOL_PROMETHEUS_EXPORTER_NAMESPACES"] == "gpu-operator,monitoring"
    assert variables["GPUPOOL_PROMETHEUS_INSECURE"] == "true"


def test_our_own_job_is_the_one_that_the_service_monitor_makes(render: Callable[..., list[Json]]) -> None:
    manifests = render("fullnameOverride=mine")
    services = [s["metadata"]["name"] for s in of_kind(manifests, "Service")]
    assert environment(only(manifests, "Deployment"))["GPUPOOL_PROMETHEUS_OWN_JOBS"] in services


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("prometheus.url=http://me:secret@prometheus", "url"),
        ("prometheus.url=http://prometheus?tenant=a", "url"),
        ("prometheus.credentialsSecret=Not_A_Name", "credentialsSecret"),
        ("prometheus.headers.Authorization=Bearer", "Authorization"),
        ("prometheus.headers.X_Y=1x", "X_Y"),
        ("prometheus.insecureSkipVerify=maybe", "insecureSkipVerify"),
        ("prometheus.exporterNamespaces={Team_A}", "exporterNamespaces"),
        ("prometheus.token=secret", "token"),
    ],
)
def test_a_wrong_value_is_refused_by_name(render: Callable[..., list[Json]], value: str, named: str) -> None:
    with pytest.raises(RefusedError, match=named):
        render(value)

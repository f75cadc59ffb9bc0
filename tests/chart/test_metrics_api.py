"""The metrics API in the chart: off by default; where it is on, no right more than it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chart.finding import RefusedError, container, environment, of_kind, only
from localplane.paths import CHART

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
NAME = "gpupool-metrics-api"
API = "v1beta1.external.metrics.k8s.io"


@pytest.fixture(scope="module")
def serving(render: Callable[..., list[Json]]) -> list[Json]:
    """The chart with its metrics API."""
    return render("metricsApi.enabled=true")


def test_by_default_nothing_of_it_is_there(defaults: list[Json]) -> None:
    names = {m["metadata"]["name"] for m in defaults}
    assert not any("metrics-api" in name or "external-metrics" in name for name in names)
    assert not any("METRICS_API" in variable for variable in environment(only(defaults, "Deployment")))


def test_the_operator_is_told_where_it_serves_and_listens_there(serving: list[Json]) -> None:
    deployment = only(serving, "Deployment")
    variables = environment(deployment)
    assert variables["GPUPOOL_METRICS_API_SERVICE"] == "gpupool-external-metrics"
    assert variables["GPUPOOL_METRICS_API_PORT"] == "8443"
    assert (variables["POD_IP"], variables["POD_UID"]) == ("status.podIP", "metadata.uid")
    assert {"name": "metrics-api", "containerPort": 8443} in container(deployment)["ports"]


def test_the_service_selects_nobody_because_only_the_leader_knows(serving: list[Json]) -> None:
    spec = only(serving, "Service", "gpupool-external-metrics")["spec"]
    assert "selector" not in spec
    assert spec["ports"] == [{"name": "https", "port": 443, "targetPort": 8443}]


def test_the_chart_has_no_api_service_of_its_own(serving: list[Json]) -> None:
    assert of_kind(serving, "APIService") == [], "it would lead to nobody until the operator serves"


def test_its_rights_are_bound_to_names(serving: list[Json]) -> None:
    create, named, owner = only(serving, "ClusterRole", NAME)["rules"]
    assert (create["resources"], create["verbs"]) == (["apiservices"], ["create"])
    assert (named["resourceNames"], named["verbs"]) == ([API], ["get", "patch", "delete"])
    assert (owner["resources"], owner["resourceNames"], owner["verbs"]) == (["clusterroles"], [NAME], ["get"])
    found = {
        r["metadata"]["namespace"]: r["rules"]
        for r in of_kind(serving, "Role")
        if r["metadata"]["name"] == NAME
    }
    create, named = found["gpupool-system"]
    assert (create["resources"], create["verbs"]) == (["endpointslices"], ["create"])
    assert named["resourceNames"] == ["gpupool-external-metrics-ipv4", "gpupool-external-metrics-ipv6"]
    assert named["verbs"] == ["get", "patch"]
    (config,) = found["kube-system"]
    assert (config["resources"], config["resourceNames"], config["verbs"]) == (
        ["configmaps"],
        ["extension-apiserver-authentication"],
        ["get"],
    )
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for binding in of_kind(serving, kind):
            (subject,) = binding["subjects"]
            assert (subject["name"], subject["namespace"]) == ("gpupool", "gpupool-system")


def test_each_of_its_rules_has_its_reason_above_it() -> None:
    lines = (CHART / "templates" / "metrics-api.yaml").read_text().splitlines()
    rules = [number for number, line in enumerate(lines) if line.startswith("- apiGroups")]
    assert len(rules) == 6
    for number in rules:
        start = number
        while lines[start].startswith(("-", " ")):
            start -= 1
        assert lines[start].startswith("# "), lines[number]


def test_the_network_policy_lets_the_api_server_in(render: Callable[..., list[Json]]) -> None:
    def ports(*values: str) -> list[int]:
        (rule,) = only(render("networkPolicy.enabled=true", *values), "NetworkPolicy")["spec"]["ingress"]
        return [p["port"] for p in rule["ports"]]

    assert ports() == [8080, 8081]
    assert ports("metricsApi.enabled=true", "metricsApi.port=9443") == [8080, 8081, 9443]


def test_a_typo_in_its_values_is_refused(render: Callable[..., list[Json]]) -> None:
    with pytest.raises(RefusedError, match="metricsApi"):
        render("metricsApi.enable=true")
    with pytest.raises(RefusedError, match="metricsApi"):
        render("metricsApi.enabled=perhaps")

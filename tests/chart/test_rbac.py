"""Least privilege: every rule has its reason, none has a wildcard, nothing reaches further than it must."""

from __future__ import annotations

from typing import Any

import pytest

from chart.finding import of_kind, only
from localplane.paths import CHART

Json = dict[str, Any]


def _rules(manifests: list[Json]) -> list[Json]:
    return [
        rule
        for kind in ("ClusterRole", "Role")
        for role in of_kind(manifests, kind)
        for rule in role["rules"]
    ]


def _verbs(role: Json, resource: str) -> set[str]:
    return {verb for rule in role["rules"] if resource in rule["resources"] for verb in rule["verbs"]}


def test_no_rule_has_a_wildcard(defaults: list[Json]) -> None:
    for rule in _rules(defaults):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], rule


def test_each_rule_of_the_operator_has_its_reason_above_it() -> None:
    lines = (CHART / "templates" / "rbac.yaml").read_text().splitlines()
    rules = [number for number, line in enumerate(lines) if line.startswith("- apiGroups")]
    assert len(rules) > 10
    for number in rules:
        # Rules of one reason stand together; the reason is above the first.
        start = number
        while lines[start].startswith(("-", " ", "{{")):
            start -= 1
        assert lines[start].startswith("# "), lines[number]


@pytest.mark.parametrize(
    ("resource", "verbs"),
    [
        ("gpupools", {"list", "watch"}),
        ("capacityrequests", {"list", "watch"}),
        ("inferenceslos", {"list", "watch"}),
        ("gpupools/status", {"patch"}),
        ("inferenceslos/status", {"patch"}),
        ("capacityrequests/status", {"patch"}),
        ("nodes", {"list", "watch", "patch"}),
        ("namespaces", {"list", "watch", "patch"}),
        ("pods", {"list", "watch", "delete"}),
        ("pods/eviction", {"create"}),
        ("deployments", {"list", "watch", "patch"}),
        ("deployments/scale", {"get", "patch"}),
        ("statefulsets/scale", {"get", "patch"}),
        ("horizontalpodautoscalers", {"list", "watch", "create", "patch", "delete"}),
        ("scaledobjects", {"list", "watch", "patch"}),
        ("verticalpodautoscalers", {"list", "watch", "create", "patch", "delete"}),
        ("jobs", {"list", "watch"}),
        ("apiservices", set()),
        ("endpointslices", set()),
        ("secrets", set()),
        ("configmaps", set()),
        ("clusterroles", set()),
        ("pods/exec", set()),
    ],
)
def test_the_operator_may_do_exactly_this(defaults: list[Json], resource: str, verbs: set[str]) -> None:
    assert _verbs(only(defaults, "ClusterRole", "gpupool"), resource) == verbs


def test_the_operator_creates_pods_in_the_probe_namespace_alone(defaults: list[Json]) -> None:
    creators = [
        role["metadata"]
        for kind in ("ClusterRole", "Role")
        for role in of_kind(defaults, kind)
        if "create" in _verbs(role, "pods")
    ]
    assert [(m["name"], m["namespace"]) for m in creators] == [("gpupool-probe", "gpupool-probe")]


def test_the_hook_may_take_the_operators_lease_and_nothing_else_of_its_own(defaults: list[Json]) -> None:
    (lease,) = only(defaults, "Role", "gpupool-release")["rules"]
    assert (lease["resources"], lease["resourceNames"], lease["verbs"]) == (
        ["leases"],
        ["gpupool"],
        ["delete"],
    )


def test_the_operator_has_one_lease_in_its_own_namespace(defaults: list[Json]) -> None:
    role = only(defaults, "Role", "gpupool-leader")
    create, named = role["rules"]
    assert role["metadata"]["namespace"] == "gpupool-system"
    assert (create["resources"], create["verbs"]) == (["leases"], ["create"])
    assert (named["resources"], named["resourceNames"], named["verbs"]) == (
        ["leases"],
        ["gpupool"],
        ["get", "update"],
    )


@pytest.mark.parametrize("level", ["view", "edit", "admin"])
def test_the_clusters_own_roles_gain_requests_and_never_status(defaults: list[Json], level: str) -> None:
    role = only(defaults, "ClusterRole", f"gpupool-{level}")
    assert role["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{level}"] == "true"
    verbs = _verbs(role, "capacityrequests")
    assert verbs == _verbs(role, "inferenceslos")
    assert {"get", "list", "watch"} <= verbs
    assert ("create" in verbs) is (level != "view")
    assert not any("/status" in resource for rule in role["rules"] for resource in rule["resources"])
    assert "use" not in verbs

"""The API server finds nothing to say about our expressions, whatever the pool is called or governs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpupool.applier.policies import pool_policies
from integration.isolation.asking import create, pod, refusal, wait_for
from integration.isolation.rig import team_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.isolation.rig import Pool
    from localplane.kube import Kube

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


def _checked(policy: dict[str, Any]) -> bool:
    return bool(policy.get("status", {}).get("observedGeneration") == policy["metadata"]["generation"])


def test_the_type_checker_has_no_warning_for_any_policy(kube: Kube, pools: Callable[..., Pool]) -> None:
    pool = pools(mutate=False)
    resources = ("nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "example.com/gpu.large_v2")
    spec = replace(pool.spec, resources=resources, enforce=True, recommend_namespaces=("nobody-here",))
    for manifest in pool_policies(spec):
        pool.put(manifest)
    wait_for(lambda: all(map(_checked, kube.list(POLICIES))), "the type checker")
    policies = kube.list(POLICIES)
    assert len([p for p in policies if p["metadata"]["name"].startswith(f"gpupool-{pool.name}-")]) == 4
    assert len(policies) >= 9  # the chart's guards too
    for policy in policies:
        assert policy["status"].get("typeChecking", {}) == {}, policy["metadata"]["name"]


def test_a_pool_of_several_resources_governs_each_of_them(kube: Kube, pools: Callable[..., Pool]) -> None:
    pool = pools(mutate=True)
    team = team_namespace(pool)
    other = "example.com/gpu.large_v2"
    pool.enforce(resources=("nvidia.com/gpu", other))
    made = create(kube, team, pod("other", 1, resource=other), dry_run=True)
    assert made["spec"]["nodeSelector"] == pool.selector
    assert pool.toleration in made["spec"]["tolerations"]
    bad = pod("named", 1, resource=other, nodeName="nowhere")
    assert "spec.nodeName" in refusal(lambda: create(kube, team, bad)).message


def test_a_pod_with_many_containers_and_tolerations_is_judged_within_the_servers_budget(
    kube: Kube, pools: Callable[..., Pool], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    wide = pod("wide", 1, nodeSelector=pool.selector)
    (main,) = wide["spec"]["containers"]
    wide["spec"]["containers"] += [{**main, "name": f"side-{i}"} for i in range(99)]
    keys = [{"key": f"example.com/key-{i}", "operator": "Exists"} for i in range(200)]
    wide["spec"]["tolerations"] = [*keys, pool.toleration]
    made = create(kube, team, wide)
    path = f"/api/v1/namespaces/{team}/pods/wide"
    more = [*made["spec"]["tolerations"], {"key": "example.com/one-more", "operator": "Exists"}]
    kube.patch(path, {"spec": {"tolerations": more}})
    wildcard = {"spec": {"tolerations": [*more, {"operator": "Exists"}]}}
    assert "without a key" in refusal(lambda: kube.patch(path, wildcard)).message

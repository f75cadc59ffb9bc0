"""What people are told before anything is refused: pod templates, and pools at Recommend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpupool.model.marks import NODE_LABEL, POOL_LABEL
from integration.isolation.asking import create, pod, wait_for, warnings
from integration.isolation.rig import team_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.isolation.rig import Pool
    from localplane.kube import Kube

Json = dict[str, Any]
LABELS = {"app": "work"}


def _workloads(spec: Json) -> list[Json]:
    """One of each kind whose template makes GPU pods."""
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    batch = {"metadata": {"labels": LABELS}, "spec": {**spec, "restartPolicy": "Never"}}
    selector = {"matchLabels": LABELS}
    specs: list[tuple[str, str, Json]] = [
        ("apps/v1", "Deployment", {"selector": selector, "template": template}),
        ("apps/v1", "ReplicaSet", {"selector": selector, "template": template}),
        ("apps/v1", "StatefulSet", {"selector": selector, "template": template, "serviceName": "work"}),
        ("apps/v1", "DaemonSet", {"selector": selector, "template": template}),
        ("batch/v1", "Job", {"template": batch}),
        ("batch/v1", "CronJob", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": batch}}}),
        ("v1", "ReplicationController", {"selector": LABELS, "template": template}),
    ]
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": kind.lower()}, "spec": body}
        for version, kind, body in specs
    ]


def test_a_bad_template_is_told_at_apply_and_accepted(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    client = tenant(pool, team)
    bad = pod("x", 1, nodeSelector=pool.selector, tolerations=[pool.toleration], nodeName="gpu-7")["spec"]
    good = pod("x", 1, nodeSelector=pool.selector, tolerations=[pool.toleration])["spec"]
    cpu = pod("x", nodeName="cpu-7")["spec"]
    for told, silent, unjudged in zip(_workloads(bad), _workloads(good), _workloads(cpu), strict=True):
        (warning,) = warnings(client, team, told)
        assert 'spec.nodeName is \\"gpu-7\\"' in warning
        assert warnings(client, team, silent) == []
        assert warnings(client, team, unjudged) == []


def test_a_template_without_the_two_lines_is_told_only_what_nobody_will_add(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    client = tenant(pool, team)
    for manifest in _workloads(pod("x", 1)["spec"]):
        said = warnings(client, team, manifest)
        # A DaemonSet's controller picks nodes by the template, so injecting into its pods is too late.
        expected = 0 if mutate and manifest["kind"] != "DaemonSet" else 2
        assert len(said) == expected, manifest["kind"]
        assert all(f"spec.nodeSelector: {{{NODE_LABEL}: {pool.name}}}" in line for line in said)


def test_a_workload_is_not_told_again_when_its_template_did_not_change(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube]
) -> None:
    pool = pools(mutate=False)
    team = team_namespace(pool)
    client = tenant(pool, team)
    (deployment, *_) = _workloads(pod("x", 1)["spec"])
    deployment["spec"]["replicas"] = 0
    create(client, team, deployment)
    pool.enforce()
    path = f"/apis/apps/v1/namespaces/{team}/deployments/deployment"
    headers = {"Content-Type": "application/merge-patch+json"}
    scaled = client._http.patch(path, json={"spec": {"replicas": 0, "paused": True}}, headers=headers)
    assert scaled.is_success
    assert scaled.headers.get_list("Warning") == []
    image = {"containers": [{"name": "main", "image": "example.invalid/newer"}]}
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}
    change = {"spec": {"template": {"spec": image}}}
    assert client._http.patch(path, json=change, headers=strategic).headers.get_list("Warning")


def test_recommend_warns_about_what_enforce_would_deny_and_writes_no_label(
    kube: Kube, pools: Callable[..., Pool], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team, exempt = team_namespace(pool, labelled=False), team_namespace(pool, labelled=False)
    pool.recommend(team, exempt, nodes_labelled=True, exempt_namespaces=(exempt,))
    assert POOL_LABEL not in kube.get(f"/api/v1/namespaces/{team}")["metadata"]["labels"]
    named = pod("named", 1, nodeSelector=pool.selector, nodeName="gpu-7")
    (warning,) = warnings(kube, team, named)
    assert "remove spec.nodeName" in warning
    assert warnings(kube, exempt, named) == []
    bare = warnings(kube, team, pod("bare", 1))
    assert bool(bare) is not mutate  # mutation would repair it
    assert warnings(kube, team, pod("web", nodeName="cpu-7")) == []
    assert warnings(kube, team, pod("good", 1, nodeSelector=pool.selector)) == []


def test_recommend_sends_nobody_to_a_label_that_no_node_carries(
    kube: Kube, pools: Callable[..., Pool]
) -> None:
    pool = pools(mutate=False)
    team = team_namespace(pool, labelled=False)
    pool.recommend(team, nodes_labelled=False)
    assert warnings(kube, team, pod("bare", 1)) == []
    for manifest in _workloads(pod("x", 1)["spec"]):
        assert warnings(kube, team, manifest) == []


def test_going_back_to_observe_leaves_nothing_behind(
    kube: Kube, pools: Callable[..., Pool], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool, labelled=False)
    pool.recommend(team)
    pool.observe()
    wait_for(lambda: warnings(kube, team, pod("named", 1, nodeName="gpu-7")) == [], "the warnings to end")
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        path = f"/apis/admissionregistration.k8s.io/v1/{kind}"
        assert kube.list(path, labels=f"gpupool.dev/pool={pool.name}") == []

"""GPU pods of a pool's namespace run on the pool's nodes and nowhere else (rows 1 to 4 and 7)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gpupool.model.marks import NODE_LABEL, TAINT
from integration.isolation.asking import BREAK_GLASS, GPU, create, phase, pod, refusal, runs_on, wait_for
from integration.isolation.rig import team_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.isolation.rig import Pool
    from localplane.kube import Kube

Json = dict[str, Any]


def test_row_1_a_node_name_is_refused_and_the_message_names_it(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    home, other = pools(mutate=mutate), pools(mutate=mutate)
    team = team_namespace(home)
    home.enforce()
    client = tenant(home, team)
    for node in (other.nodes[0], home.nodes[0]):
        bad = pod("named", 1, **home.two_lines, nodeName=node)
        error = refusal(partial(create, client, team, bad))
        assert error.status == 403
        assert f'spec.nodeName is "{node}"' in error.message
        assert "remove spec.nodeName" in error.message


REACHING_OUT: list[tuple[Json, str]] = [
    ({"operator": "Exists"}, "without a key"),
    ({"operator": "Exists", "effect": "NoSchedule"}, "without a key"),
    ({"key": TAINT, "operator": "Exists"}, f"key {TAINT} with operator Exists"),
    ({"key": TAINT, "operator": "Equal", "value": "other"}, 'value "other"'),
    ({"key": TAINT, "value": "other", "effect": "NoSchedule"}, 'value "other"'),
    ({"key": TAINT}, 'value ""'),
]


def test_row_2_tolerations_that_reach_other_pools_are_refused(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    client = tenant(pool, team)
    for extra, said in REACHING_OUT:
        bad = pod("tolerant", 1, nodeSelector=pool.selector, tolerations=[pool.toleration, extra])
        error = refusal(partial(create, client, team, bad))
        assert error.status == 403, extra
        assert said in error.message, extra


def test_row_3_tolerations_cannot_be_appended_to_a_pending_or_running_pod(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate, gpus=1)
    team = team_namespace(pool)
    pool.enforce()
    client = tenant(pool, team)
    create(client, team, pod("first", 1, **pool.two_lines))
    wait_for(lambda: phase(kube, team, "first") == "Running", "the first pod to run")
    create(client, team, pod("second", 1, **pool.two_lines))
    assert phase(kube, team, "second") == "Pending"
    for name in ("first", "second"):
        path = f"/api/v1/namespaces/{team}/pods/{name}"
        had = client.get(path)["spec"]["tolerations"]
        for extra in ({"operator": "Exists"}, {"key": TAINT, "operator": "Exists"}):
            change = {"spec": {"tolerations": [*had, extra]}}
            error = refusal(partial(client.patch, path, change))
            assert error.status == 403
            assert "spec.tolerations has" in error.message
        harmless = {"key": "example.com/maintenance", "operator": "Exists"}
        client.patch(path, {"spec": {"tolerations": [*had, harmless]}})


def test_row_4_a_selector_of_another_pool_never_leads_there(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    home, other = pools(mutate=mutate), pools(mutate=mutate)
    team = team_namespace(home)
    home.enforce()
    client = tenant(home, team)
    bad = pod("astray", 1, nodeSelector=other.selector, tolerations=[home.toleration])
    if mutate:
        create(client, team, bad)
        wait_for(lambda: runs_on(kube, team) == [home.nodes[0]], "the pod to run at home")
        return
    error = refusal(lambda: create(client, team, bad))
    assert error.status == 403
    assert f'spec.nodeSelector["{NODE_LABEL}"] is "{other.name}"' in error.message


def test_row_4_required_affinity_to_another_pool_is_refused(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    client = tenant(pool, team)

    def asking(operator: str, *values: str) -> Json:
        terms = [{"matchExpressions": [{"key": NODE_LABEL, "operator": operator, "values": list(values)}]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        return pod("drawn", 1, **pool.two_lines, affinity={"nodeAffinity": required})

    for expression in (("In", "other"), ("NotIn", pool.name), ("DoesNotExist",)):
        error = refusal(partial(create, client, team, asking(*expression)))
        assert error.status == 403
        assert "spec.affinity.nodeAffinity" in error.message
    for expression in (("In", pool.name), ("NotIn", "other"), ("Exists",)):
        create(client, team, asking(*expression), dry_run=True)


def test_row_7_bare_pods_jobs_and_deployments_run_in_their_own_pool(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    home = pools(mutate=mutate, gpus=4)
    pools(mutate=mutate)  # free GPUs elsewhere, which must stay free
    team = team_namespace(home)
    home.enforce()
    client = tenant(home, team)
    spec = pod("x", 1, **home.two_lines)["spec"]
    labels = {"app": "work"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    create(client, team, pod("bare", 1, **home.two_lines))
    batch = {"metadata": {}, "spec": {**spec, "restartPolicy": "Never"}}
    create(client, team, _workload("batch/v1", "Job", {"template": batch}))
    many = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    create(client, team, _workload("apps/v1", "Deployment", many))
    wait_for(lambda: runs_on(kube, team) == [home.nodes[0]] * 4, "four pods to run in their pool")


def test_row_7_a_controller_with_a_bad_template_makes_no_pod(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    wildcard = pod("x", 1, nodeSelector=pool.selector, tolerations=[{"operator": "Exists"}])["spec"]
    template = {"metadata": {"labels": {"app": "bad"}}, "spec": wildcard}
    many = {"replicas": 1, "selector": {"matchLabels": {"app": "bad"}}, "template": template}
    create(tenant(pool, team), team, _workload("apps/v1", "Deployment", many))

    def told() -> bool:
        sets = kube.list(f"/apis/apps/v1/namespaces/{team}/replicasets")
        conditions = [c for s in sets for c in s.get("status", {}).get("conditions", [])]
        return any(c["type"] == "ReplicaFailure" and "without a key" in c["message"] for c in conditions)

    wait_for(told, "the ReplicaSet to say why it has no pod")
    assert kube.list(f"/api/v1/namespaces/{team}/pods") == []


def test_a_plain_gpu_pod_runs_or_is_told_the_two_lines(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    client = tenant(pool, team)
    plain = pod("plain", 1, nodeSelector={"kubernetes.io/arch": "amd64"})
    if not mutate:
        error = refusal(lambda: create(client, team, plain))
        assert f"spec.nodeSelector: {{{NODE_LABEL}: {pool.name}}}" in error.message
        assert f"spec.tolerations: [{{key: {TAINT}, operator: Equal, value: {pool.name}" in error.message
        plain["spec"]["nodeSelector"] |= pool.selector
        plain["spec"]["tolerations"] = [pool.toleration]
    made = create(client, team, plain)
    assert made["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"} | pool.selector
    assert made["spec"]["tolerations"].count(pool.toleration) == 1
    wait_for(lambda: runs_on(kube, team) == [pool.nodes[0]], "the pod to run in its pool")


def test_a_gpu_is_seen_wherever_it_is_asked_for(pools: Callable[..., Pool], kube: Kube) -> None:
    pool = pools(mutate=False)
    team = team_namespace(pool)
    pool.enforce()
    for parts in (["limits"], ["limits", "requests"], []):
        bad = pod("hidden", nodeName="nowhere")
        main = bad["spec"]["containers"][0]
        main["resources"] = {part: {GPU: "1"} for part in parts}
        if not parts:
            bad["spec"]["initContainers"] = [{**main, "name": "init", "resources": {"limits": {GPU: "1"}}}]
        assert "spec.nodeName" in refusal(partial(create, kube, team, bad)).message, parts


def test_a_gpu_under_a_name_the_pool_does_not_govern_is_refused(
    pools: Callable[..., Pool], kube: Kube, mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    sliced = pod("sliced", 1, resource="nvidia.com/mig-1g.10gb", **pool.two_lines)
    message = refusal(lambda: create(kube, team, sliced)).message
    assert (
        f'container "main" asks for nvidia.com/mig-1g.10gb, which pool {pool.name} does not govern' in message
    )
    with_network = pod("networked", 1, **pool.two_lines)
    with_network["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/hostdev"] = "1"
    create(kube, team, with_network, dry_run=True)


def test_the_break_glass_group_passes(
    pools: Callable[..., Pool], as_user: Callable[..., Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    pool.enforce()
    rescuer = as_user("rescuer", ["system:masters", BREAK_GLASS])
    debug = pod("debug", 1, nodeName=pool.nodes[0], tolerations=[{"operator": "Exists"}])
    made = create(rescuer, team, debug, dry_run=True)
    assert "nodeSelector" not in made["spec"]


def _workload(version: str, kind: str, spec: Json) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": kind.lower()}, "spec": spec}

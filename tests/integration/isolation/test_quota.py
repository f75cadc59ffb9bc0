"""The wall of a namespace: exact for every way to ask (row 8), and out of the tenant's reach (row 12)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gpupool.model.marks import POOL_LABEL
from integration.isolation.asking import BREAK_GLASS, GPU, create, pod, refusal, unique, wait_for, warnings
from integration.isolation.rig import put_quota, team_namespace
from localplane.kube import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.isolation.rig import Pool
    from localplane.kube import Kube

Json = dict[str, Any]


def _quota(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/resourcequotas/gpupool"


def _named(name: str, hard: Json) -> Json:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}}


def test_row_8_nothing_passes_the_quota(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool, hard=2)
    pool.enforce()
    client = tenant(pool, team)
    init = pod("init", **pool.two_lines)
    container = init["spec"]["containers"][0]
    init["spec"]["initContainers"] = [{**container, "name": "first", "resources": {"limits": {GPU: "3"}}}]
    two_containers = pod("pair", 2, **pool.two_lines)
    two_containers["spec"]["containers"].append({**two_containers["spec"]["containers"][0], "name": "second"})
    for manifest in (pod("limits-only", 3, **pool.two_lines), init, two_containers):
        error = refusal(partial(create, client, team, manifest))
        assert error.status == 403
        assert "exceeded quota: gpupool" in error.message
    create(client, team, pod("fits", 2, **pool.two_lines))
    error = refusal(lambda: create(client, team, pod("one-more", 1, **pool.two_lines)))
    assert "used: requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2" in error.message
    assert kube.get(_quota(team))["status"]["used"] == {f"requests.{GPU}": "2"}


def test_row_12_a_namespace_admin_cannot_touch_the_quota(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube]
) -> None:
    pool = pools()
    team = team_namespace(pool, hard=1)
    client = tenant(pool, team)
    raised = {"spec": {"hard": {f"requests.{GPU}": "99"}}}
    for attempt in (
        partial(client.patch, _quota(team), raised),
        partial(client.patch, _quota(team) + "/status", {"status": raised["spec"]}),
        partial(client.delete, _quota(team)),
        partial(client.request, "DELETE", _quota(team).rpartition("/")[0]),
    ):
        assert refusal(attempt).status == 403


def test_row_12_even_broad_rights_do_not_reach_our_quota(
    kube: Kube, pools: Callable[..., Pool], as_user: Callable[..., Kube]
) -> None:
    pool = pools()
    team = team_namespace(pool, hard=1)
    platform = as_user(unique("platform"), ["system:masters"])
    raised = {"spec": {"hard": {f"requests.{GPU}": "99"}}}
    stripped = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
    for attempt in (
        partial(platform.patch, _quota(team), raised),
        partial(platform.patch, _quota(team), stripped),
        partial(platform.patch, _quota(team) + "/status", {"status": raised["spec"]}),
        partial(platform.delete, _quota(team)),
        partial(platform.request, "DELETE", _quota(team).rpartition("/")[0]),
    ):
        error = refusal(attempt)
        assert error.status == 403
        assert "written by the gpupool operator alone" in error.message
    create(platform, team, _named("people", {"pods": "50"}))
    put_quota(kube, team, 3)
    rescuer = as_user(unique("rescuer"), ["system:masters", BREAK_GLASS])
    rescuer.delete(_quota(team), dry_run=True)


def test_row_12_a_wall_is_guarded_where_quotas_alone_are_enforced(
    pools: Callable[..., Pool], namespace: Callable[..., str], as_user: Callable[..., Kube]
) -> None:
    team, elsewhere = team_namespace(pools(), labelled=False, hard=1), namespace("elsewhere")
    platform = as_user(unique("platform"), ["system:masters"])
    for attempt in (
        partial(platform.patch, _quota(team), {"spec": {"hard": {f"requests.{GPU}": "99"}}}),
        partial(platform.patch, _quota(team), {"metadata": {"labels": None}}),
        partial(platform.delete, _quota(team)),
    ):
        assert "written by the gpupool operator alone" in refusal(attempt).message
    create(platform, elsewhere, _named("gpupool", {"pods": "50"}))
    platform.delete(_quota(elsewhere))


def test_the_quota_goes_with_its_namespace(kube: Kube, pools: Callable[..., Pool]) -> None:
    team = team_namespace(pools(), hard=1)
    kube.delete(f"/api/v1/namespaces/{team}")
    wait_for(lambda: not kube.exists(f"/api/v1/namespaces/{team}"), "the namespace to be gone")


def test_ignored_spellings_are_refused_in_pools_and_warned_about_elsewhere(
    kube: Kube, pools: Callable[..., Pool], namespace: Callable[..., str]
) -> None:
    team, elsewhere = team_namespace(pools()), namespace("elsewhere")
    for wrong in (
        f"limits.{GPU}",
        GPU,
        "amd.com/gpu",
        "limits.nvidia.com/mig-1g.5gb",
        "nvidia.com/gpu.shared",
    ):
        manifest = _named("mine", {wrong: "1"})
        right = f"requests.{wrong.removeprefix('limits.')}"
        said = f'spec.hard["{wrong}"] is accepted and ignored by Kubernetes: write "{right}"'
        assert said in refusal(partial(create, kube, team, manifest)).message
        (warning,) = warnings(kube, elsewhere, manifest)
        assert "accepted and ignored" in warning
    fine = {f"requests.{GPU}": "1", "requests.cpu": "4", "limits.memory": "1Gi", "count/jobs.batch": "5"}
    for place in (team, elsewhere):
        assert warnings(kube, place, _named("mine", fine)) == []


def test_row_11_only_the_operator_and_cluster_admins_move_a_namespace_into_a_pool(
    kube: Kube, pools: Callable[..., Pool], as_user: Callable[..., Kube]
) -> None:
    pool = pools()
    team = team_namespace(pool)
    user = unique("self-service")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user}}
    rules = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "patch", "get"]}]
    pool.put({**role, "kind": "ClusterRole", "rules": rules})
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    pool.put({**role, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]})
    tool = as_user(user)
    path = f"/api/v1/namespaces/{team}"
    allowed = {"metadata": {"labels": {"team": "vision"}}}
    wait_for(lambda: _works(partial(tool.patch, path, allowed)), "the tool's rights")
    inside = {"name": unique("own"), "labels": {POOL_LABEL: pool.name}}
    born_inside: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": inside}
    for attempt in (
        partial(tool.patch, path, {"metadata": {"labels": {POOL_LABEL: "other"}}}),
        partial(tool.patch, path, {"metadata": {"labels": {POOL_LABEL: None}}}),
        partial(tool.create, born_inside),
    ):
        error = refusal(attempt)
        assert error.status == 403
        assert "list the namespace in a share" in error.message
    kube.patch(path, {"metadata": {"labels": {POOL_LABEL: None}}}, dry_run=True)


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except KubeError as error:
        if error.status != 403:
            raise
        return False
    return True

"""Who may ask for what (row 13): pools are made by cluster admins, grants are written by the operator."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from integration.isolation.asking import BREAK_GLASS, OPERATOR, create, refusal, unique, wait_for
from integration.isolation.rig import team_namespace
from localplane.kube import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.isolation.rig import Pool
    from localplane.kube import Kube

Json = dict[str, Any]
GROUP = "/apis/gpupool.dev/v1alpha1"


def _request(name: str, **spec: Any) -> Json:
    return {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "CapacityRequest",
        "metadata": {"name": name},
        "spec": {
            "gpus": 1,
            "owner": {"team": "vision", "contact": "vision@example.com"},
            "workload": {"selector": {"matchLabels": {"app": name}}},
            "expectedUtilization": 80,
            **spec,
        },
    }


def test_row_13_a_namespace_admin_makes_no_pool_and_changes_none(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube]
) -> None:
    pool = pools()
    client = tenant(pool, team_namespace(pool))
    own = {"apiVersion": "gpupool.dev/v1alpha1", "kind": "GpuPool", "metadata": {"name": unique("own")}}
    for attempt in (
        partial(client.create, {**own, "spec": {"nodes": {"names": ["any"]}}}),
        partial(client.patch, f"{GROUP}/gpupools/{pool.name}", {"spec": {"reserve": 0}}),
        partial(client.delete, f"{GROUP}/gpupools/{pool.name}"),
    ):
        assert refusal(attempt).status == 403


def test_row_13_a_request_that_names_a_pool_needs_the_verb_use(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], as_user: Callable[..., Kube]
) -> None:
    pool = pools()
    team = team_namespace(pool)
    client = tenant(pool, team)
    create(client, team, _request("unnamed"))
    error = refusal(lambda: create(client, team, _request("named", pool=pool.name)))
    assert error.status == 403
    assert f'spec.pool is "{pool.name}"' in error.message
    assert f"verb use on gpupools/{pool.name}" in error.message

    user = unique("user")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user}}
    use = {
        "apiGroups": ["gpupool.dev"],
        "resources": ["gpupools"],
        "resourceNames": [pool.name],
        "verbs": ["use"],
    }
    pool.put({**role, "kind": "ClusterRole", "rules": [use]})
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    for kind, name in (("ClusterRoleBinding", user), ("RoleBinding", "edit")):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        place = {"namespace": team} if kind == "RoleBinding" else {}
        binding = {**role, "metadata": {"name": user, **place}, "kind": kind}
        pool.put({**binding, "roleRef": reference, "subjects": [subject]})
    trusted = as_user(user)
    wait_for(lambda: _accepted(trusted, team, _request("named", pool=pool.name)), "the verb to count")
    assert refusal(lambda: create(trusted, team, _request("other", pool="other"))).status == 403


def test_status_is_written_by_the_operator_alone(
    kube: Kube, pools: Callable[..., Pool], as_user: Callable[..., Kube]
) -> None:
    pool = pools()
    team = team_namespace(pool)
    create(kube, team, _request("mine"))
    grant = {"status": {"granted": 99}}
    mine = f"{GROUP}/namespaces/{team}/capacityrequests/mine/status"
    ours = f"{GROUP}/gpupools/{pool.name}/status"
    for path, change in ((mine, grant), (ours, {"status": {"granted": {"nvidia.com/gpu": 99}}})):
        error = refusal(partial(kube.patch, path, change))
        assert error.status == 403
        assert "status is written by the gpupool operator alone" in error.message
    operator = as_user(OPERATOR)
    assert operator.patch(mine, {"status": {"granted": 1}})["status"]["granted"] == 1
    rescuer = as_user(unique("rescuer"), ["system:masters", BREAK_GLASS])
    assert rescuer.patch(mine, {"status": {"granted": 0}})["status"]["granted"] == 0


def test_a_request_created_with_a_status_has_none(
    pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube]
) -> None:
    pool = pools()
    team = team_namespace(pool)
    made = create(tenant(pool, team), team, {**_request("eager"), "status": {"granted": 64}})
    assert "granted" not in made.get("status", {})


def _accepted(client: Kube, namespace: str, manifest: Json) -> bool:
    try:
        create(client, namespace, manifest, dry_run=True)
    except KubeError as error:
        if error.status != 403:
            raise
        return False
    return True

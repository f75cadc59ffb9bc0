"""The operator is killed, and nothing opens: rows of the threat table as a namespace admin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration.isolation.asking import GPU, create, phase, pod, refusal, runs_on, wait_for
from integration.isolation.test_gpu_pods import REACHING_OUT
from localplane.kube import Kube, KubeError
from support.marks import NODE_LABEL, two_lines
from support.neighbours import Neighbours, neighbours
from support.replicas import holder, killed, leaders_page, until_led_anew
from support.story import Story

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localplane.cluster import Cluster

Json = dict[str, Any]

CYCLES = 4
"""Of the new leader, two for each of its pools."""


@dataclass
class Deserted:
    """Two enforced pools, a team of the first with 4 of 8 GPUs granted, and its namespace admin."""

    stage: Neighbours
    admin: Kube
    mutate: bool
    before: dict[str, str]

    @property
    def home(self) -> Story:
        """The pool of the team."""
        return self.stage.home

    @property
    def other(self) -> Story:
        """The pool beside it."""
        return self.stage.other

    @property
    def team(self) -> str:
        """The team's namespace."""
        return self.stage.team

    def standing(self) -> dict[str, str]:
        """Everything that carries a mark of the two pools."""
        return self.stage.standing()

    def free(self) -> None:
        """Wait until the team's quota is unused: pods of another test are counted until they are gone."""
        wait_for(self._all_four, "the team's quota to be free")

    def _all_four(self) -> bool:
        try:
            create(self.admin, self.team, self.pod("trial", 4), dry_run=True)
        except KubeError as error:
            if "exceeded quota" not in error.message:
                raise
            return False
        return True

    def pod(self, name: str, gpus: int = 1, **spec: Any) -> Json:
        """A GPU pod as it has to be: with the two lines where nobody injects them."""
        lines = {} if self.mutate else two_lines(self.home.name)
        return pod(name, gpus, **{**lines, **spec})


@pytest.fixture(scope="module")
def deserted(plane: Cluster, mutate: bool) -> Iterator[Deserted]:
    """The stage, with the operator's processes killed and held down."""
    with (
        plane.kube() as kube,
        neighbours(kube) as (stage, _),
        _admin(kube, stage.team) as admin,
        killed(plane),
    ):
        yield Deserted(stage, admin, mutate, stage.standing())


def _admin(kube: Kube, team: str) -> Kube:
    user = f"admin-of-{team}"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    kube.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": user, "namespace": team},
            "roleRef": reference,
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        }
    )
    client = kube.impersonating(user)
    wait_for(lambda: _may_list(client, team), "the admin's rights")
    return client


def _may_list(client: Kube, team: str) -> bool:
    try:
        client.list(f"/api/v1/namespaces/{team}/pods")
    except KubeError:
        return False
    return True


def test_the_operator_is_really_dead(deserted: Deserted, plane: Cluster) -> None:
    del deserted
    # The address stands, like a Service's; a moment after the death nobody is behind it.
    wait_for(lambda: httpx.get(plane.metrics_url, trust_env=False).status_code == 503, "nobody to answer")


def test_row_1_a_node_name_is_refused(deserted: Deserted) -> None:
    deserted.free()
    for node in (deserted.home.nodes[0], deserted.other.nodes[0]):
        bad = deserted.pod("named", nodeName=node)
        error = refusal(partial(create, deserted.admin, deserted.team, bad))
        assert (error.status, f'spec.nodeName is "{node}"' in error.message) == (403, True)


def test_row_2_tolerations_that_reach_other_pools_are_refused(deserted: Deserted) -> None:
    deserted.free()
    lines = two_lines(deserted.home.name)
    for extra, said in REACHING_OUT:
        bad = pod("tolerant", 1, **{**lines, "tolerations": [*lines["tolerations"], extra]})
        error = refusal(partial(create, deserted.admin, deserted.team, bad))
        assert (error.status, said in error.message) == (403, True), extra


def test_rows_3_7_and_8_a_pod_runs_at_home_and_neither_its_tolerations_nor_the_wall_give_way(
    deserted: Deserted,
) -> None:
    admin, team = deserted.admin, deserted.team
    deserted.free()
    create(admin, team, deserted.pod("fits", 4))
    wait_for(lambda: runs_on(admin, team) == deserted.home.nodes, "the pod to run in its pool")
    path = f"/api/v1/namespaces/{team}/pods/fits"
    had = admin.get(path)["spec"]["tolerations"]
    worse = {"spec": {"tolerations": [*had, {"operator": "Exists"}]}}
    assert "spec.tolerations has" in refusal(lambda: admin.patch(path, worse)).message
    limits_only, init = deserted.pod("one-more", 1), deserted.pod("init", 0)
    container = init["spec"]["containers"][0]
    init["spec"]["initContainers"] = [{**container, "name": "first", "resources": {"limits": {GPU: "1"}}}]
    for manifest in (limits_only, init):
        assert "exceeded quota: gpupool" in refusal(partial(create, admin, team, manifest)).message
    admin.delete(path, grace_seconds=0)
    wait_for(lambda: phase(admin, team, "fits") == "", "the pod to be deleted")


def test_row_4_a_selector_of_another_pool_never_leads_there(deserted: Deserted) -> None:
    admin, team = deserted.admin, deserted.team
    deserted.free()
    astray = deserted.pod("astray", nodeSelector={NODE_LABEL: deserted.other.name})
    if deserted.mutate:
        made = create(admin, team, astray, dry_run=True)
        assert made["spec"]["nodeSelector"][NODE_LABEL] == deserted.home.name
        return
    error = refusal(partial(create, admin, team, astray))
    assert f'spec.nodeSelector["{NODE_LABEL}"] is "{deserted.other.name}"' in error.message


def test_rows_12_and_13_quota_pools_and_marks_are_out_of_reach(deserted: Deserted) -> None:
    admin, team = deserted.admin, deserted.team
    quota = f"/api/v1/namespaces/{team}/resourcequotas/gpupool"
    pools = "/apis/gpupool.dev/v1alpha1/gpupools"
    named = {**deserted.home.request(team, "work"), "metadata": {"name": "named", "namespace": team}}
    named["spec"]["pool"] = deserted.other.name
    status = f"{deserted.home.request_path(team, 'work')}/status"
    unlabel = {"metadata": {"labels": {"gpupool.dev/pool": None}}}
    for attempt in (
        partial(admin.patch, quota, {"spec": {"hard": {f"requests.{GPU}": "8"}}}),
        partial(admin.delete, quota),
        partial(admin.patch, f"{pools}/{deserted.home.name}", {"spec": {"mode": "Observe"}}),
        partial(admin.patch, f"/api/v1/namespaces/{team}", unlabel),
        partial(admin.patch, status, {"status": {"granted": 8}}),
        partial(admin.create, named),
    ):
        assert refusal(attempt).status == 403


def test_cpu_pods_and_deletes_pass(deserted: Deserted) -> None:
    admin, team = deserted.admin, deserted.team
    made = create(admin, team, pod("cpu"))["spec"]
    assert NODE_LABEL not in made.get("nodeSelector", {})
    admin.delete(f"/api/v1/namespaces/{team}/pods/cpu", grace_seconds=0)
    create(admin, team, {**deserted.home.request(team, "work"), "metadata": {"name": "more"}}, dry_run=True)


@pytest.mark.parametrize("mutate", [True, False], indirect=True, ids=["mutate", "validate-only"])
def test_started_again_it_finds_everything_as_it_was(
    deserted: Deserted, plane: Cluster, mutate: bool
) -> None:
    del mutate
    assert deserted.standing() == deserted.before
    kube = deserted.home.kube
    before = holder(kube)
    plane.start("operator")
    try:
        until_led_anew(plane, kube, before)
        # What the pools say stands since before the death; what the new leader measures does not.
        deserted.home.until(lambda: _looked(deserted, plane), "the new leader looks at both pools", 120)
        for story in (deserted.home, deserted.other):
            story.until_enforced()
        assert deserted.standing() == deserted.before
    finally:
        plane.stop("operator", "KILL")


def _looked(deserted: Deserted, plane: Cluster) -> bool:
    """Whether there were several cycles, and both pools had one."""
    page = leaders_page(plane)
    samples = [s for family in text_string_to_metric_families(page) for s in family.samples]
    ran = sum(s.value for s in samples if s.name == "gpupool_cycles_total")
    seen = {s.labels["pool"] for s in samples if s.name == "gpupool_last_cycle_timestamp_seconds"}
    return ran >= CYCLES and seen >= {deserted.home.name, deserted.other.name}

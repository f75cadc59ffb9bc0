"""The model of the API server: quota that comes late, pods that linger, controllers that try again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.model.objects import Key, ObjectRef
from gpupool.simulator.cluster import Cluster
from gpupool.simulator.workloads import Template, Workload
from support.builders import GPU, MINUTE, NOW, a_pool, a_quota, a_share, nodes

SECOND = timedelta(seconds=1)
POOL = a_pool(a_share("vision", 8))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(NOW, POOL, nodes={n.name: n for n in nodes()})


def deploy(cluster: Cluster, replicas: int, template: Template = Template()) -> Workload:  # noqa: B008 - frozen
    workload = Workload("vision", ObjectRef("apps/v1", "Deployment", "web"), replicas, template)
    cluster.workloads[Key("vision", "web")] = workload
    return workload


def test_without_a_quota_everything_is_admitted_and_what_fits_is_bound(cluster: Cluster) -> None:
    deploy(cluster, 10)
    cluster.step(SECOND)
    assert (cluster.charged("vision", GPU), cluster.held("vision", GPU)) == (10, 8)


def test_admission_compares_with_what_the_quota_controller_has_confirmed(cluster: Cluster) -> None:
    cluster.quotas["vision"] = a_quota(2, status_hard=4)
    cluster.quota_works = False
    assert [cluster.create_pod("vision", Template()) for _ in range(5)] == [True] * 4 + [False]
    cluster.quota_works = True
    cluster.step(SECOND)
    assert cluster.quotas["vision"].status_hard == {GPU: 2}
    assert not cluster.create_pod("vision", Template())


def test_a_quota_without_a_status_keeps_nobody_out(cluster: Cluster) -> None:
    cluster.quotas["vision"] = replace(a_quota(0), status_hard={}, used={})
    assert cluster.create_pod("vision", Template())


def test_a_quota_on_another_resource_does_not_count(cluster: Cluster) -> None:
    cluster.quotas["vision"] = a_quota(0)
    assert cluster.create_pod("vision", Template(resource="other"))


def test_used_falls_only_when_the_quota_controller_looks(cluster: Cluster) -> None:
    cluster.quotas["vision"] = a_quota(1)
    deploy(cluster, 1, Template(grace=timedelta()))
    cluster.step(SECOND)
    cluster.quota_works = False
    cluster.workloads.clear()
    cluster.delete_pod(next(iter(cluster.pods)))
    cluster.step(SECOND)
    assert cluster.quotas["vision"].used == {GPU: 1}
    cluster.quota_works = True
    cluster.step(SECOND)
    assert cluster.quotas["vision"].used == {GPU: 0}


def test_refused_pods_are_demand(cluster: Cluster) -> None:
    cluster.quotas["vision"] = a_quota(2)
    deploy(cluster, 3, Template(gpus=2))
    cluster.step(SECOND)
    (demand,) = cluster.demands()
    assert (demand.gpus, demand.gpus_per_pod) == (4, 2)
    cluster.quotas["vision"] = a_quota(6, used=2)
    cluster.step(SECOND)
    assert list(cluster.demands()) == []


def test_a_terminating_pod_holds_after_quota_stopped_counting_it(cluster: Cluster) -> None:
    deploy(cluster, 1, Template(grace=MINUTE, lingers=MINUTE))
    cluster.step(SECOND)
    cluster.workloads.clear()
    (key,) = cluster.pods
    cluster.delete_pod(key)
    cluster.delete_pod(key)
    cluster.step(SECOND)
    assert (cluster.charged("vision", GPU), cluster.held("vision", GPU)) == (1, 1)
    cluster.step(MINUTE)
    assert (cluster.charged("vision", GPU), cluster.held("vision", GPU)) == (0, 1)
    assert [p.key for p in cluster.step(MINUTE)] == [key]
    assert cluster.held("vision", GPU) == 0


def test_a_pod_that_a_finalizer_keeps_holds_its_gpus_until_it_is_taken_away(cluster: Cluster) -> None:
    deploy(cluster, 1, Template(grace=MINUTE))
    cluster.step(MINUTE)
    (pod,) = cluster.pods.values()
    pod.stuck = True
    cluster.workloads.clear()
    cluster.delete_pod(pod.key)
    for _ in range(3):
        cluster.step(MINUTE)
    assert (cluster.held("vision", GPU), cluster.charged("vision", GPU)) == (1, 0)
    pod.stuck = False
    cluster.step(MINUTE)
    assert cluster.held("vision", GPU) == 0


def test_a_pending_pod_that_is_deleted_is_gone_at_once(cluster: Cluster) -> None:
    cluster.nodes.clear()
    cluster.create_pod("vision", Template())
    cluster.delete_pod(next(iter(cluster.pods)))
    cluster.step(SECOND)
    assert not cluster.pods


def test_scaling_down_ends_the_youngest_pods(cluster: Cluster) -> None:
    workload = deploy(cluster, 2)
    cluster.step(SECOND)
    workload.replicas = 1
    cluster.step(SECOND)
    assert [p.deleted is None for p in cluster.pods.values()] == [True, False]


@pytest.mark.parametrize(("ready", "schedulable"), [(False, True), (True, False)])
def test_nothing_is_bound_to_a_node_that_takes_no_pods(ready: bool, schedulable: bool) -> None:
    cluster = Cluster(NOW, POOL, nodes={n.name: n for n in nodes(ready=ready, schedulable=schedulable)})
    deploy(cluster, 1)
    cluster.step(SECOND)
    assert cluster.held("vision", GPU) == 0


def test_pods_of_a_node_that_is_gone_are_collected(cluster: Cluster) -> None:
    deploy(cluster, 1)
    cluster.step(SECOND)
    cluster.nodes.clear()
    assert len(cluster.step(SECOND)) == 1


def test_a_pod_is_shown_as_the_api_shows_it(cluster: Cluster) -> None:
    deploy(cluster, 1, Template(labels={"app": "web"}, starts=False))
    cluster.step(SECOND)
    cluster.create_pod("vision", Template())
    owned, bare = (p.pod() for p in cluster.pods.values())
    assert (owned.owner, owned.direct_owner_kind, owned.node, owned.running) == (
        ObjectRef("apps/v1", "Deployment", "web"),
        "ReplicaSet",
        "node-1",
        False,
    )
    assert (bare.owner, bare.direct_owner_kind, bare.node) == (None, "", None)

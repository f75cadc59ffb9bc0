"""From projections to the World: owners, quotas, refused demand, whole seconds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.collector.assemble import REFUSAL_HOLDS, Projections, world
from gpupool.collector.controllers import Controller, Refusal
from gpupool.collector.projections import NamespaceLabels, QuotaFacts
from gpupool.model.objects import Demand, ForeignQuota, Key, ObjectRef, Pod, Quota, Timer
from gpupool.model.reasons import Stage
from gpupool.model.world import DaemonSetFacts, NamespaceFacts, World
from support.builders import GPU, MINUTE, NOW

DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "web")
REPLICASET = ObjectRef("apps/v1", "ReplicaSet", "web-1")
CRONJOB, JOB = ObjectRef("batch/v1", "CronJob", "nightly"), ObjectRef("batch/v1", "Job", "nightly-1")
JOBSET = ObjectRef("jobset.x-k8s.io/v1alpha2", "JobSet", "train")


def seen(**found: object) -> World:
    return world(replace(Projections(), **found), NOW, frozenset({"kube-system"}))  # type: ignore[arg-type] # by name


def a_controller(ref: ObjectRef, owner: ObjectRef | None = None, **more: object) -> Controller:
    plain = Controller("a", ref, f"uid-{ref.name}", owner, {"app": "web"}, {GPU: 2})
    return replace(plain, **more)  # type: ignore[arg-type] # fields by name


def top_of(direct: ObjectRef, *tree: Controller, namespace: str = "a") -> ObjectRef | None:
    pod = Pod(Key(namespace, "p"), "u", {GPU: 1}, owner=direct, direct_owner_kind=direct.kind)
    (found,) = seen(pods=(pod,), controllers=tree).pods
    assert found.direct_owner_kind == direct.kind, "the unit of eviction follows the direct owner"
    return found.owner


def test_a_pod_of_a_deployment_belongs_to_the_deployment() -> None:
    assert top_of(REPLICASET, a_controller(REPLICASET, DEPLOYMENT)) == DEPLOYMENT


def test_a_pod_of_a_cronjob_belongs_to_the_cronjob() -> None:
    assert top_of(JOB, a_controller(JOB, CRONJOB)) == CRONJOB


def test_an_owner_of_a_kind_nobody_watches_is_the_top() -> None:
    assert top_of(JOB, a_controller(JOB, JOBSET)) == JOBSET
    ray = ObjectRef("ray.io/v1", "RayCluster", "r")
    assert top_of(ray) == ray


def test_an_owner_without_an_owner_is_the_top() -> None:
    assert top_of(REPLICASET, a_controller(REPLICASET)) == REPLICASET


def test_owners_are_followed_in_the_pods_namespace_alone() -> None:
    assert top_of(REPLICASET, a_controller(REPLICASET, DEPLOYMENT), namespace="b") == REPLICASET


def test_a_kind_of_the_same_name_in_another_group_is_another_kind() -> None:
    volcano = ObjectRef("batch.volcano.sh/v1alpha1", "Job", JOB.name)
    assert top_of(volcano, a_controller(JOB, CRONJOB)) == volcano


def test_owners_in_a_circle_end() -> None:
    tree = (a_controller(REPLICASET, JOB), a_controller(JOB, REPLICASET))
    assert top_of(REPLICASET, *tree) == REPLICASET


def test_a_bare_pod_has_no_owner() -> None:
    (found,) = seen(pods=(Pod(Key("a", "p"), "u", {GPU: 1}),)).pods
    assert found.owner is None


# ------------------------------------------------------------------ demand


def demands(*controllers: Controller, refusals: tuple[Refusal, ...] = ()) -> list[tuple[str, int, int]]:
    found = seen(controllers=controllers, refusals=refusals).demands
    return [(str(d.owner), d.gpus, d.gpus_per_pod) for d in found]


@pytest.mark.parametrize(
    ("controller", "expected"),
    [
        # Missing pods alone prove nothing: the next moment may bring them.
        (a_controller(REPLICASET, wanted=4, existing=1), []),
        (a_controller(REPLICASET, wanted=4, existing=1, refused=True), [("ReplicaSet/web-1", 6, 2)]),
        (a_controller(JOB, wanted=3, suspended=True), [("Job/nightly-1", 6, 2)]),
        (a_controller(REPLICASET, wanted=4, existing=4, refused=True), []),
        (a_controller(REPLICASET, wanted=0, existing=2, refused=True), []),
        (a_controller(REPLICASET, DEPLOYMENT, wanted=1, refused=True), [("Deployment/web", 2, 2)]),
    ],
)
def test_missing_pods_are_demand_only_with_evidence(
    controller: Controller, expected: list[tuple[str, int, int]]
) -> None:
    assert demands(controller) == expected


@pytest.mark.parametrize(
    ("age", "counts"),
    [(timedelta(), True), (REFUSAL_HOLDS, True), (REFUSAL_HOLDS + timedelta(seconds=1), False)],
)
def test_an_event_is_evidence_for_a_while(age: timedelta, counts: bool) -> None:
    found = demands(
        a_controller(JOB, wanted=2),
        refusals=(Refusal("uid-nightly-1", NOW - age), Refusal("uid-else", NOW)),
    )
    assert found == ([("Job/nightly-1", 4, 2)] if counts else [])


def test_demand_names_whose_pods_they_would_be_and_is_counted_per_resource() -> None:
    both = a_controller(REPLICASET, wanted=3, existing=1, refused=True, gpus={GPU: 2, "amd.com/gpu": 1})
    assert seen(controllers=(both,)).demands == (
        Demand("a", REPLICASET, {"app": "web"}, GPU, 4, 2),
        Demand("a", REPLICASET, {"app": "web"}, "amd.com/gpu", 2, 1),
    )


# ------------------------------------------------------------------ namespaces and time


def a_quota(name: str, hard: int, *, ours: bool = False, namespace: str = "a") -> QuotaFacts:
    return QuotaFacts(
        namespace,
        name,
        ours,
        {GPU: hard},
        {GPU: hard},
        {GPU: 1},
        "7",
        NOW,
        timers={"train": Timer(Stage.WARNED, NOW)} if ours else {},
        uid="u",
        pool="lab" if ours else "",
    )


def test_a_namespace_has_our_quota_and_those_of_others_apart() -> None:
    quotas = (
        a_quota("gpupool", 8, ours=True),
        a_quota("x", 4),
        a_quota("y", 2),
        a_quota("z", 1, namespace="b"),
    )
    found = seen(namespaces=(NamespaceLabels("a", {"team": "v"}), NamespaceLabels("c", {})), quotas=quotas)
    ours = Quota({GPU: 8}, {GPU: 8}, {GPU: 1}, "7", {"train": Timer(Stage.WARNED, NOW)}, {}, NOW, "lab", "u")
    foreign = (ForeignQuota("x", {GPU: 4}), ForeignQuota("y", {GPU: 2}))
    assert found.namespaces == (
        NamespaceFacts("a", {"team": "v"}, ours, foreign),
        NamespaceFacts("c", {}),
    )


def test_what_stands_in_a_namespace_on_its_way_out_makes_no_pods() -> None:
    """Its pods are deleted first; what made them stands as long as one of them is stuck."""
    job = a_controller(JOB, CRONJOB, wanted=2, suspended=True, template="text")
    loose = Pod(Key("a", "bare"), "u", {GPU: 1}, template="loose")
    owned = Pod(Key("a", "p"), "v", {GPU: 1}, owner=JOB, terminating=True)
    found = {"controllers": (job,), "pods": (loose, owned), "daemonsets": (DaemonSetFacts("a", "d", None),)}
    alive = seen(namespaces=(NamespaceLabels("a", {}),), **found)
    assert [t.text for t in alive.templates] == ["text", "loose"]
    assert (len(alive.demands), len(alive.daemonsets)) == (1, 1)
    going = seen(namespaces=(NamespaceLabels("a", {}, ending=True), NamespaceLabels("b", {})), **found)
    assert (going.templates, going.demands, going.daemonsets) == ((), (), ())
    assert [p.owner for p in going.pods] == [None, CRONJOB], "what lives is known, and whose it is"


def test_a_namespace_on_its_way_out_is_apart_with_its_quota() -> None:
    labels = (NamespaceLabels("a", {"x": "y"}, "u", ending=True), NamespaceLabels("b", {}))
    found = seen(namespaces=labels, quotas=(a_quota("gpupool", 8, ours=True),))
    assert [n.name for n in found.namespaces] == ["b"]
    (ending,) = found.ending
    assert (ending.name, ending.labels, ending.uid) == ("a", {"x": "y"}, "u")
    assert ending.quota is not None
    assert ending.quota.hard == {GPU: 8}


def test_time_is_cut_to_whole_seconds_as_statuses_keep_it() -> None:
    found = world(Projections(), NOW + timedelta(microseconds=999_999), frozenset())
    assert found.now == NOW
    assert world(Projections(), NOW + MINUTE, frozenset()).now == NOW + MINUTE


def test_exempt_namespaces_and_pools_that_cannot_be_read_are_handed_on() -> None:
    assert seen().exempt_namespaces == {"kube-system"}
    assert seen().unreadable_pools == frozenset()
    assert seen(unreadable_pools=frozenset({"lab"})).unreadable_pools == {"lab"}

"""What is kept of nodes, namespaces, DaemonSets, pods and quotas."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gpupool.collector import projections as see
from gpupool.model.objects import Key, ObjectRef, Pod, Timer
from gpupool.model.reasons import Stage
from gpupool.model.selector import Selector
from gpupool.model.world import Toleration

GPU = "nvidia.com/gpu"
NOON = datetime(2030, 1, 7, 12, tzinfo=UTC)
AT = "2030-01-07T12:00:00Z"


def a_pod(
    *, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **meta: Any
) -> Pod | None:
    """A pod of one GPU, with more in its parts."""
    containers = [{"resources": {"limits": {GPU: "1"}}}]
    return see.pod(
        {
            "metadata": {"namespace": "a", "name": "p", "uid": "u", "creationTimestamp": AT, **meta},
            "spec": {"containers": containers, **(spec or {})},
            "status": status or {},
        }
    )


def running(at: str) -> dict[str, Any]:
    return {"state": {"running": {"startedAt": at}}}


def owned(kind: str, name: str, *, controller: bool = True) -> list[dict[str, Any]]:
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "o", "controller": controller}]


def test_a_waiting_pod_is_unbound_not_running_and_has_not_started() -> None:
    found = a_pod()
    assert found is not None
    assert replace(found, template="", recipe="", containers=()) == Pod(
        Key("a", "p"), "u", {GPU: 1}, None, created=NOON, started=None, running=False, ready=False
    )


def test_a_pod_serves_while_it_is_ready() -> None:
    for status in ("True", "False"):
        found = a_pod(status={"conditions": [{"type": "Ready", "status": status}]})
        assert found is not None
        assert found.ready is (status == "True")


def test_a_pod_runs_since_its_first_running_container_started() -> None:
    later = "2030-01-07T12:30:00Z"
    found = a_pod(
        spec={"nodeName": "n1"},
        status={"phase": "Running", "containerStatuses": [running(later), running(AT), {"state": {}}]},
    )
    assert found is not None
    assert (found.node, found.running, found.started) == ("n1", True, NOON)


def test_a_running_init_container_is_a_running_container() -> None:
    found = a_pod(status={"initContainerStatuses": [running(AT)], "containerStatuses": [{"state": {}}]})
    assert found is not None
    assert (found.running, found.started) == (True, NOON)


def test_a_pod_whose_containers_wait_or_ended_does_not_run() -> None:
    states = [{"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"startedAt": AT}}]
    found = a_pod(status={"containerStatuses": [{"state": s} for s in states]})
    assert found is not None
    assert (found.running, found.started) == (False, None)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_terminal_pod_is_of_no_interest(phase: str) -> None:
    assert a_pod(status={"phase": phase}) is None


def test_a_pod_without_an_extended_resource_is_of_no_interest() -> None:
    assert a_pod(spec={"containers": [{"resources": {"limits": {"cpu": "1"}}}]}) is None


def test_a_pod_on_its_way_out_still_counts() -> None:
    found = a_pod(deletionTimestamp=AT)
    assert found is not None
    assert found.terminating


def test_a_pod_belongs_to_its_controller_and_to_no_other_owner() -> None:
    found = a_pod(ownerReferences=owned("Node", "x", controller=False) + owned("ReplicaSet", "web-1"))
    assert found is not None
    assert (found.owner, found.direct_owner_kind) == (
        ObjectRef("apps/v1", "ReplicaSet", "web-1"),
        "ReplicaSet",
    )
    alone = a_pod(ownerReferences=owned("Node", "x", controller=False))
    assert alone is not None
    assert (alone.owner, alone.direct_owner_kind, alone.unit) == (None, "", "Pod/p")


def test_a_node_is_its_labels_its_allocatable_gpus_and_its_state() -> None:
    found = see.node(
        {
            "metadata": {"name": "n1", "labels": {"group": "lab"}},
            "spec": {
                "unschedulable": True,
                "taints": [
                    {"key": "gpupool.dev/pool", "value": "lab", "effect": "NoSchedule"},
                    {"key": "x", "effect": "NoExecute"},
                ],
            },
            "status": {
                "allocatable": {"cpu": "64", GPU: "8"},
                "capacity": {GPU: "9"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
    )
    assert (found.name, dict(found.labels), dict(found.gpus)) == ("n1", {"group": "lab"}, {GPU: 8})
    assert (found.ready, found.schedulable) == (True, False)
    assert found.taints == ("gpupool.dev/pool=lab:NoSchedule", "x=:NoExecute")


@pytest.mark.parametrize("status", ["False", "Unknown", None])
def test_a_node_that_does_not_say_ready_is_not(status: str | None) -> None:
    conditions = [] if status is None else [{"type": "Ready", "status": status}]
    found = see.node({"metadata": {"name": "n"}, "status": {"conditions": conditions}})
    assert (found.ready, found.schedulable, dict(found.gpus)) == (False, True, {})


def test_a_namespace_on_its_way_out_is_told_apart() -> None:
    assert see.namespace({"metadata": {"name": "a"}}) == see.NamespaceLabels("a", {})
    going = see.namespace({"metadata": {"name": "a", "uid": "u", "deletionTimestamp": AT}})
    assert going == see.NamespaceLabels("a", {}, "u", ending=True)


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "gpupool.dev/pool", "operator": "Exists"}, True),
        ({"key": "gpupool.dev/pool", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "gpupool.dev/pool", "value": "lab"}, True),
        ({"key": "gpupool.dev/pool", "value": "lab", "effect": "NoSchedule"}, True),
        ({"key": "gpupool.dev/pool", "value": "other"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, False),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({}, False),
    ],
)
def test_a_daemonset_tolerates_our_taint_by_kubernetes_rules(
    toleration: dict[str, str], tolerates: bool
) -> None:
    template = {"spec": {"nodeSelector": {"gpu": "true"}, "tolerations": [toleration]}}
    found = see.daemonset({"metadata": {"namespace": "k", "name": "d"}, "spec": {"template": template}})
    assert found.node_selector == Selector((("gpu", "true"),))
    assert [t.tolerates("gpupool.dev/pool", "lab", "NoSchedule") for t in found.tolerations] == [tolerates]


def test_a_plain_daemonset_runs_everywhere_and_tolerates_nothing() -> None:
    found = see.daemonset({"metadata": {"namespace": "k", "name": "d"}, "spec": {"template": {"spec": {}}}})
    assert (found.node_selector, found.tolerations) == (None, ())
    assert Toleration() == Toleration("", "Equal", "", "")


OURS = {"app.kubernetes.io/managed-by": "gpupool", "gpupool.dev/pool": "lab"}


def a_quota(
    hard: dict[str, str], *, name: str = "gpupool", status: Any = None, **meta: Any
) -> see.QuotaFacts | None:
    labels = meta.pop("labels", OURS)
    found = {"namespace": "a", "name": name, "uid": "u", "resourceVersion": "7", "labels": labels, **meta}
    return see.quota({"metadata": found, "spec": {"hard": hard}, "status": status or {}})


def test_our_quota_is_read_whole() -> None:
    timers = '{"train":{"stage":"Warned","since":"2030-01-07T12:00:00+00:00","target":4}}'
    notes = {"gpupool.dev/timers": timers, "gpupool.dev/implicit": f'{{"{GPU}":3}}', "gpupool.dev/epoch": "1"}
    status = {"hard": {f"requests.{GPU}": "2k"}, "used": {f"requests.{GPU}": "6"}}
    found = a_quota({f"requests.{GPU}": "2k"}, status=status, annotations=notes, creationTimestamp=AT)
    assert found is not None
    assert (found.ours, found.pool, found.uid, found.resource_version) == (True, "lab", "u", "7")
    assert (found.hard, found.status_hard, found.used) == ({GPU: 2000}, {GPU: 2000}, {GPU: 6})
    assert (found.timers, found.implicit) == ({"train": Timer(Stage.WARNED, NOON, target=4)}, {GPU: 3})
    assert (found.epoch, found.created) == ("1", NOON)


def test_our_quota_without_numbers_yet_is_ours() -> None:
    found = a_quota({})
    assert found is not None
    assert (found.ours, found.hard, found.status_hard) == (True, {}, {})


OWNER = {"apiVersion": "gpupool.dev/v1alpha1", "kind": "GpuPool", "name": "lab", "uid": "uid-lab"}


@pytest.mark.parametrize(
    ("meta", "pool", "owners", "labelled"),
    [
        ({"labels": {}, "annotations": {"gpupool.dev/epoch": "3"}}, "", (), False),
        ({"labels": {}, "ownerReferences": [OWNER]}, "lab", ("uid-lab",), False),
        ({"labels": {"app.kubernetes.io/managed-by": "gpupool"}}, "", (), False),
        ({"labels": OURS, "ownerReferences": [OWNER]}, "lab", ("uid-lab",), False),
        ({"labels": OURS | {"app.kubernetes.io/name": "gpupool"}}, "lab", (), True),
        ({"labels": {"gpupool.dev/pool": "other"}, "ownerReferences": [OWNER]}, "other", ("uid-lab",), False),
    ],
)
def test_any_one_mark_tells_our_quota_whatever_happened_to_the_others(
    meta: dict[str, Any], pool: str, owners: tuple[str, ...], labelled: bool
) -> None:
    found = a_quota({f"requests.{GPU}": "8"}, **meta)
    assert found is not None
    assert (found.ours, found.pool, found.owners, found.labelled) == (True, pool, owners, labelled)


@pytest.mark.parametrize(
    "scope", [{"scopes": ["Terminating"]}, {"scopeSelector": {"matchExpressions": [{}]}}]
)
def test_a_quota_with_scopes_is_no_wall_whatever_marks_it_carries(scope: dict[str, Any]) -> None:
    meta = {"namespace": "a", "name": "gpupool", "uid": "u", "resourceVersion": "7", "labels": OURS}
    found = see.quota({"metadata": meta, "spec": {"hard": {f"requests.{GPU}": "8"}} | scope})
    assert found is not None
    assert (found.ours, found.scoped) == (False, True)


def test_a_stranger_by_our_name_is_seen_whatever_it_counts_and_what_a_first_write_left_is_none() -> None:
    stranger = a_quota({"requests.cpu": "4"}, labels={})
    assert stranger is not None
    assert (stranger.ours, stranger.hard) == (False, {})
    assert a_quota({}, labels={}) is None
    assert a_quota({}, labels={"team": "x"}) is not None, "somebody's own, though it is empty"


@pytest.mark.parametrize(
    ("name", "labels"),
    [("team", OURS), ("gpupool", {}), ("gpupool", {"app.kubernetes.io/managed-by": "Helm"})],
)
def test_a_quota_of_somebody_else_is_foreign_also_under_our_name(name: str, labels: dict[str, str]) -> None:
    found = a_quota({f"requests.{GPU}": "0", "requests.cpu": "4", "pods": "10"}, name=name, labels=labels)
    assert found is not None
    assert (found.ours, found.hard) == (False, {GPU: 0}), "a quota of none is a limit, too"


@pytest.mark.parametrize("hard", [{"requests.cpu": "4"}, {"pods": "1"}, {f"limits.{GPU}": "4"}, {GPU: "4"}])
def test_a_foreign_quota_that_counts_no_gpu_is_of_no_interest(hard: dict[str, str]) -> None:
    assert a_quota(hard, name="team", labels={}) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "null", '{"x":true}', '{"x":-1}', '{"x":"4"}', '{"x":1.5}']
)
def test_a_broken_implicit_grant_counts_as_not_written(text: str) -> None:
    found = a_quota({}, annotations={"gpupool.dev/implicit": text})
    assert found is not None
    assert found.implicit == {}

"""What is read of Deployments, StatefulSets and HPAs, and what is noted on an HPA and read back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gpupool.collector.controllers import Controller
from gpupool.collector.scaling import autoscaler, deployment, of_controller
from gpupool.model.hpanote import ORIGINALS, read_note, write_note
from gpupool.model.marks import MANAGED
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Limits, Originals, canonical
from support.builders import GPU
from support.gpupods import pod_spec

DOWN = {"scaleDown": {"stabilizationWindowSeconds": 77}}
NOTE = Originals(
    Limits(1, 9, canonical(DOWN)), Limits(2, 4), rewrites=(datetime(2030, 1, 7, 12, tzinfo=UTC),)
)


def a_deployment(gpus: int = 2, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "chat"}}, "spec": pod_spec(gpus)}
    return {
        "metadata": {"namespace": "chat-prod", "name": "chat"},
        "spec": {"template": template, **spec},
        "status": {"replicas": 4},
    }


def test_a_deployment_with_its_strategy() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "10%"}}
    found = deployment(a_deployment(replicas=3, strategy=rolling))
    assert found is not None
    assert (found.key, found.ref) == (
        Key("chat-prod", "chat"),
        ObjectRef("apps/v1", "Deployment", "chat"),
    )
    assert (found.replicas, found.existing, found.gpus, found.labels) == (3, 4, {GPU: 2}, {"app": "chat"})
    assert (found.surge, found.unavailable, found.recreate) == ("1", "10%", False)


def test_what_is_not_said_is_kubernetes_default() -> None:
    found = deployment(a_deployment())
    assert found is not None
    assert (found.replicas, found.surge, found.unavailable) == (1, "25%", "25%")
    recreated = deployment(a_deployment(strategy={"type": "Recreate"}))
    assert recreated is not None
    assert recreated.recreate


@pytest.mark.parametrize(
    ("observed", "status", "reason", "rolling"),
    [
        (3, "True", "NewReplicaSetAvailable", False),
        (2, "True", "NewReplicaSetAvailable", True),
        (3, "True", "ReplicaSetUpdated", True),
        (3, "False", "ProgressDeadlineExceeded", False),
    ],
)
def test_a_rollout_is_under_way_until_it_is_done_or_gave_up(
    observed: int, status: str, reason: str, *, rolling: bool
) -> None:
    raw = a_deployment()
    raw["metadata"]["generation"] = 3
    rows = [
        {"type": "Available", "status": "True"},
        {"type": "Progressing", "status": status, "reason": reason},
    ]
    raw["status"] |= {"observedGeneration": observed, "conditions": rows}
    found = deployment(raw)
    assert found is not None
    assert found.rolling is rolling


def test_a_rollout_tells_its_last_step_its_patience_and_its_old_pods() -> None:
    raw = a_deployment(progressDeadlineSeconds=90)
    row = {
        "type": "Progressing",
        "status": "True",
        "reason": "ReplicaSetUpdated",
        "lastUpdateTime": "2030-01-07T12:00:00Z",
    }
    raw["status"] |= {"updatedReplicas": 1, "conditions": [row]}
    found = deployment(raw)
    assert found is not None
    assert (found.old, found.stepped) == (3, datetime(2030, 1, 7, 12, tzinfo=UTC))
    assert found.patience == timedelta(seconds=90)
    done = deployment(a_deployment())
    assert done is not None
    assert (done.stepped, done.patience) == (None, timedelta(minutes=10))


def told(type_: str, status: str, reason: str, minute: int) -> dict[str, str]:
    at = f"2030-01-07T12:{minute:02}:00Z"
    return {"type": type_, "status": status, "reason": reason, "lastUpdateTime": at}


ENDED, STEPPED, GIVEN_UP, HELD = (
    told("Progressing", "True", "NewReplicaSetAvailable", 1),
    told("Progressing", "True", "ReplicaSetUpdated", 2),
    told("Progressing", "False", "ProgressDeadlineExceeded", 3),
    told("Progressing", "Unknown", "DeploymentPaused", 4),
)
REFUSED = told("ReplicaFailure", "True", "FailedCreate", 5)


@pytest.mark.parametrize(
    ("rows", "generation", "minute"),
    [
        ([ENDED], 3, None),
        ([STEPPED], 3, 2),
        ([STEPPED, REFUSED], 3, 2),
        ([STEPPED], 4, None),
        # Back to a revision that was there before, and quota refuses its first pod.
        ([ENDED, REFUSED], 3, 5),
        # Without a deadline nothing is told of progress.
        ([REFUSED], 3, 5),
        ([], 3, None),
        ([GIVEN_UP, REFUSED], 3, None),
        ([HELD, REFUSED], 3, None),
    ],
)
def test_when_a_rollout_came_further_last(
    rows: list[dict[str, str]], generation: int, minute: int | None
) -> None:
    raw = a_deployment()
    raw["metadata"]["generation"] = generation
    raw["status"] |= {"observedGeneration": 3, "updatedReplicas": 0, "conditions": rows}
    found = deployment(raw)
    assert found is not None
    assert found.stepped == (None if minute is None else datetime(2030, 1, 7, 12, minute, tzinfo=UTC))


def test_a_deployment_without_gpus_is_of_no_interest() -> None:
    assert deployment(a_deployment(0)) is None


def test_a_statefulset_ends_a_pod_before_it_makes_the_next() -> None:
    ref = ObjectRef("apps/v1", "StatefulSet", "chat")
    found = of_controller(Controller("chat-prod", ref, "uid", None, {"app": "chat"}, {GPU: 1}, 3, 2))
    assert (found.key, found.ref, found.replicas, found.existing) == (Key("chat-prod", "chat"), ref, 3, 2)
    assert (found.surge, found.unavailable) == ("0", "1")


def an_hpa(note: str = "", **metadata: Any) -> dict[str, Any]:
    annotations = {ORIGINALS: note} if note else None
    meta = {"namespace": "chat-prod", "name": "hpa", "uid": "u", "resourceVersion": "7"}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    return {
        "metadata": meta | {"annotations": annotations} | metadata,
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4, "behavior": DOWN},
    }


def owner(manager: str, *fields: str) -> dict[str, Any]:
    return {"manager": manager, "fieldsV1": {"f:spec": {f: {} for f in fields}}}


def test_an_hpa_with_who_writes_it() -> None:
    managed = [
        owner("gpupool", "f:minReplicas"),
        owner("helm", "f:maxReplicas", "f:metrics"),
        owner("argocd", "f:behavior"),
        owner("kubectl", "f:metrics"),
        {"manager": "kube-controller-manager", "subresource": "status"},
    ]
    found = autoscaler(an_hpa(managedFields=managed))
    assert (found.key, found.uid, found.version) == (Key("chat-prod", "hpa"), "u", "7")
    assert (found.target, found.limits) == (
        ObjectRef("apps/v1", "Deployment", "chat"),
        Limits(2, 4, canonical(DOWN)),
    )
    assert (found.writers, found.keda, found.originals) == (("argocd", "helm"), "", None)


def test_what_an_hpa_scales_on_by_utilisation_is_told() -> None:
    def metric(name: str, of: str = "Utilization", kind: str = "resource") -> dict[str, Any]:
        return {"type": kind, kind: {"name": name, "target": {"type": of}}}

    raw = an_hpa()
    raw["spec"]["metrics"] = [metric("cpu", kind="containerResource"), metric("memory", "AverageValue")]
    raw["spec"]["metrics"].append({"type": "External", "external": {"metric": {"name": "queue"}}})
    assert autoscaler(raw).on == {"cpu"}
    assert autoscaler(an_hpa()).on == frozenset()


def test_an_hpa_of_keda_is_told_by_its_owner() -> None:
    row = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "so", "controller": True}
    assert autoscaler(an_hpa(ownerReferences=[row])).keda == "so"
    row["apiVersion"] = "other.dev/v1"
    assert autoscaler(an_hpa(ownerReferences=[row])).keda == ""


def test_one_that_we_made_is_told_by_label_and_owner_and_compared_without_its_tolerance() -> None:
    owner = {"apiVersion": "gpupool.dev/v1alpha1", "kind": "InferenceSLO", "name": "chat", "uid": "slo"}
    raw = an_hpa(labels=dict(MANAGED), ownerReferences=[{**owner, "controller": True}])
    raw["spec"]["behavior"] = {way: {"tolerance": "0"} for way in ("scaleUp", "scaleDown")}
    found = autoscaler(raw)
    assert (found.made, found.exact, "tolerance" in found.limits.behavior) == ("slo", True, False)
    theirs = autoscaler({**raw, "metadata": an_hpa()["metadata"]})
    assert (theirs.made, theirs.exact, "tolerance" in theirs.limits.behavior) == ("", False, True)


def test_a_note_is_read_back_as_it_was_written() -> None:
    assert read_note(write_note(NOTE)) == NOTE
    bare = Originals(Limits(1, 9), Limits(2, 4))
    assert read_note(write_note(bare)) == bare
    assert autoscaler(an_hpa(write_note(NOTE))).originals == NOTE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "{}",
        '{"maxReplicas":9}',
        '{"maxReplicas":9,"written":3}',
        '{"maxReplicas":9,"behavior":3,"written":{"maxReplicas":4}}',
        '{"maxReplicas":9,"behavior":{"scaleUp":{"policies":[3]}},"written":{"maxReplicas":4}}',
        '{"maxReplicas":9,"behavior":{"scaleUp":{"policies":[{}]}},"written":{"maxReplicas":4}}',
        '{"maxReplicas":9,"behavior":{"scaleDown":{"stabilizationWindowSeconds":"x"}},"written":{"maxReplicas":4}}',
        '{"maxReplicas":"many","written":{"maxReplicas":4}}',
        '{"maxReplicas":9,"written":{"maxReplicas":4},"rewrites":["yesterday"]}',
        '{"maxReplicas":9,"written":{"maxReplicas":4},"rewrites":["2030-01-07T12:00:00"]}',
        '{"maxReplicas":9,"written":{"maxReplicas":4},"rewrites":3}',
    ],
)
def test_a_note_that_somebody_broke_counts_as_none(text: str) -> None:
    assert read_note(text) is None

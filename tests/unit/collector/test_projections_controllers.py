"""What controllers want, and whether our quota stands in their way."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gpupool.collector import controllers
from gpupool.collector.controllers import Controller, Refusal
from gpupool.model.objects import ObjectRef

GPU = "nvidia.com/gpu"
NOON = datetime(2030, 1, 7, 12, tzinfo=UTC)
AT = "2030-01-07T12:00:00Z"
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"resources": {"limits": {GPU: "2"}}}]},
}
# As kube-apiserver 1.36 and the ReplicaSet controller write it.
SAID = (
    'pods "web-x7k2p" is forbidden: exceeded quota: {}, requested: requests.nvidia.com/gpu=2,'
    " used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8"
)
OURS, OTHERS = SAID.format("gpupool"), SAID.format("team-quota")


def raw(
    spec: dict[str, Any], status: dict[str, Any] | None = None, template: Any = None, **meta: Any
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": "web", "uid": "u", **meta},
        "spec": {"template": template or TEMPLATE, **spec},
        "status": status or {},
    }


def wants(found: Controller | None) -> tuple[int, int, bool, bool]:
    assert found is not None
    return (found.wanted, found.existing, found.refused, found.suspended)


def failing(message: str, status: str = "True") -> list[dict[str, str]]:
    return [{"type": "ReplicaFailure", "status": status, "reason": "FailedCreate", "message": message}]


def test_a_replicaset_is_its_pods_labels_gpus_and_owner() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True}
    found = controllers.replicaset(raw({"replicas": 4}, {"replicas": 3}, ownerReferences=[owner]))
    assert found is not None
    assert replace(found, template="") == Controller(
        namespace="a",
        ref=ObjectRef("apps/v1", "ReplicaSet", "web"),
        uid="u",
        owner=ObjectRef("apps/v1", "Deployment", "web"),
        labels={"app": "web"},
        gpus={GPU: 2},
        wanted=4,
        existing=3,
    )


@pytest.mark.parametrize(
    ("conditions", "refused"),
    [
        ([], False),
        (failing(OURS), True),
        (failing(OURS, status="False"), False),
        (failing(OTHERS), False),
        (failing(SAID.format("gpupool-2")), False),
        (failing('pods "web" is forbidden: violates PodSecurity "restricted:latest"'), False),
    ],
)
def test_a_replicaset_is_refused_only_where_our_quota_is_named(
    conditions: list[dict[str, str]], refused: bool
) -> None:
    found = controllers.replicaset(raw({"replicas": 2}, {"replicas": 0, "conditions": conditions}))
    assert wants(found) == (2, 0, refused, False)


def test_a_controller_of_pods_without_gpus_is_of_no_interest() -> None:
    plain = {"spec": {"containers": [{"resources": {"limits": {"cpu": "1"}}}]}}
    assert controllers.replicaset(raw({}, template=plain)) is None
    assert controllers.statefulset(raw({}, template=plain)) is None
    assert controllers.job(raw({}, template=plain)) is None


def test_a_statefulset_wants_its_replicas_and_one_where_it_does_not_say() -> None:
    assert wants(controllers.statefulset(raw({"replicas": 3}, {"replicas": 1}))) == (3, 1, False, False)
    assert wants(controllers.statefulset(raw({}))) == (1, 0, False, False)


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {}, (1, 0, False, False)),
        ({"parallelism": 4, "completions": 10}, {"active": 3, "succeeded": 2}, (4, 3, False, False)),
        ({"parallelism": 4, "completions": 10}, {"active": 1, "succeeded": 8}, (2, 1, False, False)),
        ({"parallelism": 4, "completions": 4}, {"succeeded": 4}, (0, 0, False, False)),
        ({"parallelism": 0, "completions": 4}, {}, (0, 0, False, False)),
        # A work queue has no completions: once one pod has succeeded, no new one is made for it.
        ({"parallelism": 4}, {"active": 3, "succeeded": 1}, (3, 3, False, False)),
        ({"parallelism": 4, "completions": 4, "suspend": True}, {}, (4, 0, False, True)),
        ({"suspend": False}, {"active": 1}, (1, 1, False, False)),
    ],
)
def test_a_job_wants_what_is_left_of_it(
    spec: dict[str, Any], status: dict[str, Any], expected: tuple[int, int, bool, bool]
) -> None:
    assert wants(controllers.job(raw(spec, status))) == expected


@pytest.mark.parametrize("ending", ["Complete", "Failed"])
def test_a_job_that_has_ended_wants_nothing_suspended_or_not(ending: str) -> None:
    status = {"conditions": [{"type": ending, "status": "True"}]}
    assert wants(controllers.job(raw({"parallelism": 4, "suspend": True}, status))) == (0, 0, False, False)
    going_on = {"conditions": [{"type": ending, "status": "False"}]}
    assert wants(controllers.job(raw({"parallelism": 4}, going_on))) == (4, 0, False, False)


def an_event(message: str, **times: Any) -> dict[str, Any]:
    return {"metadata": {"name": "e"}, "involvedObject": {"uid": "u"}, "message": message, **times}


@pytest.mark.parametrize(
    "message",
    [
        f"Error creating: {OURS}",
        f"create Pod db-0 in StatefulSet db failed error: {OURS}",
        f"(combined from similar events): Error creating: {OURS}",
    ],
)
def test_every_controllers_words_for_a_refusal_of_ours_are_understood(message: str) -> None:
    assert controllers.refusal(an_event(message, lastTimestamp=AT)) == Refusal("u", NOON)


@pytest.mark.parametrize("message", [f"Error creating: {OTHERS}", "Error creating: no ServiceAccount", ""])
def test_a_refusal_by_others_is_of_no_interest(message: str) -> None:
    assert controllers.refusal(an_event(message, lastTimestamp=AT)) is None


@pytest.mark.parametrize(
    "times",
    [
        {"lastTimestamp": AT},
        {"lastTimestamp": None, "eventTime": "2030-01-07T12:00:00.000000Z"},
        {"metadata": {"name": "e", "creationTimestamp": AT}},
        {
            "eventTime": "2030-01-07T11:00:00.000000Z",
            "series": {"count": 2, "lastObservedTime": "2030-01-07T12:00:00.000000Z"},
        },
        {"lastTimestamp": AT, "series": None},
    ],
)
def test_a_refusal_is_as_young_as_its_last_sight(times: dict[str, Any]) -> None:
    assert controllers.refusal(an_event(OURS, **times)) == Refusal("u", NOON)


def test_a_refusal_without_any_time_says_nothing() -> None:
    assert controllers.refusal(an_event(OURS)) is None


def test_no_pods_are_made_any_more_from_what_is_being_deleted() -> None:
    lives = controllers.replicaset(raw({"replicas": 1}))
    goes = controllers.replicaset(raw({"replicas": 1}, deletionTimestamp=AT))
    assert lives is not None
    assert goes is not None
    assert (bool(lives.template), goes.template) == (True, "")


@pytest.mark.parametrize(
    ("text", "revision"),
    [("7", 7), ("x", 0), ("", 0), ("-1", 0), (" 7", 0), ("٣", 0), ("9" * 18, 10**18 - 1), ("9" * 5000, 0)],
)
def test_a_revision_that_is_no_number_hides_no_controller(text: str, revision: int) -> None:
    notes = {controllers.REVISION: text}
    for see in (controllers.replicaset, controllers.job):
        found = see(raw({"replicas": 2, "parallelism": 2}, annotations=notes))
        assert found is not None
        assert (found.wanted, found.revision) == (2, revision)

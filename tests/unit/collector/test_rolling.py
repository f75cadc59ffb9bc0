"""What is read of a Deployment's rollout, and what is noted on it and read back."""

from typing import Any

import pytest

from gpupool.collector.controllers import statefulset
from gpupool.collector.rolling import digest, revision_of, rollable
from gpupool.collector.scaling import deployment
from gpupool.model.rollout import Acted
from gpupool.model.rolloutnote import MOST, NOTE, read_acted, write_acted
from support.gpupods import pod_spec

ACTED = (Acted("Pause", "7d9f", "digest"), Acted("Rollback", "7d9f", "digest", "5c4b"))


def a_deployment(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "chat-prod",
            "name": "chat",
            "uid": "u",
            "resourceVersion": "7",
            "annotations": annotations or {},
        },
        "spec": {"template": {"spec": pod_spec(1)}, **spec},
    }


def test_a_rollout_that_nobody_touched() -> None:
    found = rollable(a_deployment())
    assert (found.uid, found.version, found.paused, found.ours, found.noted) == (
        "u",
        "7",
        False,
        False,
        False,
    )
    assert found.template == digest({"spec": pod_spec(1)})
    assert found.template != digest({"spec": pod_spec(2)})
    target = deployment(a_deployment())
    assert target is not None
    assert target.rollable == found


@pytest.mark.parametrize(("manager", "ours"), [("gpupool", True), ("kubectl-rollout", False)])
def test_whose_pause_it_is(manager: str, ours: bool) -> None:
    raw = a_deployment({NOTE: write_acted(ACTED)}, paused=True)
    raw["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
        {"manager": "gpupool", "subresource": "status", "fieldsV1": {"f:spec": {"f:paused": {}}}},
    ]
    found = rollable(raw)
    assert (found.paused, found.ours, found.noted, found.acted) == (True, ours, True, ACTED)


@pytest.mark.parametrize(
    ("reason", "failed"), [("ProgressDeadlineExceeded", True), ("ReplicaSetUpdated", False)]
)
def test_whether_its_controller_gave_up(reason: str, failed: bool) -> None:
    raw = a_deployment()
    raw["status"] = {"conditions": [{"type": "Available"}, {"type": "Progressing", "reason": reason}]}
    assert rollable(raw).failed is failed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        "null",
        "[1]",
        '[{"action":"Dance","revision":"x"}]',
        '[{"action":"Pause","revision":1}]',
    ],
)
def test_a_broken_note_says_nothing(text: str) -> None:
    assert read_acted(text) == ()


def test_only_the_last_deeds_are_kept() -> None:
    many = [Acted("Rollback", f"r{n}", "t") for n in range(9)]
    assert read_acted(write_acted(many)) == tuple(many[-MOST:])


def test_a_pod_names_its_revision() -> None:
    assert revision_of({"pod-template-hash": "7d9f"}) == "7d9f"
    assert revision_of({"controller-revision-hash": "web-7d9f"}) == "web-7d9f"
    assert revision_of({}) == ""


def test_a_statefulset_names_its_newest() -> None:
    raw = a_deployment()
    raw["status"] = {"updateRevision": "chat-7d9f"}
    found = statefulset(raw)
    assert found is not None
    assert found.update == "chat-7d9f"
    raw["spec"]["template"]["spec"] = {"containers": []}
    assert statefulset(raw) is None

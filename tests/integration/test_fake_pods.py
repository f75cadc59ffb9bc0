"""What the annotations of a pod make it do on a fake node."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from localplane.processes import wait_until
from support.gpupods import RUN_FOR, START_AFTER, STATE, TERMINATE_AFTER, gpu_job, gpu_pod

LIMIT = 60.0


@pytest.fixture(scope="module")
def selector(plane: Any) -> Iterator[dict[str, str]]:
    """A node selector that leads to this module's own node."""
    name = f"pods-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(name, 64, labels={"test-node": name})])
        yield {"test-node": name}
        kube.delete(f"{NODES}/{name}")


@pytest.fixture
def place(kube: Kube, namespace: Callable[..., str], selector: dict[str, str]) -> "Place":
    return Place(kube, namespace("pods"), selector)


class Place:
    """One namespace and one node to run pods in."""

    def __init__(self, kube: Kube, namespace: str, selector: dict[str, str]) -> None:
        self.kube, self.namespace, self.selector = kube, namespace, selector
        self.path = f"/api/v1/namespaces/{namespace}/pods"

    def run(self, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        pod = gpu_pod(self.namespace, name, annotations=annotations, nodeSelector=self.selector, **spec)
        self.kube.create(pod)

    def pod(self, name: str) -> dict[str, Any]:
        return self.kube.get(f"{self.path}/{name}")

    def phase(self, name: str) -> str:
        return str(self.pod(name)["status"]["phase"])

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        found = self.pod(name)["status"].get("conditions", [])
        return next((entry for entry in found if entry["type"] == kind), {})

    def becomes(self, name: str, phase: str) -> bool:
        return bool(wait_until(lambda: self.phase(name) == phase, LIMIT))

    def annotate(self, name: str, key: str, value: str | None) -> None:
        self.kube.patch(f"{self.path}/{name}", {"metadata": {"annotations": {key: value}}})


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_pod_without_annotations_runs_ready_until_it_is_deleted(place: Place) -> None:
    place.run("work", initContainers=[{"name": "prepare", "image": "x"}])
    assert place.becomes("work", "Running")
    pod = place.pod("work")
    assert place.condition("work", "Ready")["status"] == "True"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert pod["status"]["containerStatuses"][0]["state"].keys() == {"running"}
    assert pod["status"]["podIP"].startswith("10.244.")
    place.kube.delete(f"{place.path}/work")
    assert wait_until(lambda: not place.kube.exists(f"{place.path}/work"), LIMIT)


def test_start_after_keeps_a_bound_pod_pending_that_long(place: Place) -> None:
    place.run("late", {START_AFTER: "10s"})
    assert wait_until(lambda: place.condition("late", "PodScheduled").get("status") == "True", LIMIT)
    assert place.phase("late") == "Pending"
    assert place.becomes("late", "Running")
    bound = seconds(place.condition("late", "PodScheduled")["lastTransitionTime"])
    assert 10 <= seconds(place.pod("late")["status"]["startTime"]) - bound <= 40


def test_run_for_ends_a_pod_as_succeeded(place: Place) -> None:
    place.run("short", {RUN_FOR: "2s"}, restartPolicy="Never")
    assert place.becomes("short", "Succeeded")
    ended = place.pod("short")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 0
    assert 2 <= seconds(ended["finishedAt"]) - seconds(ended["startedAt"]) <= 30


def test_other_changes_of_the_pod_do_not_start_run_for_anew(place: Place) -> None:
    place.run("busy", {RUN_FOR: "4s"}, restartPolicy="Never")
    assert place.becomes("busy", "Running")
    numbers = iter(range(1000))

    def touch_until_it_ended() -> bool:
        place.annotate("busy", "touched", str(next(numbers)))
        return place.phase("busy") == "Succeeded"

    assert wait_until(touch_until_it_ended, LIMIT)
    ended = place.pod("busy")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert 4 <= seconds(ended["finishedAt"]) - seconds(ended["startedAt"]) <= 30


def test_a_misspelt_run_for_runs_until_deleted(place: Place) -> None:
    place.run("for-ever", {RUN_FOR: "two seconds"})
    place.run("after", {RUN_FOR: "3s"}, restartPolicy="Never")
    assert place.becomes("after", "Succeeded")
    assert place.phase("for-ever") == "Running"


def test_a_job_completes_and_its_tracking_finalizers_go(place: Place) -> None:
    place.kube.create(
        gpu_job(place.namespace, "train", 3, annotations={RUN_FOR: "1s"}, nodeSelector=place.selector)
    )
    path = f"/apis/batch/v1/namespaces/{place.namespace}/jobs/train"
    assert wait_until(lambda: place.kube.get(path)["status"].get("succeeded") == 3, LIMIT)
    assert wait_until(lambda: "completionTime" in place.kube.get(path)["status"], LIMIT)
    pods = place.kube.list(place.path, labels="job-name=train")
    assert len(pods) == 3
    assert not [pod for pod in pods if pod["metadata"].get("finalizers")]


def test_a_jobs_deleted_pod_ends_as_failed_and_is_counted(place: Place) -> None:
    place.kube.create(gpu_job(place.namespace, "train", 1, nodeSelector=place.selector))
    assert wait_until(lambda: _running(place, "train"), LIMIT)
    (pod,) = place.kube.list(place.path, labels="job-name=train")
    place.kube.delete(f"{place.path}/{pod['metadata']['name']}")
    path = f"/apis/batch/v1/namespaces/{place.namespace}/jobs/train"
    assert wait_until(lambda: place.kube.get(path)["status"].get("failed") == 1, LIMIT)


def _running(place: Place, job: str) -> bool:
    return any(
        pod["status"]["phase"] == "Running" for pod in place.kube.list(place.path, labels=f"job-name={job}")
    )


@pytest.mark.parametrize(
    ("state", "phase", "restarts"), [("ImagePullBackOff", "Pending", 0), ("CrashLoopBackOff", "Running", 3)]
)
def test_a_broken_pod_is_bound_and_never_ready_until_the_annotation_goes(
    place: Place, state: str, phase: str, restarts: int
) -> None:
    place.run("broken", {STATE: state})

    def waiting() -> str:
        statuses = place.pod("broken")["status"].get("containerStatuses", [{}])
        return str(statuses[0].get("state", {}).get("waiting", {}).get("reason"))

    assert wait_until(lambda: waiting() == state, LIMIT)
    pod = place.pod("broken")
    assert pod["spec"]["nodeName"] == place.selector["test-node"]
    assert pod["status"]["phase"] == phase
    assert pod["status"]["containerStatuses"][0]["restartCount"] == restarts
    assert place.condition("broken", "Ready")["status"] == "False"
    place.annotate("broken", STATE, None)
    assert wait_until(lambda: place.condition("broken", "Ready")["status"] == "True", LIMIT)


def test_terminate_after_keeps_a_deleted_pod_terminating_that_long(place: Place) -> None:
    place.run("slow", {TERMINATE_AFTER: "3s"})
    assert place.becomes("slow", "Running")
    place.kube.delete(f"{place.path}/slow")
    asked = time.monotonic()
    pod = place.pod("slow")
    assert pod["metadata"]["deletionTimestamp"]
    assert pod["status"]["phase"] == "Running"
    assert wait_until(lambda: not place.kube.exists(f"{place.path}/slow"), LIMIT)
    assert 1.9 <= time.monotonic() - asked <= 40


def test_a_force_deleted_pod_is_gone_at_once_whatever_it_says(place: Place) -> None:
    place.run("slow", {TERMINATE_AFTER: "10m"})
    assert place.becomes("slow", "Running")
    place.kube.delete(f"{place.path}/slow", grace_seconds=0)
    assert not place.kube.exists(f"{place.path}/slow")

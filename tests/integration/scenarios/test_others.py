"""Rows 14 and 16: what others count quota with is named, never edited; beside Kueue a share is left alone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration.scenarios.conftest import LONG, enforced
from localplane.kube import Kube, KubeError
from support.marks import marks
from support.plane import eventually
from support.story import RESOURCE, Story

Json = dict[str, Any]
GROUP = "kueue.x-k8s.io"
CRD = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/localqueues.{GROUP}"


@pytest.fixture
def kueue(kube: Kube) -> Iterator[Callable[[], None]]:
    """Serves the kind LocalQueue when called, with nobody behind it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd: Json = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"localqueues.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "localqueues", "singular": "localqueue", "kind": "LocalQueue"},
            "versions": [
                {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
    # The API server lets nobody else use this group without a word of approval, true or not.
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, for a test"}

    def serve() -> None:
        if not kube.exists(CRD):
            kube.create(crd)

    yield serve
    kube.delete(CRD)
    # One that is on its way out would be taken for one that is there, by the next test.
    eventually(lambda: not kube.exists(CRD), "the kind is gone", LONG)


def _queue(story: Story, namespace: str) -> Json:
    path = f"/apis/{GROUP}/v1beta1/namespaces/{namespace}/localqueues"
    queue = {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": "jobs", "namespace": namespace},
        "spec": {"clusterQueue": "main"},
    }
    return story.until(lambda: _made(story.kube, queue, path), "the queue is taken", LONG)


def _made(kube: Kube, manifest: Json, path: str) -> Json | None:
    """Create an object; None while its kind is not served, or its storage is not ready yet."""
    try:
        return kube.create(manifest, path=path)
    except KubeError as error:
        if error.status not in {404, 429}:
            raise
        return None


def _conflict(story: Story, status: str) -> Json:
    return story.until(
        lambda: c if (c := story.condition("Conflict")).get("status") == status else None,
        lambda: f"Conflict is {status} (now {story.condition('Conflict')})",
        LONG,
    )


def test_beside_a_local_queue_a_share_stays_in_observe_until_the_queue_is_gone(
    story: Story, kueue: Callable[[], None]
) -> None:
    kueue()
    story.add_nodes(1)
    queued, free = story.team("queued"), story.team("free")
    queue = _queue(story, queued)
    shares = [story.share(queued, 4), story.share(free, 4)]
    story.pool("Observe", shares=shares)
    for team in (queued, free):
        story.ask(team, "work", 4)
    told = _conflict(story, "True")
    story.pool(shares=shares)
    assert told["reason"] == "LocalQueue"
    assert f"{queued}/jobs" in told["message"]
    story.until(lambda: story.hard(free) == 4, "the other share is walled", LONG)
    assert story.until_phase(queued, "work", "Granted", seconds=LONG)["granted"] == 4
    assert not [m for m in marks(story.kube, story.name) if queued in m]
    row = {"kind": "LocalQueue", "namespace": queued, "name": "jobs"}
    story.until(lambda: story.pool_status().get("foreign") == [row], "the pool's table names it", LONG)
    path = f"/apis/{GROUP}/v1beta1/namespaces/{queued}/localqueues/jobs"
    assert story.kube.get(path)["metadata"]["resourceVersion"] == queue["metadata"]["resourceVersion"]

    story.kube.delete(path)
    _conflict(story, "False")
    story.until(lambda: story.hard(queued) == 4, "and now it is walled too", LONG)


def test_a_queue_that_appears_behind_a_wall_is_named_and_opens_nothing(
    story: Story, kueue: Callable[[], None]
) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 4)])
    story.ask(team, "work", 4)
    story.until_phase(team, "work", "Granted", seconds=LONG)
    enforced(story)
    kueue()
    _queue(story, team)
    assert "were enforced before" in _conflict(story, "True")["message"]
    assert story.hard(team) == 4
    assert f"label of namespace {team}" in marks(story.kube, story.name)


def test_the_smaller_of_two_quotas_is_named_and_left_as_it_is(story: Story) -> None:
    story.add_nodes(2)
    team = story.team("a")
    theirs = story.kube.create(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "platform", "namespace": team},
            "spec": {"hard": {f"requests.{RESOURCE}": "8", "pods": "50"}},
        }
    )
    story.pool(shares=[story.share(team, 16)])
    story.ask(team, "work", 16)
    status = story.until(
        lambda: (
            s
            if (s := story.status(team, "work")).get("phase") == "Granted"
            and "platform" in s.get("decision", {}).get("message", "")
            else None
        ),
        "the request is told",
        LONG,
    )
    assert (status["phase"], status["granted"]) == ("Granted", 16)
    assert (
        f"ResourceQuota platform of the namespace allows 8 {RESOURCE} in all" in status["decision"]["message"]
    )
    row = {"kind": "ResourceQuota", "namespace": team, "name": "platform", "hard": {RESOURCE: 8}}
    story.until(lambda: story.pool_status().get("foreign") == [row], "and the pool's table", LONG)
    left = story.kube.get(f"/api/v1/namespaces/{team}/resourcequotas/platform")
    assert left["spec"] == theirs["spec"]
    assert {f["manager"] for f in left["metadata"]["managedFields"]} & {"gpupool"} == set()

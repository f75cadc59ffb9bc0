"""Nodes that die, are cordoned and drained, and pods that will not end."""

import pytest

from localplane.kube import JSON_PATCH
from localplane.nodes import create_nodes, node_manifest
from support.faultstory import LONG, FaultStory, variant
from support.gpupods import TERMINATE_AFTER
from support.observer import Observer
from support.story import GROUP, Json
from support.verdict import law

FINALIZER = "test.example/stays"
SLOW = 8
"""Seconds that some pods take to end."""
QUIET = 6.0
"""Seconds in which something must not happen; several cycles."""


def _pods_on(story: FaultStory, node: str) -> list[Json]:
    return story.kube.list("/api/v1/pods", fields=f"spec.nodeName={node}")


def _path(pod: Json, sub: str = "") -> str:
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}{sub}"


@pytest.mark.timeout(1200)
def test_a_lost_node_raises_nothing_and_breaks_no_grant_silently(
    story: FaultStory, observer: Observer
) -> None:
    observer.capacity_lost = True
    story.add_nodes(2)
    a, b = story.team("a"), story.team("b")
    story.pool(shares=[story.share(a, 8), story.share(b, 8)])
    story.until_enforced()
    for team in (a, b):
        story.ask(team, "work", 6)
        story.until_phase(team, "work", "Granted", seconds=LONG)
        story.run(team, "work", 4)
    story.until(lambda: story.held(a) == story.held(b) == 4, "both run", LONG)

    lost = story.nodes[1]
    for pod in _pods_on(story, lost):
        story.kube.delete(_path(pod), grace_seconds=0)
    story.kube.delete(f"/api/v1/nodes/{lost}")
    story.until(lambda: story.condition("Overcommitted").get("status") == "True", "it says so", LONG)
    story.until(
        lambda: story.metric("gpupool_overcommitted_gpus", pool=story.name) == 4, "and how much", LONG
    )

    story.ask(a, "more", 2)
    story.until_phase(a, "more", "Queued", seconds=LONG)
    story.ask(b, "work", 5)
    story.until(lambda: story.hard(b) == 5, "an owner's own decrease is carried out", LONG)
    story.stays(lambda: story.status(a, "more")["phase"] == "Queued", "nothing is raised", QUIET)
    law((story.hard(a), story.status(a, "work")["granted"]) == (6, 6), "no grant is broken")

    create_nodes(story.kube, [node_manifest(lost, 8, labels={GROUP: story.name})])
    story.until_phase(a, "more", "Granted", seconds=LONG)
    story.until_settled()
    assert story.condition("Overcommitted")["status"] == "False"
    story.counts["nodes lost"] += 1


@variant
@pytest.mark.timeout(1200)
def test_a_drain_lowers_no_grant_and_its_free_gpus_are_given_to_nobody(
    story: FaultStory, observer: Observer
) -> None:
    story.add_nodes(2)
    a, b = story.team("a"), story.team("b")
    story.pool(shares=[story.share(a, 8), story.share(b, 8)])
    story.until_enforced()
    story.ask(a, "serve", 8)
    story.until_phase(a, "serve", "Granted", seconds=LONG)
    story.deploy(a, "serve", 8)
    story.until(lambda: story.held(a) == 8, "all run", LONG)

    first = story.nodes[0]
    story.kube.patch(f"/api/v1/nodes/{first}", {"spec": {"unschedulable": True}})
    story.until(lambda: story.drift() == {}, "the cordon is in the books", LONG)
    story.ask(b, "want", 8)
    story.until_phase(b, "want", "Queued", seconds=LONG)
    for pod in _pods_on(story, first):
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
        body = {**eviction, "metadata": {"name": name, "namespace": namespace}}
        story.kube.create(body, path=_path(pod, "/eviction"))
    story.wake(a)
    story.until(lambda: story.held(a) == 8 and not _pods_on(story, first), "all moved over", LONG)
    story.stays(lambda: story.status(b, "want")["phase"] == "Queued", "the drained node is not given", QUIET)
    walls = observer.hards(a)
    law(set(walls[walls.index(8) :]) == {8}, "no grant fell because of a cordon")

    story.kube.patch(f"/api/v1/nodes/{first}", {"spec": {"unschedulable": None}})
    story.until_phase(b, "want", "Granted", seconds=LONG)
    story.until_settled()
    story.counts["nodes drained"] += 1


@pytest.mark.timeout(1200)
def test_pods_that_do_not_end_hold_their_gpus_until_their_containers_have_ended(
    story: FaultStory, observer: Observer
) -> None:
    del observer
    story.add_nodes(1)
    owner, other = story.team("owner"), story.team("other")
    story.pool(shares=[story.share(owner, 8), story.share(other)], recall={"within": "5s", "notice": "5s"})
    story.until_enforced()
    story.ask(other, "batch", 8, preemptible=True)
    story.until_phase(other, "batch", "Granted", seconds=LONG)
    pods = [f"/api/v1/namespaces/{other}/pods/{name}" for name in story.run(other, "batch", 8)]
    for path in pods[:4]:
        story.kube.patch(path, {"metadata": {"annotations": {TERMINATE_AFTER: f"{SLOW}s"}}})
    for path in pods[4:]:
        story.kube.patch(path, {"metadata": {"finalizers": [FINALIZER]}})
    story.until(lambda: story.held(other) == 8, "the borrower runs", LONG)

    story.ask(owner, "serve", 8)
    story.until(lambda: all(_leaves(story, path) for path in pods), "all were asked to go", LONG)
    story.stays(
        lambda: (story.hard(owner) or 0) == 0 or not any(_runs(story, path) for path in pods[:4]),
        "what still runs is given to nobody",
        SLOW + QUIET,
    )
    # A pod whose containers have ended holds no GPU, however long its finalizers keep the object.
    story.until_phase(owner, "serve", "Granted", seconds=LONG)
    assert all(map(story.kube.exists, pods[4:]))
    for path in pods[4:]:
        story.kube.patch(path, [{"op": "remove", "path": "/metadata/finalizers"}], content_type=JSON_PATCH)
    story.until_settled()
    story.counts["pods stuck in Terminating"] += 8


def _runs(story: FaultStory, path: str) -> bool:
    """Whether a pod is there and its containers have not ended."""
    found = story.kube.find(path)
    return found is not None and found["status"].get("phase") not in {"Failed", "Succeeded"}


def _leaves(story: FaultStory, path: str) -> bool:
    """Whether a pod is on its way out, or gone."""
    found = story.kube.find(path)
    return found is None or "deletionTimestamp" in found["metadata"]

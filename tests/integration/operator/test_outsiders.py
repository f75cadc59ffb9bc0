"""Policies about everybody outside the pools: they come and go with them, also without the operator."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from integration.isolation.asking import create, pod
from integration.operator.test_isolation import enforced
from localplane.kube import KubeError
from support.marks import ADMISSION, POOL_LABEL, two_lines
from support.replicas import killed

if TYPE_CHECKING:
    from localplane.cluster import Cluster
    from support.story import Story

Json = dict[str, Any]
BINDINGS = f"{ADMISSION}/validatingadmissionpolicybindings"
LIMIT = 120


def shared(story: Story) -> list[str]:
    """What stands of no pool's own, and the pods that are kept."""
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    found = [o for kind in kinds for o in story.kube.list(f"{ADMISSION}/{kind}", labels=f"{POOL_LABEL}=")]
    kept = story.kube.list("/api/v1/namespaces/gpupool-probe/pods")
    return sorted(o["metadata"]["name"] for o in (*found, *kept))


def actions(story: Story) -> list[str]:
    binding = story.kube.find(f"{BINDINGS}/gpupool-outsiders")
    return [] if binding is None else list(binding["spec"]["validationActions"])


def let_in(story: Story, namespace: str, manifest: Json) -> bool:
    try:
        create(story.kube, namespace, manifest, dry_run=True)
    except KubeError as error:
        if error.status != 403:
            raise
        return False
    return True


def test_they_are_as_strict_as_the_strictest_pool_and_leave_nothing(story: Story, other: Story) -> None:
    story.until_nobody_enforces()
    story.add_nodes(1)
    other.add_nodes(1)
    team, looked_at, outside = story.team("a"), other.team("b"), story.team("outside")
    shares = [story.share(team, 8)]
    other.pool("Observe", shares=[other.share(looked_at, 8)])
    assert let_in(story, outside, pod("early", 1))
    story.pool("Recommend", shares=shares)
    story.until(lambda: actions(story) == ["Warn", "Audit"], "outsiders are warned", LIMIT)
    story.until(lambda: let_in(story, outside, pod("warned", 1)), "and let in")
    story.pool(shares=shares)
    story.until_enforced()
    story.until(lambda: actions(story) == ["Deny", "Audit"], "outsiders are refused", LIMIT)
    story.until(lambda: not let_in(story, outside, pod("late", 1)), "it acts", LIMIT)
    for fine in (pod("own", 1), pod("placed", 1, **two_lines(other.name))):
        story.until(partial(let_in, story, looked_at, fine), "a pool that only looks loses nothing")
    story.until(lambda: f"kept-for-{story.name}" in shared(story), "a pod is kept")
    story.kube.delete(f"{BINDINGS}/gpupool-outsiders")
    story.kube.delete(f"/api/v1/namespaces/gpupool-probe/pods/kept-for-{story.name}", grace_seconds=0)
    story.until(lambda: actions(story) == ["Deny", "Audit"], "the binding is written again", LIMIT)
    story.until(lambda: f"kept-for-{story.name}" in shared(story), "the pod is kept again", LIMIT)
    enforced(story)
    story.pool("Observe", shares=shares)
    story.until(lambda: shared(story) == [], "nothing of it is left", LIMIT)
    story.until(lambda: let_in(story, outside, pod("again", 1)), "nobody is refused any more", LIMIT)


def test_what_stands_in_a_namespace_on_its_way_out_keeps_nobody_waiting(story: Story) -> None:
    story.until_nobody_enforces()
    story.add_nodes(1)
    team, gone = story.team("a"), story.team("gone")
    story.deploy(gone, "wild", 1)
    stuck = pod("stuck")
    stuck["metadata"]["finalizers"] = ["example.com/stuck"]
    create(story.kube, gone, stuck)
    story.pool(shares=[story.share(team, 8)])
    story.until_enforced()
    waiting = partial(_said_of, story, f"{gone} Deployment/wild")
    story.until(waiting, "what runs there would be denied", LIMIT)
    assert actions(story) == ["Warn", "Audit"]
    story.kube.delete(f"/api/v1/namespaces/{gone}")
    try:
        story.until(lambda: actions(story) == ["Deny", "Audit"], "outsiders are refused", LIMIT)
        assert story.kube.exists(f"/apis/apps/v1/namespaces/{gone}/deployments/wild"), "Kubernetes keeps it"
    finally:
        story.kube.patch(f"/api/v1/namespaces/{gone}/pods/stuck", {"metadata": {"finalizers": None}})
    story.until(lambda: not story.kube.exists(f"/api/v1/namespaces/{gone}"), "it goes", LIMIT)


def _said_of(story: Story, workload: str) -> bool:
    """Whether it is among those that would be denied."""
    _, _, denied = story.condition("Enforced").get("message", "").partition("would be denied:")
    return workload in denied


def test_with_the_operator_dead_they_go_with_their_last_pool(story: Story, plane: Cluster) -> None:
    story.until_nobody_enforces()
    story.add_nodes(1)
    team, outside = story.team("a"), story.team("outside")
    story.pool(shares=[story.share(team, 8)])
    story.until_enforced()
    let_in_again = partial(let_in, story, outside, pod("wild", tolerations=[{"operator": "Exists"}]))
    story.until(lambda: not let_in_again(), "outsiders are refused", LIMIT)
    with killed(plane):
        story.kube.delete(story.path)
        story.until(lambda: shared(story) == [], "the API server collects them", LIMIT)
        story.until(let_in_again, "nobody is refused any more", LIMIT)

"""What only the cluster knows to be wrong: phase, reason, sentence and condition say it; no grant is lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from integration.operator.test_isolation import enforced

if TYPE_CHECKING:
    from support.story import Story

Json = dict[str, Any]


def told(story: Story, namespace: str, name: str, phase: str, reason: str) -> str:
    """Wait for a phase with its reason; returns the sentence, after a look at the condition."""
    status = story.until(
        lambda: (
            s
            if (s := story.status(namespace, name)).get("phase") == phase
            and s["decision"]["reason"] == reason
            else None
        ),
        lambda: f"{name} becomes {phase} for {reason} (now {story.status(namespace, name)})",
    )
    condition = story.condition("Granted", status)
    assert (condition["status"], condition["reason"]) == ("False", reason)
    assert condition["message"] == status["decision"]["message"]
    assert condition["observedGeneration"] == story.request(namespace, name)["metadata"]["generation"]
    assert not status.get("granted")
    return str(status["decision"]["message"])


def unready(pool: Story, reason: str) -> Json | None:
    """Condition Ready, where it is False for this reason."""
    found = pool.condition("Ready")
    return found if (found.get("status"), found.get("reason")) == ("False", reason) else None


def test_an_unknown_pool_is_named_with_those_there_are(story: Story, granted: str) -> None:
    story.ask(granted, "lost", 1, pool="no-such-pool")
    message = told(story, granted, "lost", "Pending", "UnknownPool")
    assert "spec.pool no-such-pool does not exist" in message
    assert story.name in message


def test_a_pool_that_comes_later_is_known_then(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.ask(team, "early", 2, pool=story.name)
    told(story, team, "early", "Pending", "UnknownPool")
    story.pool(shares=[story.share(team, 4)])
    assert story.until_phase(team, "early", "Granted")["granted"] == 2


def test_a_namespace_in_no_share_is_told_whom_to_ask(story: Story, granted: str) -> None:
    del granted
    team = story.team("stranger")
    story.ask(team, "lost", 1)
    message = told(story, team, "lost", "Pending", "NamespaceWithoutPool")
    assert team in message
    assert "add it to spec.shares" in message


def test_another_pools_namespace_is_refused_with_the_way_out(
    story: Story, other: Story, granted: str
) -> None:
    other.pool(shares=[other.share(other.team("b"))])
    story.ask(granted, "astray", 1, pool=other.name)
    message = told(story, granted, "astray", "Refused", "OtherPool")
    assert f"spec.pool {other.name} is not the pool of namespace {granted}, which is {story.name}" in message
    assert "without spec.pool" in message


def test_a_resource_nobody_governs_is_refused_with_those_there_are(story: Story, granted: str) -> None:
    story.ask(granted, "exotic", 1, resource="amd.com/gpu")
    message = told(story, granted, "exotic", "Refused", "UnknownResource")
    assert "spec.resource amd.com/gpu is not governed" in message
    assert "ask for one of nvidia.com/gpu" in message


def test_more_than_there_ever_is_is_refused_with_the_most(story: Story, granted: str) -> None:
    story.ask(granted, "huge", 64, preemptible=True)
    message = told(story, granted, "huge", "Refused", "AboveCapacity")
    assert "spec.gpus 64" in message
    assert "ask for at most 8" in message


def test_more_than_the_limit_is_refused_with_the_limit(story: Story, granted: str) -> None:
    story.pool(shares=[story.share(granted, 4, limit=6)])
    story.ask(granted, "large", 7, preemptible=True)
    message = told(story, granted, "large", "Refused", "AboveLimit")
    assert "limit of 6 GPUs" in message


def test_a_namespace_two_pools_list_belongs_to_its_label_and_else_to_none(
    story: Story, other: Story, granted: str
) -> None:
    enforced(story)
    other.add_nodes(1)
    shared = other.team("shared")
    other.ask(shared, "torn", 1)
    both = [other.share(shared, 2), other.share(granted, 2)]
    other.pool("Observe", shares=both)  # enforced it would label what it is the first to list
    story.pool(shares=[story.share(granted, 4), story.share(shared)])
    told(other, shared, "torn", "Pending", "NamespaceClaimedTwice")
    other.pool(shares=both)
    for pool in (story, other):
        ready = pool.until(partial(unready, pool, "NamespaceClaimedTwice"), f"pool {pool.name} says so")
        assert shared in ready["message"]
    other.until(other.decided, "the other pool's Enforce is decided")
    told(other, shared, "torn", "Pending", "NamespaceClaimedTwice")
    other.pool(shares=[other.share(granted, 2)])
    story.pool(shares=[story.share(granted, 4), story.share(shared)])
    story.until(lambda: other.status(shared, "torn").get("pool") == story.name, "one claim is enough")


def test_a_node_two_pools_select_belongs_to_none(story: Story, other: Story, granted: str) -> None:
    del granted
    (mine,) = other.add_nodes(1)
    other.pool("Observe")
    other.until(lambda: other.condition("Ready").get("status") == "True", "the pool has its node")
    story.pool("Observe", nodes={"names": [mine, *story.nodes]}, shares=story_shares(story))
    for pool in (story, other):
        ready = pool.until(partial(unready, pool, "NodeClaimedTwice"), f"pool {pool.name} says so")
        assert mine in ready["message"]
    assert other.pool_status()["capacity"].get("total", {}).get("nvidia.com/gpu", 0) == 0
    story.pool(shares=story_shares(story))
    story.until(lambda: story.in_force(story_shares(story)[0]["team"]) == 4, "the wall is back")


def story_shares(story: Story) -> list[Json]:
    """The pool's shares as they stand."""
    found = story.kube.get(f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}")
    return [dict(share) for share in found["spec"]["shares"]]


def test_guarantees_beyond_capacity_are_said_and_break_nothing(story: Story, granted: str) -> None:
    late = story.team("late")
    story.pool(shares=[story.share(granted, 4), story.share(late, 32)])
    ready = story.until(partial(unready, story, "GuaranteesExceedCapacity"), "the pool says so")
    assert "guaranteed 36 nvidia.com/gpu" in ready["message"]
    assert "the pool has 8" in ready["message"]
    story.ask(late, "all", 8)
    story.until_phase(late, "all", "Queued")


def test_a_pool_without_nodes_says_so(story: Story) -> None:
    team = story.team("a")
    story.pool(shares=[story.share(team, 4)])
    story.ask(team, "early", 2)
    status = story.until_phase(team, "early", "Queued")
    assert status["decision"]["reason"] == "NoCapacity"
    story.until(partial(unready, story, "NoNodes"), "and so does the pool")

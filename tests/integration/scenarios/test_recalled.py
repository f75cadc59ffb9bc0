"""Rows 9 and 21: what stands in the way of a recall, and pods whose request was deleted."""

import time
from datetime import UTC, datetime
from typing import Any

from integration.scenarios.conftest import LONG, enforced
from support.story import QUICK, Json, Story

RECALL: Json = {**QUICK, "recall": {"within": "30s", "notice": "5s"}}
"""Long enough between notice and force that a pod which goes too early is seen."""


def _alive(story: Story, team: str) -> set[str]:
    """The uids of pods that nobody has asked to go."""
    pods = story.kube.list(f"/api/v1/namespaces/{team}/pods")
    return {p["metadata"]["uid"] for p in pods if "deletionTimestamp" not in p["metadata"]}


def _borrowed(story: Story, gpus: int) -> tuple[str, str]:
    """A team whose guarantee lies idle, and one that runs on so many borrowed GPUs of it."""
    story.add_nodes(1)
    owner, other = story.team("owner"), story.team("other")
    story.pool(shares=[story.share(owner, 8), story.share(other)], **RECALL)
    enforced(story)
    story.ask(other, "batch", gpus, minGpus=1, preemptible=True)
    story.until_phase(other, "batch", "Granted", seconds=LONG)
    story.deploy(other, "batch", gpus)
    story.until(lambda: story.held(other) == gpus, "the borrower runs", LONG)
    return owner, other


def _budget(story: Story, team: str, app: str, pods: int) -> None:
    """A PodDisruptionBudget that allows no disruption, as soon as its controller has counted the pods."""
    path = f"/apis/policy/v1/namespaces/{team}/poddisruptionbudgets"
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": app}}}
    metadata = {"name": app, "namespace": team}
    story.kube.create(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}
    )

    def counted() -> bool:
        status = story.kube.get(f"{path}/{app}").get("status", {})
        return (status.get("currentHealthy"), status.get("disruptionsAllowed")) == (pods, 0)

    story.until(counted, "the budget counts its pods", LONG)


def _recalling(story: Story, team: str, name: str) -> Json | None:
    found = story.status(team, name).get("reclaim", {})
    return found if found.get("stage") == "Recalling" else None


def _told(story: Story, team: str, kind: str, name: str, reason: str) -> list[str]:
    about = f"involvedObject.kind={kind},involvedObject.name={name},reason={reason}"
    found = story.kube.list(f"/api/v1/namespaces/{team}/events", fields=about)
    return [str(e["message"]) for e in found]


def test_a_budget_of_none_holds_until_the_recall_is_forced_and_then_only_what_is_missing_goes(
    story: Story,
) -> None:
    owner, other = _borrowed(story, 8)
    _budget(story, other, "batch", 8)
    before = _alive(story, other)
    story.ask(owner, "serve", 4)
    told = story.until(lambda: _recalling(story, other, "batch"), "the borrower gets notice", LONG)
    deadline, forced = (datetime.fromisoformat(told[key]) for key in ("deadline", "forcedAt"))
    story.until(
        lambda: story.status(owner, "serve").get("decision", {}).get("reason") == "WaitingForRecall",
        "its owner is told that it waits for them",
        LONG,
    )
    refused = 0
    while True:
        alive = _alive(story, other)
        if (now := datetime.now(UTC)) >= forced:  # noqa: TID251 - whoever looks has a clock of its own
            break
        assert alive == before, f"the budget held nobody at {now}, before {forced}"
        refused += now > deadline
        time.sleep(0.1)
    assert refused, "somebody looked between the notice and the force"

    assert story.until_phase(owner, "serve", "Granted", seconds=LONG)["granted"] == 4
    story.deploy(owner, "serve", 4)
    story.until(lambda: story.held(owner) == 4, "the owner runs on them", LONG)
    stayed = _alive(story, other)
    assert stayed < before
    assert len(stayed) == 4
    assert story.until_phase(other, "batch", "Partial", seconds=LONG)["granted"] == 4
    said = story.until(
        lambda: (
            e if len(e := _told(story, other, "CapacityRequest", "batch", "PDBOverridden")) == 4 else None
        ),
        lambda: (
            f"each override is told once: {_told(story, other, 'CapacityRequest', 'batch', 'PDBOverridden')}"
        ),
        LONG,
    )
    assert all("go back to the share they were borrowed from" in message for message in said)


def test_pods_whose_request_was_deleted_run_on_until_a_guarantee_needs_their_gpus(story: Story) -> None:
    owner, other = _borrowed(story, 4)
    before = _alive(story, other)
    story.kube.delete(story.request_path(other, "batch"))
    story.until(lambda: story.hard(other) == 0, "the wall falls to the rest at once", LONG)
    story.until(lambda: _unowned(story) == 4, "the pool names GPUs that nobody answers for", LONG)
    story.ask(owner, "first", 4)
    assert story.until_phase(owner, "first", "Granted", seconds=LONG)["granted"] == 4
    assert _alive(story, other) == before, "nobody needed them"

    story.ask(owner, "second", 2)
    warned = story.until(
        lambda: _told(story, other, "ResourceQuota", "gpupool", "UnattributedRecalled"), "a notice", LONG
    )
    assert "that no request answers for go back to their owner; 2 stay" in warned[0]
    assert story.until_phase(owner, "second", "Granted", seconds=LONG)["granted"] == 2
    stayed = _alive(story, other)
    assert stayed < before
    assert len(stayed) == 2
    assert story.hard(other) == 0, "those that stay go on, and none is made anew"


def _unowned(story: Story) -> Any:
    return story.pool_status().get("unattributed", {}).get("nvidia.com/gpu")

"""GPUs that were promised and never requested: noticed, proved, lent out, and brought back on demand."""

from datetime import datetime
from typing import Any

from localplane.cluster import Cluster
from support.plane import prometheus
from support.story import QUICK, Json, Story

LOOKING: Json = {**QUICK, "reclaim": {**QUICK["reclaim"], "mode": "Observe"}}
"""Measures like QUICK and takes nothing, until everything that a story is about runs."""
SECONDS = 120.0
"""Within which GPUs are lent or are back on a busy machine: windows, notices, pods that end and start."""


def _promised_eight_uses_two(story: Story, batch: int = 0, **reclaim: Any) -> tuple[str, str]:
    """A team that was granted 8 and runs 2, and a second team without a guarantee, which may ask for some.

    Until they run nothing is taken: a slow start is no reason to lend more.
    """
    story.add_nodes(1)
    owner, other = story.team("owner"), story.team("other")
    shares = [story.share(owner, 8), story.share(other)]
    story.pool(shares=shares, **LOOKING)
    story.ask(owner, "serve", 8)
    story.until_phase(owner, "serve", "Granted")
    story.until_enforced()
    story.deploy(owner, "serve", 2)
    story.until(lambda: story.held(owner) == 2, "the owner runs two")
    if batch:
        story.ask(other, "batch", batch, preemptible=True)
        story.until_phase(other, "batch", "Queued")
    story.pool(shares=shares, **{**QUICK, "reclaim": {**QUICK["reclaim"], **reclaim}})
    return owner, other


def test_unheld_gpus_are_lent_after_notice_and_the_waiting_team_gets_them(
    story: Story, plane: Cluster
) -> None:
    owner, other = _promised_eight_uses_two(story, batch=4, grace="30s")  # several scrapes see the deadline
    warned = story.until(
        lambda: (
            s if (s := story.status(owner, "serve")).get("reclaim", {}).get("stage") == "Warned" else None
        ),
        "the owner is warned",
        SECONDS,
    )
    assert story.condition("UnderUsed", warned)["status"] == "True"
    deadline = datetime.fromisoformat(warned["reclaim"]["deadline"])
    metric = f'gpupool_reclaim_deadline_timestamp_seconds{{namespace="{owner}"}}'
    story.until(
        lambda: [value for _, value in prometheus(plane, metric)] == [deadline.timestamp()],
        lambda: f"the deadline {deadline} is a metric (now {prometheus(plane, metric)})",
    )

    lent = story.until(
        lambda: s if (s := story.status(owner, "serve")).get("reclaim", {}).get("stage") == "Lent" else None,
        "the unheld part is lent",
        SECONDS,
    )
    assert (lent["granted"], lent["allowance"]) == (8, 3)
    assert story.until_phase(other, "batch", "Granted")["granted"] == 4
    story.until(lambda: story.pool_status()["lent"] == {"nvidia.com/gpu": 5}, "the pool says so")
    said = story.until(
        lambda: _said(story, owner, "UnderUsed", "Lent"), "Events tell of the notice and its end"
    )
    assert said["UnderUsed"] < said["Lent"]
    assert story.held(owner) == 2


def _said(story: Story, namespace: str, *reasons: str) -> dict[str, str]:
    """When Events of these reasons were first told of the request `serve`; empty while one is missing."""
    about = "involvedObject.name=serve"
    events = story.kube.list(f"/api/v1/namespaces/{namespace}/events", fields=about)
    found = {e["reason"]: str(e["firstTimestamp"]) for e in events if e["reason"] in reasons}
    return found if found.keys() == set(reasons) else {}


def test_the_owner_gets_its_gpus_back_when_its_controller_asks(story: Story) -> None:
    owner, other = _promised_eight_uses_two(story)
    story.until(
        lambda: story.status(owner, "serve").get("reclaim", {}).get("stage") == "Lent",
        "the rest is lent",
        SECONDS,
    )
    story.ask(other, "batch", 5, preemptible=True)
    story.until_phase(other, "batch", "Granted")
    story.deploy(other, "batch", 5)
    story.until(lambda: story.held(other) == 5, "the borrower runs")

    story.deploy(owner, "serve", 8)
    recalled = story.until(
        lambda: (
            s if (s := story.status(other, "batch")).get("reclaim", {}).get("stage") == "Recalling" else None
        ),
        "the borrower gets notice",
    )
    assert recalled["reclaim"]["deadline"] < recalled["reclaim"]["forcedAt"]
    story.until(lambda: story.held(owner) == 8, "all eight run for their owner", SECONDS)
    status = story.until(
        lambda: s if (s := story.status(owner, "serve"))["allowance"] == 8 else None, "the allowance is whole"
    )
    assert status["reclaim"]["stage"] == "None"
    assert story.held(other) == 0
    story.until(lambda: "Recalled" in story.events(other, "batch"), "the end of the loan is told")


def test_a_new_claim_within_its_guarantee_recalls_only_what_is_missing(story: Story) -> None:
    story.add_nodes(1)
    owner, other = story.team("owner"), story.team("other")
    story.pool(shares=[story.share(owner, 4), story.share(other)], **QUICK)
    story.until_enforced()
    story.ask(other, "batch", 7, minGpus=1, preemptible=True)
    story.until_phase(other, "batch", "Granted")
    names = story.run(other, "batch", 7)
    story.until(lambda: story.held(other) == len(names), "the borrower runs")
    story.ask(owner, "serve", 4)
    assert story.until_phase(owner, "serve", "Queued")["decision"]["reason"] == "WaitingForRecall"
    assert story.until_phase(owner, "serve", "Granted", seconds=SECONDS)["granted"] == 4
    assert story.held(other) == 4
    assert story.until_phase(other, "batch", "Partial")["granted"] == 4


def test_recommend_says_what_enforce_would_do_and_takes_nothing(story: Story) -> None:
    owner, _ = _promised_eight_uses_two(story, mode="Recommend")
    verdict = "5 unheld GPUs would be lent out"
    said = story.until(
        lambda: (
            c
            if verdict in (c := story.condition("UnderUsed", story.status(owner, "serve"))).get("message", "")
            else None
        ),
        lambda: f"the verdict is told (now {story.condition('UnderUsed', story.status(owner, 'serve'))})",
        SECONDS,
    )
    assert said["status"] == "True"
    status = story.status(owner, "serve")
    assert (status["allowance"], status["reclaim"]["stage"]) == (8, "None")


def test_bad_data_is_named_and_takes_nothing_while_good_data_does(story: Story) -> None:
    story.add_nodes(4)
    uses = {"none": "Missing", "stale": "Stale", "half": "Partial", "good": "OK"}
    teams = {use: story.team(use) for use in uses}
    shares = [story.share(team, 8) for team in teams.values()]
    story.pool(shares=shares, **LOOKING)
    for team in teams.values():
        story.ask(team, "serve", 8)
        story.until_phase(team, "serve", "Granted")
    story.until_enforced()
    for use, team in teams.items():
        story.run(team, "serve", 1, use={"half": "40", "good": "40"}.get(use, use))
        story.run(team, "serve", 2, use={"half": "none", "good": "40"}.get(use, use))
    for use, state in uses.items():
        assert _named(story, teams[use], state)["allowance"] == 8 or use == "good"
    # The team with good data is taken from; by then every other deadline would long have passed.
    story.pool(shares=shares, **QUICK)
    story.until(
        lambda: story.status(teams["good"], "serve")["reclaim"]["stage"] == "Lent", "good data takes", SECONDS
    )
    for use in ("none", "stale", "half"):
        status = story.status(teams[use], "serve")
        assert (status["allowance"], status["reclaim"]["stage"]) == (8, "None"), use
        assert story.condition("UnderUsed", status)["status"] == "Unknown", use
    assert story.condition("TelemetryHealthy")["status"] == "False"


def _named(story: Story, team: str, state: str) -> Json:
    return story.until(
        lambda: s if (s := story.status(team, "serve")).get("dataState") == state else None,
        lambda: f"the data of {team} is called {state} (now {story.status(team, 'serve')})",
        SECONDS,
    )

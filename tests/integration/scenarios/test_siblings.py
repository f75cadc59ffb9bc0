"""Rows 2 and 3: requests of one namespace that stand in each other's books."""

from typing import Any

from integration.scenarios.conftest import LONG, enforced
from support.story import QUICK, Json, Story

LOOKING: Json = {**QUICK, "reclaim": {**QUICK["reclaim"], "mode": "Observe"}}
"""Measures like QUICK and takes nothing, until everything that the story is about runs."""


def _books(story: Story, team: str, *names: str) -> dict[str, Any]:
    return {name: story.status(team, name).get("held") for name in names}


def _condition(story: Story, team: str, name: str, kind: str) -> Json:
    return story.condition(kind, story.status(team, name))


def test_two_requests_that_match_one_deployment_are_told_and_its_gpus_are_counted_once(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    same = {"selector": {"matchLabels": {"app": "work"}}}
    ref = {"ref": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "elsewhere"}}
    for name, workload in (("older", same), ("third", ref), ("younger", same)):
        story.ask(team, name, 2, workload=workload)
        story.until_phase(team, name, "Granted", seconds=LONG)
    enforced(story)
    story.deploy(team, "work", 2)
    pair = ("older", "younger")
    story.until(
        lambda: all(_condition(story, team, n, "Overlap").get("status") == "True" for n in pair),
        lambda: f"both are told: {[story.status(team, n).get('conditions') for n in pair]}",
        LONG,
    )
    for name, twin in (pair, pair[::-1]):
        said = _condition(story, team, name, "Overlap")
        assert said["reason"] == "SamePods"
        assert twin in said["message"]
    assert _condition(story, team, "third", "Overlap") == {}
    story.until(lambda: story.pool_status().get("held") == {"nvidia.com/gpu": 2}, "counted once", LONG)
    assert _books(story, team, "older", "third", "younger") == {"older": 2, "third": 0, "younger": 0}

    label = {"metadata": {"labels": {"gpupool.dev/request": "younger"}}}
    path = f"/apis/apps/v1/namespaces/{team}/deployments/work"
    story.kube.patch(path, {"spec": {"template": label}})
    story.until(
        lambda: _books(story, team, *pair) == {"older": 0, "younger": 2},
        lambda: f"the label says whose they are: {_books(story, team, *pair)}",
        LONG,
    )
    story.until(
        lambda: not any(_condition(story, team, n, "Overlap") for n in pair),
        "nothing overlaps any more",
        LONG,
    )


def test_what_a_sibling_runs_on_is_not_taken_from_the_request_that_does_not_use_it(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    shares = [story.share(team, 8)]
    story.pool(shares=shares, **LOOKING)
    for name, gpus in (("steady", 2), ("greedy", 2), ("idle", 4)):
        story.ask(team, name, gpus)
        story.until_phase(team, name, "Granted", seconds=LONG)
    enforced(story)
    story.deploy(team, "steady", 2)
    story.deploy(team, "greedy", 4)
    story.deploy(team, "idle", 1)
    story.until(lambda: story.held(team) == 7, "a sibling runs four on an allowance of two", LONG)
    story.pool(shares=shares, **QUICK)
    found = story.until(
        lambda: (
            c
            if (c := _condition(story, team, "idle", "UnderUsed")).get("reason") == "SharedWithOthers"
            else None
        ),
        lambda: f"who else uses it is said: {_condition(story, team, 'idle', 'UnderUsed')}",
        LONG,
    )
    assert found["status"] == "False"
    story.until(
        lambda: _condition(story, team, "greedy", "Overdrawn").get("status") == "True",
        "so is who uses it",
        LONG,
    )
    assert (story.status(team, "idle")["allowance"], story.hard(team)) == (4, 8)

    story.deploy(team, "greedy", 2)
    lent = story.until(
        lambda: s if (s := story.status(team, "idle")).get("reclaim", {}).get("stage") == "Lent" else None,
        lambda: f"what nobody uses is lent after notice: {story.status(team, 'idle')}",
        LONG,
    )
    assert (lent["granted"], lent["allowance"]) == (4, 2)
    assert story.held(team) == 5

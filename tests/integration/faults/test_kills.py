"""kill -9 of the operator while GPUs are granted, lent and brought back."""

import random
from functools import partial

import pytest

from support.faultproxy.faults import endings, writes
from support.faultstory import FULL, LONG, FaultStory
from support.gpupods import TERMINATE_AFTER
from support.observer import Observer
from support.story import Json
from support.verdict import law

AT_WRITES = (200, 200) if FULL else (6, 8)
"""Kills at most in a reclaim and in a recall; in full no story comes near, so that no write is spared."""
AT_ENDINGS = 200
"""Kills at most in a recall of two pods of four, never reached: one before and one after the end of each, and
again where a delete follows the eviction."""
LINGER = 8
"""Seconds that pods take to end: about as long as a life of the operator takes to begin."""
QUIET = 6.0
"""Seconds in which no further pod may go; several cycles."""
PATIENCE = 3600.0 if FULL else 600.0
"""Seconds that one step may take; every life of an operator begins with the start of its processes."""
AT_RANDOM = 50 if FULL else 6
KILLS = {"both": 40, "part": 10} if FULL else {"both": 14, "part": 2}
"""At least so many in each story; with those at random points 100, in short 22."""


@pytest.mark.timeout(7200 if FULL else 1300)
def test_killed_at_every_write_of_a_reclaim_and_a_recall_it_finishes_both(
    story: FaultStory, observer: Observer
) -> None:
    owner, other = story.promised_eight_uses_two()
    with story.killed_at_writes(AT_WRITES[0], both=FULL) as reclaim:
        story.until_lent(owner, other, PATIENCE)
    law(observer.stages(owner, "serve") == ["Warned", "Lent"], f"{observer.stages(owner, 'serve')}")
    assert story.seen(owner, "serve") == ("Granted", 8, 3, "Lent")

    with story.killed_at_writes(AT_WRITES[1], both=FULL) as recall:
        story.deploy(owner, "serve", 8)
        story.until_returned(owner, other, PATIENCE)
    story.until_settled()
    law(observer.stages(other, "batch") == ["Recalling", ""], f"{observer.stages(other, 'batch')}")
    story.counts["kills at writes of a reclaim"] += len(reclaim.hits)
    story.counts["kills at writes of a recall"] += len(recall.hits)
    assert story.kills >= KILLS["both"]
    assert not FULL or not (reclaim.spared or recall.spared), "every write was struck"


@pytest.mark.timeout(7200 if FULL else 1300)
def test_killed_while_it_takes_a_part_it_takes_no_more_than_that(
    story: FaultStory, observer: Observer
) -> None:
    story.add_nodes(1)
    owner, other = story.team("owner"), story.team("other")
    story.pool(shares=[story.share(owner, 8), story.share(other)], recall={"within": "15s", "notice": "5s"})
    story.until_enforced()
    story.ask(owner, "serve", 4)
    story.ask(other, "batch", 4, minGpus=1, preemptible=True)
    for team, name in ((owner, "serve"), (other, "batch")):
        story.until_phase(team, name, "Granted", seconds=LONG)
        _run_four(story, team, name)
    story.until(lambda: story.held(owner) == story.held(other) == 4, "all eight run", LONG)

    match = writes if FULL else endings
    with story.killed_at_writes(AT_ENDINGS, both=True, match=match) as recall:
        story.ask(owner, "serve", 6)
        story.until(lambda: story.seen(owner, "serve")[:3] == ("Granted", 6, 6), "it has six", PATIENCE)
        story.until(lambda: story.held(other) == 2, "two of four have gone", PATIENCE)
        story.stays(lambda: len(_staying(story, other)) == 2, "two of four stay", QUIET)
    story.until_settled()
    law(len(_staying(story, other)) == 2, f"two of four stay: {len(_staying(story, other))}")
    law(observer.asked_to_go(other) == 2, f"two were asked to go: {observer.asked_to_go(other)}")
    law(observer.asked_to_go(owner) == 0, "nobody of the owner was asked to go")
    law(observer.takings() == 2, f"two were ended, each once: {observer.takings()}")
    law(observer.stages(other, "batch") == ["Recalling", ""], f"{observer.stages(other, 'batch')}")
    struck = {(asked.namespace, asked.name) for asked in recall.hits if endings(asked)}
    assert len(struck) == 2, "it was killed at the end of each"
    story.counts["kills at writes of a recall of a part"] += len(recall.hits)
    assert story.kills >= KILLS["part"]
    assert not recall.spared, "every such write was struck"


@pytest.mark.timeout(7200 if FULL else 1300)
def test_killed_at_random_points_of_a_busy_life_it_ends_where_it_should(
    story: FaultStory, observer: Observer
) -> None:
    observer.changes_of_mind = True
    story.add_nodes(2)
    a, b, c = (story.team(name) for name in "abc")
    shares = [story.share(a, 8), story.share(b, 4), story.share(c)]
    story.pool(shares=shares, recall={"within": "5s", "notice": "5s"})
    story.until_enforced()
    rng = random.Random(8)  # noqa: S311 - which points, no secret
    for turn in range(AT_RANDOM):
        with story.killed_at_request(rng.randint(1, 30), alone=turn % 3 == 2):
            team, gpus = rng.choice((a, b, c)), rng.randint(1, 8)
            story.ask(team, "work", gpus, preemptible=team == c)
            story.deploy(team, "work", rng.randint(0, gpus))
    story.ask(a, "work", 8)
    story.ask(b, "work", 4)
    story.ask(c, "work", 4, preemptible=True)
    for team, replicas in ((a, 8), (b, 4), (c, 4)):
        story.until(partial(_stands, story, team, replicas), f"{team} has all {replicas}", LONG)
        story.deploy(team, "work", replicas)
        story.wake(team)
        story.until(lambda t=team, n=replicas: story.held(t) == n, "all of it runs", LONG)  # type: ignore[misc]
    story.until_settled()
    assert story.kills >= AT_RANDOM


def _stands(story: FaultStory, team: str, gpus: int) -> bool:
    """Whether a team has what it asked for, and the API server counts against it."""
    return story.seen(team, "work")[:3] == ("Granted", gpus, gpus) and story.in_force(team) == gpus


def _run_four(story: FaultStory, team: str, name: str) -> None:
    """Four pods that take a while to end: a later life sees some on their way out, and some gone."""
    for pod in story.run(team, name, 4):
        path = f"/api/v1/namespaces/{team}/pods/{pod}"
        story.kube.patch(path, {"metadata": {"annotations": {TERMINATE_AFTER: f"{LINGER}s"}}})


def _staying(story: FaultStory, namespace: str) -> list[Json]:
    """Pods that nobody asked to go."""
    pods: list[Json] = story.kube.list(f"/api/v1/namespaces/{namespace}/pods")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

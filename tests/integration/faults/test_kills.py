"""kill -9 of the operator while GPUs are granted, lent and brought back."""

import random
from functools import partial

import pytest

from support.faultstory import FULL, LONG, FaultStory
from support.observer import Observer

AT_WRITES = (40, 60) if FULL else (6, 8)
"""Kills at most in a reclaim and in a recall."""
PATIENCE = 3600.0 if FULL else 600.0
"""Seconds that one step may take; every life of an operator begins with the start of its processes."""
AT_RANDOM = 50 if FULL else 6


@pytest.mark.timeout(7200 if FULL else 1300)
def test_killed_at_every_write_of_a_reclaim_and_a_recall_it_finishes_both(
    story: FaultStory, observer: Observer
) -> None:
    owner, other = story.promised_eight_uses_two()
    with story.killed_at_writes(AT_WRITES[0], both=FULL) as reclaim:
        story.until_lent(owner, other, PATIENCE)
    assert observer.stages(owner, "serve") == ["Warned", "Lent"]
    assert story.seen(owner, "serve") == ("Granted", 8, 3, "Lent")

    with story.killed_at_writes(AT_WRITES[1], both=FULL) as recall:
        story.deploy(owner, "serve", 8)
        story.until_returned(owner, other, PATIENCE)
    story.until_settled()
    assert observer.stages(other, "batch") == ["Recalling", ""]
    assert len(reclaim.hits) + len(recall.hits) >= (30 if FULL else 14)


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


def _stands(story: FaultStory, team: str, gpus: int) -> bool:
    """Whether a team has what it asked for, and the API server counts against it."""
    return story.seen(team, "work")[:3] == ("Granted", gpus, gpus) and story.in_force(team) == gpus

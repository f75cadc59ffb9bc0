"""A leader that dies, freezes, or is replaced: another decides, and nothing it left undone is done twice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from integration.operator.test_isolation import in_force
from support.replicas import (
    epoch,
    held,
    leader,
    settled_leader,
    timed,
)

if TYPE_CHECKING:
    from localplane.cluster import Cluster
    from localplane.kube import Kube
    from support.story import Story


def governed(story: Story, *gpus: int) -> list[str]:
    """A pool of 8 GPUs with a team for each number, granted and walled."""
    story.add_nodes(1)
    teams = [story.team(f"t{i}") for i in range(len(gpus))]
    story.pool(shares=[story.share(team, 4) for team in teams])
    for team, number in zip(teams, gpus, strict=True):
        if number:
            story.ask(team, "work", number)
            story.until(partial(_walled, story, team, number), "the wall is in force", 40)
    return teams


def _walled(story: Story, team: str, number: int) -> bool:
    return in_force(story, team) == str(number)


def test_a_killed_leader_is_replaced_by_the_standby(story: Story, plane: Cluster, kube: Kube) -> None:
    first, second = governed(story, 4, 0)
    old, before = leader(kube), epoch(kube)
    with held(plane, old, "KILL"), timed("leader killed to the next decision"):
        story.ask(second, "work", 3)
        story.until_phase(second, "work", "Granted", seconds=60)
    assert leader(kube) != old
    assert epoch(kube) == before + 1
    assert (story.hard(first), story.hard(second)) == (4, 3)
    assert settled_leader(kube) != old, "the killed one comes back as a standby"

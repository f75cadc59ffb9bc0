"""Two enforced pools side by side, for a module's tests: whatever happens to them, nothing of them stays."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from support.marks import standing
from support.plane import eventually
from support.story import GOVERNED_SECONDS, STEP_SECONDS, Story

if TYPE_CHECKING:
    from localplane.kube import Kube

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Neighbours:
    """`home` is the pool whose `team` has 4 of 8 GPUs granted and walled; `other` is one like it."""

    home: Story
    other: Story
    team: str

    def standing(self) -> dict[str, str]:
        """Everything that carries a mark of the two."""
        return {k: v for s in (self.home, self.other) for k, v in standing(s.kube, s.name).items()}


@contextmanager
def neighbours(kube: Kube, also: tuple[str, ...] = ()) -> Iterator[tuple[Neighbours, dict[str, str]]]:
    """Govern both, when nobody else does any more, and wait until they are enforced.

    Args:
        kube: an admin connection.
        also: more namespaces to make; the second value names each.
    """
    made: list[str] = []
    make = partial(_namespace, kube, made)
    home, other = Story(kube, make), Story(kube, make)
    with ExitStack() as curtain:
        for end in (other.end, home.end, partial(_clear, kube, made)):  # the last one is called first
            curtain.callback(end)
        home.until_nobody_enforces()
        teams = [story.team("a") for story in (home, other)]
        for story, team in zip((home, other), teams, strict=True):
            story.add_nodes(1)
            story.pool(shares=[story.share(team, 8)])
            story.ask(team, "work", 4)
        for story, team in zip((home, other), teams, strict=True):
            story.until(partial(_governed, story, team), f"pool {story.name} is governed", GOVERNED_SECONDS)
        yield Neighbours(home, other, teams[0]), {name: make(name) for name in also}


def _namespace(kube: Kube, made: list[str], prefix: str) -> str:
    name = f"{prefix}-{os.getpid()}-m{next(_numbers)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    made.append(name)
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    eventually(lambda: kube.exists(account), f"the default ServiceAccount of {name}", STEP_SECONDS)
    return name


def _governed(story: Story, team: str) -> bool:
    tainted = any(mark.startswith("taint ") for mark in standing(story.kube, story.name))
    return tainted and story.enforced() is not None and story.in_force(team) == 4


def _clear(kube: Kube, namespaces: list[str]) -> None:
    for name in namespaces:
        for kind in ("daemonsets", "deployments", "replicasets"):
            for each in kube.list(f"/apis/apps/v1/namespaces/{name}/{kind}"):
                kube.delete(f"/apis/apps/v1/namespaces/{name}/{kind}/{each['metadata']['name']}")
        pods = f"/api/v1/namespaces/{name}/pods"
        for each in kube.list(pods):
            kube.delete(f"{pods}/{each['metadata']['name']}", grace_seconds=0)
        kube.delete(f"/api/v1/namespaces/{name}")

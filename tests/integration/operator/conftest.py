"""The operator as the chart runs it, and a stage of its own for every test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from support.story import GROUP, Story


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it."""
    return released_plane


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A pool's stage: nodes, namespaces and names that no other test uses."""
    told = Story(kube, namespace)
    yield told
    told.end()


@pytest.fixture
def other(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A second pool beside it."""
    told = Story(kube, namespace)
    yield told
    told.end()


@pytest.fixture
def daemonset(kube: Kube) -> Iterator[Callable[[Story], dict[str, Any]]]:
    """Makes a DaemonSet on the nodes of a story that tolerates no taint."""
    made: list[str] = []

    def make(story: Story) -> dict[str, Any]:
        labels = {"app": f"{story.name}-agent"}
        container = {"name": "agent", "image": "example.invalid/agent"}
        body = {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": f"{story.name}-agent", "namespace": "default"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"nodeSelector": {GROUP: story.name}, "containers": [container]},
                },
            },
        }
        kube.apply(body)
        made.append(f"/apis/apps/v1/namespaces/default/daemonsets/{story.name}-agent")
        return body

    yield make
    for path in made:
        kube.delete(path)


@pytest.fixture(scope="module", params=[True, False], ids=["mutate", "validate-only"])
def mutate(request: pytest.FixtureRequest, plane: Cluster) -> Iterator[bool]:
    """Both ways a cluster may be: mutating policies injected, or not (what 1.34 and 1.35 have)."""
    if not request.param:
        release.install(plane, {"policies": {"mutate": False}}, quiet=True)
    yield bool(request.param)
    if not request.param:
        release.install(plane, {"policies": {"mutate": "Auto"}}, quiet=True)


@pytest.fixture
def granted(story: Story) -> Iterator[str]:
    """A team with 4 GPUs granted and walled; afterwards it must have them still."""
    story.add_nodes(1)
    team = story.team("granted")
    story.pool(shares=[story.share(team, 4)])
    story.ask(team, "work", 4)
    story.until(lambda: story.in_force(team) == 4, "the wall is in force")
    story.until_phase(team, "work", "Granted")
    yield team
    status = story.status(team, "work")
    assert (status["phase"], status["granted"], story.hard(team)) == ("Granted", 4, 4)

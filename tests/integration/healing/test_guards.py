"""A guard of the chart that somebody undoes is told within seconds, and `helm upgrade` mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localplane import release
from support.marks import ADMISSION, POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from localplane.cluster import Cluster
    from localplane.kube import Kube
    from support.story import Story

SECONDS = 30
BINDINGS = f"{ADMISSION}/{POLICIES[1]}"
UNDONE: dict[str, tuple[str, Callable[[Kube], object]]] = {
    "its binding is missing": (
        "gpupool-quota-guard",
        lambda kube: kube.delete(f"{BINDINGS}/gpupool-quota-guard"),
    ),
    "its policy is missing": (
        "gpupool-status-guard",
        lambda kube: kube.delete(f"{ADMISSION}/{POLICIES[0]}/gpupool-status-guard"),
    ),
    "its binding does not deny": (
        "gpupool-binding-guard",
        lambda kube: kube.patch(
            f"{BINDINGS}/gpupool-binding-guard", {"spec": {"validationActions": ["Audit"]}}
        ),
    ),
}


@pytest.mark.parametrize("wrong", UNDONE)
def test_an_open_guard_is_named_told_once_and_mended_by_helm(
    story: Story, plane: Cluster, emergency: Kube, wrong: str
) -> None:
    guard, undo = UNDONE[wrong]
    undo(emergency)
    try:
        story.until(
            lambda: guard in story.condition("Enforced").get("message", ""), f"{guard} named", SECONDS
        )
        found = story.condition("Enforced")
        assert (found["status"], found["reason"]) == ("False", "Open")
        assert f"{guard} ({wrong})" in found["message"]
        story.until(lambda: told(story), "an Event tells it", SECONDS)
    finally:
        release.install(plane, quiet=True)
    story.until_enforced()
    (message,) = told(story)
    assert f"{guard} ({wrong})" in message


def told(story: Story) -> list[str]:
    """Messages of the Events about open guards."""
    events = story.kube.list(
        "/api/v1/namespaces/default/events", fields=f"involvedObject.name={story.name},reason=GuardOpen"
    )
    return [e["message"] for e in events]

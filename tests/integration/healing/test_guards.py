"""A guard of the chart that somebody undoes is told within seconds, and `helm upgrade` mends it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

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


def test_open_guards_are_named_told_once_each_and_mended_by_helm(
    story: Story, plane: Cluster, emergency: Kube
) -> None:
    try:
        for wrong, (guard, undo) in UNDONE.items():
            undo(emergency)
            story.until(partial(names, story, f"{guard} ({wrong})"), f"it is named that {wrong}", SECONDS)
            found = story.condition("Enforced")
            assert (found["status"], found["reason"]) == ("False", "Open")
    finally:
        release.install(plane, quiet=True)
    story.until_enforced()
    story.until(lambda: len(told(story)) >= len(UNDONE), "an Event tells of each", SECONDS)
    assert [
        sum(f"{guard} ({wrong})" in text for text in told(story)) for wrong, (guard, _) in UNDONE.items()
    ] == [1] * len(UNDONE)


def names(story: Story, text: str) -> bool:
    """Whether the pool's condition names an open guard."""
    return text in story.condition("Enforced").get("message", "")


def told(story: Story) -> list[str]:
    """Messages of the Events about open guards."""
    events = story.kube.list(
        "/api/v1/namespaces/default/events", fields=f"involvedObject.name={story.name},reason=GuardOpen"
    )
    return [e["message"] for e in events]

"""What somebody changes or deletes by hand comes back within seconds, and is told once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from localplane.kube import JSON_PATCH, Kube
from support.marks import ADMISSION, NODE_LABEL, POLICIES, POOL_LABEL, standing
from support.story import RESOURCE, Story

Json = dict[str, Any]
Hand = Callable[[Story, Kube], None]
HARD = f"requests.{RESOURCE}"
SECONDS = 60


def team(story: Story, kube: Kube) -> str:
    """The story's one namespace."""
    (found,) = kube.list("/api/v1/namespaces", labels=f"{POOL_LABEL}={story.name}")
    return str(found["metadata"]["name"])


def quota(story: Story, kube: Kube) -> str:
    (found,) = kube.list("/api/v1/resourcequotas", labels=f"{POOL_LABEL}={story.name}")
    return f"/api/v1/namespaces/{found['metadata']['namespace']}/resourcequotas/gpupool"


def node(story: Story) -> str:
    return f"/api/v1/nodes/{story.nodes[0]}"


def node_label(value: str | None) -> Hand:
    return lambda story, kube: _done(kube.patch(node(story), {"metadata": {"labels": {NODE_LABEL: value}}}))


def taint(value: list[Json]) -> Hand:
    return lambda story, kube: _done(kube.patch(node(story), {"spec": {"taints": value}}))


def namespace_label(value: str | None) -> Hand:
    change = {"metadata": {"labels": {POOL_LABEL: value}}}
    return lambda story, kube: _done(kube.patch(f"/api/v1/namespaces/{team(story, kube)}", change))


def quota_hard(gpus: str) -> Hand:
    return lambda story, kube: _done(kube.patch(quota(story, kube), {"spec": {"hard": {HARD: gpus}}}))


def each(kind: str, do: Callable[[Kube, str], object]) -> Hand:
    """Do something to every policy object of the pool of one kind."""

    def hand(story: Story, kube: Kube) -> None:
        for found in kube.list(f"{ADMISSION}/{kind}", labels=f"{POOL_LABEL}={story.name}"):
            do(kube, f"{ADMISSION}/{kind}/{found['metadata']['name']}")

    return hand


def _done(_answer: object) -> None:
    """A hand returns nothing."""


FIGHT = ("of namespace", "again and again")
BLUNT: Json = {"spec": {"validationActions": ["Audit"]}}
NEVER = [{"op": "add", "path": "/spec/matchConditions/-", "value": {"name": "never", "expression": "false"}}]

HANDS: dict[str, Hand] = {
    "a node's label is removed": node_label(None),
    "a node's label is changed": node_label("nobody"),
    "a node's taint is removed": taint([]),
    "a namespace's label is removed": namespace_label(None),
    "a namespace's label is changed": namespace_label("nobody"),
    "a quota is deleted": lambda story, kube: kube.delete(quota(story, kube)),
    "a quota is raised": quota_hard("8"),
    "a quota is lowered": quota_hard("1"),
    "a quota loses its labels": lambda story, kube: _done(
        kube.patch(quota(story, kube), {"metadata": {"labels": None}})
    ),
    **{f"{kind} are deleted": each(kind, lambda kube, path: kube.delete(path)) for kind in POLICIES},
    "bindings only audit": each(POLICIES[1], lambda kube, path: kube.patch(path, BLUNT)),
    "policies never match": each(
        POLICIES[0], lambda kube, path: kube.patch(path, NEVER, content_type=JSON_PATCH)
    ),
    "policies lose their label": each(
        POLICIES[0], lambda kube, path: kube.patch(path, {"metadata": {"labels": {POOL_LABEL: None}}})
    ),
}


def as_it_was(before: dict[str, str], now: dict[str, str]) -> bool:
    """Whether the same things stand; what was made anew has another uid, and specs are compared apart."""
    return before.keys() == now.keys() and all(
        before[key] == now[key] for key in before if key.startswith(("label", "taint"))
    )


def specs(kube: Kube, pool: str) -> dict[str, Json]:
    """The spec of everything of ours that has one."""
    found = [
        (f"{kind} {obj['metadata']['name']}", obj["spec"])
        for kind in POLICIES
        for obj in kube.list(f"{ADMISSION}/{kind}", labels=f"{POOL_LABEL}={pool}")
    ]
    walls = [
        (f"quota {q['metadata']['namespace']}", q["spec"])
        for q in kube.list("/api/v1/resourcequotas", labels=f"{POOL_LABEL}={pool}")
    ]
    return dict([*found, *walls])


def test_whatever_a_hand_undoes_is_set_back_within_seconds_and_told_once(
    story: Story, kube: Kube, emergency: Kube
) -> None:
    before, written = standing(kube, story.name), specs(kube, story.name)
    for what, hand in HANDS.items():
        heard = repairs(kube, story.name)
        hand(story, emergency)
        story.until(
            lambda: as_it_was(before, standing(kube, story.name)) and specs(kube, story.name) == written,
            f"set back after {what}",
            SECONDS,
        )
        if what == "policies lose their label":  # nothing was open meanwhile
            continue
        story.until(partial(has_told, kube, story.name, heard, what), f"it is told that {what}", SECONDS)
    story.until(lambda: story.condition("Enforced").get("status") == "True", "all is enforced", SECONDS)
    messages = repairs(kube, story.name)
    assert len(messages) == len(set(messages)), "no Event twice"
    assert len(messages) <= len(HANDS) + 5, (
        messages
    )  # deleting a policy may be noticed together with its binding
    assert story.status(team(story, kube), "work")["granted"] == 4


def has_told(kube: Kube, pool: str, heard: list[str], what: str) -> bool:
    """Whether something new is told; a fight is told once, however long it lasts."""
    told = repairs(kube, pool)
    fought = [
        m for m in told if what.startswith("a quota") and f"the quota {FIGHT[0]}" in m and FIGHT[1] in m
    ]
    return len(told) > len(heard) or bool(fought)


def repairs(kube: Kube, pool: str) -> list[str]:
    """Messages of the Events that tell of repairs, and of fights."""
    events = kube.list("/api/v1/namespaces/default/events", fields=f"involvedObject.name={pool}")
    return [e["message"] for e in events if e["reason"] in {"Repaired", "Conflict"}]

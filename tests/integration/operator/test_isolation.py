"""Isolation as the operator writes it: marks, policies, proof; and what people change by hand comes back."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from integration.isolation.asking import BREAK_GLASS, GPU, create, pod, refusal, runs_on
from localplane.kube import KubeError
from support.marks import ADMISSION, NODE_LABEL, POOL_LABEL, TAINT_KEY, marks, standing, two_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from localplane.cluster import Cluster
    from localplane.kube import Kube
    from support.story import Story

Json = dict[str, Any]


def enforced(story: Story) -> Json:
    """Wait until the pool says that it is enforced as its spec stands."""
    return story.until_enforced()


def taints(story: Story) -> list[list[Json]]:
    nodes = [story.kube.get(f"/api/v1/nodes/{name}") for name in story.nodes]
    return [[t for t in n["spec"].get("taints", []) if t["key"] == TAINT_KEY] for n in nodes]


def all_tainted(story: Story) -> bool:
    return taints(story) == [[{"key": TAINT_KEY, "value": story.name, "effect": "NoSchedule"}]] * len(
        story.nodes
    )


def test_enforce_marks_walls_and_proves(story: Story, mutate: bool) -> None:
    story.add_nodes(2)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    story.until(lambda: all_tainted(story), "the taint stands")
    expected = [
        *(f"label of node {n}" for n in story.nodes),
        *(f"taint of node {n}" for n in story.nodes),
        f"label of namespace {team}",
        f"quota {team}/gpupool",
    ]
    found = marks(story.kube, story.name)
    policies = [m for m in found if m not in expected]
    assert sorted(set(found) - set(policies)) == sorted(expected)
    assert all(f" gpupool-{story.name}-" in p for p in policies)
    assert any(p.startswith("mutatingadmissionpolicies ") for p in policies) is mutate
    assert story.condition("DaemonSetsTolerate")["status"] == "True"
    # The proof is not taken from the condition alone: an outsider's pod is refused by the same policy.
    error = refusal(lambda: create(story.kube, team, pod("named", 1, nodeName=story.nodes[0])))
    assert "remove spec.nodeName" in error.message


def test_a_gpu_pod_lands_on_its_pools_nodes(story: Story, other: Story, mutate: bool) -> None:
    story.add_nodes(1)
    other.add_nodes(2)  # free GPUs elsewhere, which must stay free
    team, neighbour = story.team("a"), other.team("b")
    story.pool(shares=[story.share(team, 8)])
    other.pool(shares=[other.share(neighbour, 16)])
    enforced(story)
    enforced(other)
    story.ask(team, "work", 4)
    story.until(lambda: story.in_force(team) == 4, "the wall is in force")
    plain = pod("plain", 2)
    if not mutate:
        message = refusal(lambda: create(story.kube, team, plain)).message
        assert f"spec.nodeSelector: {{{NODE_LABEL}: {story.name}}}" in message
        plain = pod("plain", 2, **two_lines(story.name))
    # The plugin that counts has a watch of its own, and may see the new quota a moment later.
    story.until(lambda: _accepted(story, team, plain), "the API server counts by the wall")
    create(story.kube, team, plain)
    astray = pod("astray", 1, nodeSelector={NODE_LABEL: other.name})
    if mutate:
        made = create(story.kube, team, astray)
        assert made["spec"]["nodeSelector"][NODE_LABEL] == story.name
    else:
        astray["spec"]["tolerations"] = two_lines(story.name)["tolerations"]
        denied = refusal(lambda: create(story.kube, team, astray)).message
        assert f'spec.nodeSelector["{NODE_LABEL}"] is "{other.name}"' in denied
    expected = story.nodes * (2 if mutate else 1)
    story.until(lambda: runs_on(story.kube, team) == expected, f"pods run on {expected}")


def test_cpu_pods_of_a_pools_namespace_are_left_alone_and_keep_off_its_nodes(
    story: Story, mutate: bool
) -> None:
    del mutate  # the same in both
    story.add_nodes(1)
    story.kube.patch(f"/api/v1/nodes/{story.nodes[0]}", {"metadata": {"labels": {"kind": "gpu"}}})
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    there: list[Json] = [
        {},
        {"nodeSelector": {"kind": "gpu"}},
        {"tolerations": [{"key": "a", "operator": "Exists"}]},
    ]
    for spec in there:
        made = create(story.kube, team, pod("cpu", **spec), dry_run=True)["spec"]
        assert NODE_LABEL not in made.get("nodeSelector", {})
        assert TAINT_KEY not in {t.get("key") for t in made.get("tolerations", [])}
    lines = two_lines(story.name)
    reaching: list[Json] = [{"nodeName": story.nodes[0]}, {"tolerations": [{"operator": "Exists"}]}, lines]
    for spec in reaching:
        story.until(partial(_refused, story, team, pod("cpu", **spec)), "outsiders are refused", 120)
    for spec in reaching:
        assert refusal(partial(create, story.kube, team, pod("cpu", **spec))).status == 403
    story.pool(shares=[story.share(team, 8)], isolation={"cpuPods": "Allow"})
    story.until(lambda: _accepted(story, team, pod("cpu", **lines)), "the pool to allow it", 90)
    for spec in reaching[:2]:
        assert refusal(partial(create, story.kube, team, pod("cpu", **spec))).status == 403


def _accepted(story: Story, namespace: str, manifest: Json) -> bool:
    try:
        create(story.kube, namespace, manifest, dry_run=True)
    except KubeError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return False
    return True


def _refused(story: Story, namespace: str, manifest: Json) -> bool:
    return not _accepted(story, namespace, manifest)


def test_the_taint_waits_for_every_daemonset(story: Story, daemonset: Callable[..., Json]) -> None:
    story.add_nodes(2)
    body = daemonset(story)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    told = story.condition("DaemonSetsTolerate")
    assert (told["status"], told["reason"]) == ("False", "NotTolerated")
    assert f"{body['metadata']['namespace']}/{body['metadata']['name']}" in told["message"]
    assert "Add a toleration for key gpupool.dev/pool" in told["message"]
    assert taints(story) == [[], []]
    # Without the taint the policies still keep GPU pods apart.
    assert refusal(lambda: create(story.kube, team, pod("named", 1, nodeName="x"))).status == 403
    body["spec"]["template"]["spec"]["tolerations"] = [{"key": TAINT_KEY, "operator": "Exists"}]
    story.kube.apply(body)
    story.until(lambda: all_tainted(story), "the taint comes")
    assert story.until(
        lambda: story.condition("DaemonSetsTolerate")["status"] == "True", "the condition follows"
    )
    # What stands is not taken off again for somebody's DaemonSet: that would open the pool to everybody.
    body["spec"]["template"]["spec"]["tolerations"] = []
    story.kube.apply(body)
    told = story.until(
        lambda: c if (c := story.condition("DaemonSetsTolerate"))["status"] == "False" else None,
        "the condition names it again",
    )
    assert "The taint was there before" in told["message"]
    assert all_tainted(story)


def test_a_pool_may_do_without_the_taint(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)], isolation={"taint": False})
    enforced(story)
    assert taints(story) == [[]]
    story.pool(shares=[story.share(team, 8)])
    story.until(lambda: all_tainted(story), "the taint comes with the default")


def test_a_new_node_and_a_new_namespace_join(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    story.add_nodes(1)
    story.until(lambda: all_tainted(story), "the new node is labelled and tainted")
    late = story.team("late")
    story.pool(shares=[story.share(team, 8), story.share(late)])
    story.until(
        lambda: (
            story.kube.get(f"/api/v1/namespaces/{late}")["metadata"]["labels"].get(POOL_LABEL) == story.name
        ),
        "the new namespace is labelled",
    )
    story.until(lambda: story.hard(late) == 0, "its quota stands")


NEVER = {"matchConditions": [{"name": "never", "expression": "false"}]}
ELSEWHERE = {"namespaceSelector": {"matchLabels": {"no": "where"}}}
CHANGES: dict[str, list[Json]] = {
    "validatingadmissionpolicies": [{"spec": {"failurePolicy": "Ignore"}}, {"spec": NEVER}],
    "validatingadmissionpolicybindings": [
        {"spec": {"validationActions": ["Warn"]}},
        {"spec": {"matchResources": {**ELSEWHERE, "objectSelector": {"matchLabels": {"no": "pod"}}}}},
    ],
    "mutatingadmissionpolicies": [{"spec": {"failurePolicy": "Ignore"}}, {"spec": NEVER}],
    "mutatingadmissionpolicybindings": [{"spec": {"matchResources": None}}],
}


@pytest.mark.parametrize("mutate", [True], indirect=True)
@pytest.mark.parametrize("kind", CHANGES)
def test_a_policy_or_binding_changed_or_deleted_by_hand_returns(
    story: Story, kind: str, mutate: bool
) -> None:
    del mutate
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    named = [m for m in marks(story.kube, story.name) if m.startswith(f"{kind} ")]
    assert named
    path = f"{ADMISSION}/{named[0].replace(' ', '/')}"
    before = story.kube.get(path)["spec"]
    for change in CHANGES[kind]:
        story.kube.patch(path, change)
        story.until(
            lambda: story.kube.get(path)["spec"] == before,
            partial(lambda change: f"{change} is undone ({story.kube.get(path)})", change),
        )
    story.kube.patch(path, {"metadata": {"labels": {POOL_LABEL: None}}})
    story.until(
        lambda: story.kube.get(path)["metadata"]["labels"].get(POOL_LABEL) == story.name, "its label too"
    )
    story.kube.delete(path)
    story.until(lambda: (f := story.kube.find(path)) and f["spec"] == before, f"{path} is there again")
    enforced(story)


def test_labels_and_taints_changed_by_hand_return(story: Story) -> None:
    story.add_nodes(2)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    story.until(lambda: all_tainted(story), "the taint stands")
    before = standing(story.kube, story.name)
    node, other = (f"/api/v1/nodes/{name}" for name in story.nodes)  # a fight over one taint would end
    home = f"/api/v1/namespaces/{team}"
    for path, change in (
        (node, {"metadata": {"labels": {NODE_LABEL: None}}}),
        (node, {"metadata": {"labels": {NODE_LABEL: "somebody-elses"}}}),
        (node, {"spec": {"taints": []}}),
        (node, {"spec": {"taints": [{"key": TAINT_KEY, "value": "wrong", "effect": "NoSchedule"}]}}),
        (other, {"spec": {"taints": [{"key": TAINT_KEY, "value": story.name, "effect": "NoExecute"}]}}),
        (home, {"metadata": {"labels": {POOL_LABEL: None}}}),
        (home, {"metadata": {"labels": {POOL_LABEL: "somebody-elses"}}}),
    ):
        story.kube.patch(path, change)
        story.until(
            partial(lambda: standing(story.kube, story.name) == before), f"{change} of {path} is undone"
        )


def test_taints_and_labels_of_others_stay(story: Story) -> None:
    (name,) = story.add_nodes(1)
    path = f"/api/v1/nodes/{name}"
    foreign = {"key": "example.com/maintenance", "value": "soon", "effect": "PreferNoSchedule"}
    story.kube.patch(path, {"spec": {"taints": [foreign]}, "metadata": {"labels": {"rack": "r1"}}})
    story.pool(shares=[story.share(story.team("a"), 8)])
    enforced(story)
    story.until(lambda: all_tainted(story), "our taint comes")
    story.pool("Observe", shares=[])
    story.until(lambda: not marks(story.kube, story.name), "our marks go")
    node = story.kube.get(path)
    assert foreign in node["spec"]["taints"]
    assert node["metadata"]["labels"]["rack"] == "r1"


def test_a_quota_changed_or_deleted_in_an_emergency_returns(
    story: Story, as_user: Callable[..., Kube], plane: Cluster
) -> None:
    del plane
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    story.ask(team, "work", 4)
    story.until_phase(team, "work", "Granted")
    enforced(story)
    rescuer = as_user("rescuer", ["system:masters", BREAK_GLASS])
    path = f"/api/v1/namespaces/{team}/resourcequotas/gpupool"
    for hard in ("99", "1"):
        rescuer.patch(path, {"spec": {"hard": {f"requests.{GPU}": hard}}})
        story.until(lambda: story.hard(team) == 4, f"hard {hard} is undone")
    rescuer.delete(path)
    story.until(lambda: story.hard(team) == 4, "the quota is there again")
    assert story.status(team, "work")["phase"] == "Granted"

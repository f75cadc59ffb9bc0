"""Rows 18, 20 and 24: namespaces that move, pools that want the same, a pool deleted while GPUs are held."""

from integration.scenarios.conftest import LONG, enforced
from localplane.kube import Kube
from support.marks import NODE_LABEL, POOL_LABEL, marks
from support.story import GROUP, Json, Story


def _pool_of(story: Story, namespace: str) -> str | None:
    labels = story.kube.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]
    found = labels.get(POOL_LABEL)
    return None if found is None else str(found)


def _conflict(story: Story, reason: str) -> Json:
    return story.until(
        lambda: c if (c := story.condition("Conflict")).get("reason") == reason else None,
        f"pool {story.name} is told {reason}",
        LONG,
    )


def test_a_namespace_moves_when_it_holds_nothing_in_its_old_pool(story: Story, other: Story) -> None:
    for place in (story, other):
        place.add_nodes(1)
    team, stays = story.team("a"), story.team("b")
    story.pool(shares=[story.share(team, 4), story.share(stays, 4)])
    story.ask(team, "work", 4)
    story.until_phase(team, "work", "Granted", seconds=LONG)
    enforced(story)
    story.deploy(team, "work", 2)
    story.until(lambda: story.held(team) == 2, "two GPUs are held", LONG)

    story.pool(shares=[story.share(stays, 4)])
    other.pool(shares=[other.share(team, 4)])
    told = story.until(
        lambda: d if (d := story.status(team, "work")["decision"])["reason"] == "Moving" else None,
        "the request says that its namespace moves",
        LONG,
    )
    assert f"from pool {story.name} to pool {other.name}" in told["message"]
    assert "now it holds 2 nvidia.com/gpu" in told["message"]
    assert f"{team} (pool {story.name})" in _conflict(other, "NamespaceElsewhere")["message"]
    story.until(lambda: story.hard(team) == 2, "the wall falls to what is held", LONG)
    assert (_pool_of(story, team), story.hard(team), story.held(team)) == (story.name, 2, 2)

    story.deploy(team, "work", 0)
    story.until(lambda: _pool_of(story, team) == other.name, "it goes to the new pool", LONG)
    status = story.until_phase(team, "work", "Granted", seconds=LONG)
    assert status["pool"] == other.name
    story.until(
        lambda: story.condition("Conflict", other.pool_status())["status"] == "False", "settled", LONG
    )


def test_a_second_pool_that_lists_a_walled_namespace_cuts_nobody(story: Story, other: Story) -> None:
    """Quotas alone are enforced, so no label says whose the namespace is."""
    for place in (story, other):
        place.add_nodes(1)
    team = story.team("a")
    walls = {"quota": {"mode": "Enforce"}}
    story.pool("Observe", shares=[story.share(team, 4)], **walls)
    story.ask(team, "work", 4)
    story.until_phase(team, "work", "Granted", seconds=LONG)
    story.until(lambda: story.hard(team) == 4, "the wall stands", LONG)
    other.pool("Observe", shares=[other.share(team, 4)], **walls)
    assert team in _conflict(other, "NamespaceElsewhere")["message"]
    assert (story.status(team, "work")["phase"], story.hard(team)) == ("Granted", 4)
    assert story.condition("Conflict")["status"] == "False"


def test_a_node_that_two_pools_select_stays_with_whose_label_it_carries(story: Story, other: Story) -> None:
    (node,) = story.add_nodes(1)
    story.pool()
    story.until(
        lambda: story.kube.get(f"/api/v1/nodes/{node}")["metadata"]["labels"].get(NODE_LABEL), "ours", LONG
    )
    other.pool(nodes={"selector": {"matchLabels": {GROUP: story.name}}})
    assert f"{node} (pool {story.name})" in _conflict(other, "NodeElsewhere")["message"]
    labels = story.kube.get(f"/api/v1/nodes/{node}")["metadata"]["labels"]
    assert labels[NODE_LABEL] == story.name

    story.pool(nodes={"names": ["another-node"]})
    story.until(
        lambda: story.kube.get(f"/api/v1/nodes/{node}")["metadata"]["labels"].get(NODE_LABEL) == other.name,
        "left by the first, it goes to the second",
        LONG,
    )


def _delete(kube: Kube, path: str) -> list[str]:
    """Delete and return the API server's warnings."""
    answer = kube._http.delete(path)
    assert answer.is_success, answer.text
    return [str(w) for w in answer.headers.get_list("Warning")]


def test_deleting_a_pool_with_held_gpus_warns_and_releases_it(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 4)])
    path = f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}"
    story.ask(team, "work", 4)
    story.until_phase(team, "work", "Granted", seconds=LONG)
    enforced(story)
    story.deploy(team, "work", 2)
    story.until(lambda: story.pool_status().get("held") == {"nvidia.com/gpu": 2}, "two are held", LONG)
    (warning,) = _delete(story.kube, path)
    assert f"GpuPool {story.name} holds 2 nvidia.com/gpu" in warning
    story.until(lambda: not marks(story.kube, story.name), "everything is taken back", LONG)
    assert story.held(team) == 2


def test_a_pool_that_waits_for_its_dependents_is_released_like_one_in_observe(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 4)])
    enforced(story)
    path = f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}"
    story.kube.patch(path, {"metadata": {"finalizers": ["test.example/stays"]}})
    try:
        assert _delete(story.kube, path) == [], "nothing is held: nothing to warn of"
        story.until(lambda: not marks(story.kube, story.name), "released though it is still there", LONG)
        assert story.kube.get(path)["metadata"]["deletionTimestamp"]
    finally:
        story.kube.patch(path, {"metadata": {"finalizers": None}})

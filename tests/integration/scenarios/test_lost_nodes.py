"""Row 8: a node is lost for good. No guarantee is cut, borrowers return what guaranteed pods wait for."""

from integration.scenarios.conftest import LONG, enforced
from localplane.nodes import create_nodes, node_manifest
from support.story import GROUP, QUICK, RESOURCE, Json, Story


def _pods(story: Story, team: str) -> list[Json]:
    return story.kube.list(f"/api/v1/namespaces/{team}/pods")


def test_a_lost_node_brings_borrowed_gpus_back_to_the_guarantee_that_lost_its_own(story: Story) -> None:
    story.add_nodes(2, gpus=4)
    owner, guest = story.team("owner"), story.team("guest")
    story.pool(shares=[story.share(owner, 4), story.share(guest)], **QUICK)
    story.ask(owner, "train", 4)
    story.ask(guest, "spare", 4, preemptible=True)
    for team, name in ((owner, "train"), (guest, "spare")):
        story.until_phase(team, name, "Granted", seconds=LONG)
    enforced(story)
    for team, name in ((owner, "train"), (guest, "spare")):
        story.deploy(team, name, 1, gpus=4)
    story.until(lambda: story.held(owner) == story.held(guest) == 4, "both run", LONG)
    (lost,) = [p["spec"]["nodeName"] for p in _pods(story, owner)]

    story.kube.delete(f"/api/v1/nodes/{lost}")
    for pod in _pods(story, owner):  # as the garbage collector of pods does after a while
        story.kube.delete(f"/api/v1/namespaces/{owner}/pods/{pod['metadata']['name']}", grace_seconds=0)
    told = story.until(
        lambda: c if (c := story.condition("Overcommitted")).get("status") == "True" else None,
        "it is said that more is committed than there is",
        LONG,
    )
    assert f"4 {RESOURCE}" in told["message"]
    story.until(
        lambda: story.status(guest, "spare")["reclaim"]["stage"] == "Recalling" or story.held(owner) == 4,
        "the borrower is recalled",
        LONG,
    )
    story.until(lambda: story.held(owner) == 4, "the owner runs where the borrower ran", LONG)
    assert story.status(owner, "train")["granted"] == 4
    assert (story.hard(owner), story.held(guest)) == (4, 0)
    story.until(lambda: "Recalling" in story.events(guest, "spare"), "the recall is told", LONG)

    create_nodes(story.kube, [node_manifest(lost, 4, labels={GROUP: story.name})])
    story.until(lambda: story.held(guest) == 4, "with the node the borrower is back", LONG)
    story.until(lambda: story.condition("Overcommitted")["status"] == "False", "nothing is short", LONG)


def test_guarantees_that_are_short_are_said_and_none_is_cut(story: Story) -> None:
    story.add_nodes(2, gpus=4)
    one, two = story.team("one"), story.team("two")
    story.pool(shares=[story.share(one, 4), story.share(two, 4)], **QUICK)
    for team in (one, two):
        story.ask(team, "work", 4)
        story.until_phase(team, "work", "Granted", seconds=LONG)
    story.kube.delete(f"/api/v1/nodes/{story.nodes[1]}")
    told = story.until(
        lambda: c if (c := story.condition("Overcommitted")).get("reason") == "GuaranteesShort" else None,
        "it is said",
        LONG,
    )
    assert f"short of 4 {RESOURCE}" in told["message"]
    assert [story.status(t, "work")["granted"] for t in (one, two)] == [4, 4]
    assert [story.hard(t) for t in (one, two)] == [4, 4]

"""Rows 10 and 11: two GPU models under one name, and nodes whose GPUs are cut anew."""

from integration.scenarios.conftest import LONG, enforced
from localplane.nodes import create_nodes, node_manifest
from support.story import GROUP, RESOURCE, Story

PRODUCT = "nvidia.com/gpu.product"


def test_two_models_under_one_name_are_named_with_what_to_do(story: Story) -> None:
    for number, model in enumerate(("NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3")):
        name = f"{story.name}-node-{number + 1}"
        labels = {GROUP: story.name, PRODUCT: model}
        story.nodes.append(name)
        create_nodes(story.kube, [node_manifest(name, 8, labels=labels)])
    story.pool("Observe")
    found = story.until(lambda: story.condition("Heterogeneous"), "it is said", LONG)
    assert (found["status"], found["reason"]) == ("True", "SeveralModels")
    assert "NVIDIA-A100-SXM4-80GB, NVIDIA-H100-80GB-HBM3" in found["message"]
    assert "split the pool by model" in found["message"]


def test_a_repartition_under_running_pods_cuts_and_raises_nothing(story: Story) -> None:
    story.add_nodes(2, gpus=4)
    owner, guest = story.team("owner"), story.team("guest")
    story.pool(shares=[story.share(owner, 4), story.share(guest)])
    story.ask(owner, "train", 4)
    story.ask(guest, "spare", 3, preemptible=True)
    for team, name in ((owner, "train"), (guest, "spare")):
        story.until_phase(team, name, "Granted", seconds=LONG)
    enforced(story)
    story.deploy(owner, "train", 1, gpus=4)
    story.deploy(guest, "spare", 1, gpus=3)
    story.until(lambda: (story.held(owner), story.held(guest)) == (4, 3), "both run", LONG)

    for node in story.nodes:
        numbers = {"allocatable": {RESOURCE: "0", "nvidia.com/mig-1g.10gb": "28"}}
        story.kube.patch(f"/api/v1/nodes/{node}/status", {"status": numbers})
    story.until(lambda: story.condition("Overcommitted").get("status") == "True", "it is said", LONG)
    story.ask(guest, "more", 1, preemptible=True)
    story.until_phase(guest, "more", "Queued", seconds=LONG)
    assert (story.hard(owner), story.hard(guest)) == (4, 3)
    assert story.status(guest, "spare")["reclaim"]["stage"] == "None"

    for node in story.nodes:
        numbers = {"allocatable": {RESOURCE: "4", "nvidia.com/mig-1g.10gb": "0"}}
        story.kube.patch(f"/api/v1/nodes/{node}/status", {"status": numbers})
    story.until_phase(guest, "more", "Granted", seconds=LONG)
    assert (story.held(owner), story.held(guest)) == (4, 3)

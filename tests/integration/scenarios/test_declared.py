"""Row 6 and test I.5: a pool of 0 nodes grants what is declared: an autoscaler has a pod to act on."""

from integration.scenarios.conftest import LONG, enforced
from localplane.nodes import create_nodes, node_manifest
from support.marks import NODE_LABEL, TAINT_KEY
from support.story import GROUP, RESOURCE, Story


def test_a_pool_without_a_node_grants_and_its_pods_wait_for_the_autoscaler(story: Story) -> None:
    team = story.team("a")
    nodes = {
        "selector": {"matchLabels": {GROUP: story.name}},
        "capacity": {"declared": {RESOURCE: 64}},
    }
    story.pool(shares=[story.share(team, 64)], nodes=nodes)
    enforced(story)
    story.ask(team, "train", 48)
    status = story.until_phase(team, "train", "Granted", seconds=LONG)
    assert (status["granted"], status["decision"]["reason"]) == (48, "Provisioning")
    assert f"has 0 of the 64 declared {RESOURCE}" in story.condition("Provisioning", status)["message"]
    assert story.hard(team) == 48
    capacity = story.until(
        lambda: c if any((c := story.pool_status()["capacity"])["provisioning"].values()) else None,
        "the pool says so",
        LONG,
    )
    assert capacity == {
        "total": {RESOURCE: 64},
        "usable": {RESOURCE: 64},
        "observed": {RESOURCE: 0},
        "provisioning": {RESOURCE: 48},
    }

    story.deploy(team, "train", 2, gpus=4)
    path = f"/api/v1/namespaces/{team}/pods"
    waiting = story.until(lambda: p if len(p := story.kube.list(path)) == 2 else None, "pods exist", LONG)
    assert {p["status"]["phase"] for p in waiting} == {"Pending"}
    spec = waiting[0]["spec"]
    assert spec["nodeSelector"] == {NODE_LABEL: story.name}
    assert [t["value"] for t in spec["tolerations"] if t["key"] == TAINT_KEY] == [story.name]

    # The autoscaler's template carries our label and taint from the start.
    name = f"{story.name}-scaled"
    made = node_manifest(name, 8, labels={GROUP: story.name, NODE_LABEL: story.name})
    made["spec"]["taints"] = [{"key": TAINT_KEY, "value": story.name, "effect": "NoSchedule"}]
    story.nodes.append(name)
    create_nodes(story.kube, [made])
    story.until(lambda: story.held(team) == 8, "the pods run on it", LONG)
    story.until(
        lambda: story.pool_status()["capacity"]["provisioning"] == {RESOURCE: 40},
        "40 are still to come",
        LONG,
    )
    found = story.kube.get(f"/api/v1/nodes/{name}")
    assert [t for t in found["spec"]["taints"] if t["key"] == TAINT_KEY] == made["spec"]["taints"]
    assert story.condition("Conflict")["status"] == "False"

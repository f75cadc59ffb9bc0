"""Asking and being answered: grants, queues, refusals, increases and decreases, with the wall behind them."""

import subprocess

from localplane.cluster import Cluster
from support.story import RESOURCE, Story


def test_a_request_within_the_guarantee_is_granted_and_its_quota_stands(story: Story) -> None:
    story.add_nodes(2)
    team = story.team("a")
    story.pool(shares=[story.share(team, 16)])
    story.ask(team, "train", 8)
    status = story.until_phase(team, "train", "Granted")
    assert status["granted"] == status["allowance"] == 8
    assert status["decision"]["reason"] == "Granted"
    assert story.hard(team) == 8


def test_observe_decides_and_writes_nothing_outside_the_status(story: Story) -> None:
    nodes = story.add_nodes(1)
    team = story.team("a")
    story.pool("Observe", shares=[story.share(team, 8)])
    story.ask(team, "train", 4)
    assert story.until_phase(team, "train", "Granted")["granted"] == 4
    assert story.hard(team) is None
    labels = story.kube.get(f"/api/v1/namespaces/{team}")["metadata"]["labels"]
    assert not [k for k in labels if "gpupool" in k]
    node = story.kube.get(f"/api/v1/nodes/{nodes[0]}")
    assert not [k for k in node["metadata"]["labels"] if "gpupool.dev" in k]
    assert not [t for t in node["spec"].get("taints", []) if t["key"].startswith("gpupool")]


def test_six_lines_show_who_holds_what(story: Story) -> None:
    story.until_nobody_enforces()
    story.add_nodes(1)
    team = story.team("a")
    story.run(team, "undeclared", 3)
    story.pool("Observe")
    row = story.until(
        lambda: next(
            (r for r in story.pool_status().get("shares", []) if r.get("held", {}).get(RESOURCE) == 3), None
        ),
        "the pool shows the namespace that holds GPUs",
    )
    assert (row["team"], row["declared"], row["held"]) == (team, False, {RESOURCE: 3})


def test_more_than_the_guarantee_without_consent_is_refused_with_the_two_ways_out(story: Story) -> None:
    story.add_nodes(2)
    team = story.team("a")
    story.pool(shares=[story.share(team, 4)])
    story.ask(team, "big", 8)
    status = story.until_phase(team, "big", "Refused")
    assert status["decision"]["reason"] == "AboveGuarantee"
    assert "preemptible: true" in status["decision"]["message"]
    assert "at most 4" in status["decision"]["message"]


def test_what_does_not_fit_waits_with_its_arithmetic_and_is_granted_when_gpus_come_free(story: Story) -> None:
    story.add_nodes(1)
    first, second = story.team("a"), story.team("b")
    story.pool(shares=[story.share(first), story.share(second)], visibility="Names")
    story.ask(first, "early", 6, preemptible=True)
    story.until_phase(first, "early", "Granted")
    story.ask(second, "late", 4, preemptible=True)
    decision = story.until_phase(second, "late", "Queued")["decision"]
    assert decision["arithmetic"] == "8 usable - 6 committed = 2 free"
    assert decision["grantableNow"] == 2
    assert decision["blockers"][0]["request"] == "early"
    assert story.status(second, "late")["position"] == 1
    story.kube.delete(story.request_path(first, "early"))
    assert story.until_phase(second, "late", "Granted")["granted"] == 4


def test_a_partial_grant_is_topped_up(story: Story) -> None:
    story.add_nodes(1)
    first, second = story.team("a"), story.team("b")
    story.pool(shares=[story.share(first), story.share(second)])
    story.ask(first, "early", 5, preemptible=True)
    story.until_phase(first, "early", "Granted")
    story.ask(second, "flexible", 8, minGpus=2, preemptible=True)
    assert story.until_phase(second, "flexible", "Partial")["granted"] == 3
    story.kube.delete(story.request_path(first, "early"))
    assert story.until_phase(second, "flexible", "Granted")["granted"] == 8


def test_an_increase_keeps_what_it_has_and_a_decrease_applies_at_once(story: Story) -> None:
    story.add_nodes(1)
    first, second = story.team("a"), story.team("b")
    story.pool(shares=[story.share(first), story.share(second)])
    story.ask(first, "grows", 4, preemptible=True)
    story.until_phase(first, "grows", "Granted")
    story.ask(second, "other", 4, preemptible=True)
    story.until_phase(second, "other", "Granted")
    story.ask(first, "grows", 6, preemptible=True)
    status = story.until_phase(first, "grows", "Partial")
    assert (status["granted"], status["decision"]["reason"]) == (4, "IncreaseQueued")
    story.ask(second, "other", 2, preemptible=True)
    assert story.until_phase(first, "grows", "Granted")["granted"] == 6
    assert (story.hard(first), story.hard(second)) == (6, 2)


def test_lowering_one_team_frees_nothing_while_its_pods_run(story: Story) -> None:
    story.add_nodes(1)
    first, second = story.team("a"), story.team("b")
    story.pool(shares=[story.share(first), story.share(second)])
    story.ask(first, "runs", 8, preemptible=True)
    story.until_phase(first, "runs", "Granted")
    story.until_enforced()  # before that the API server may not count by it yet, or refuse what has no lines
    pods = story.run(first, "runs", 8)
    story.until(lambda: story.held(first) == 8, "eight GPUs are held")
    story.ask(second, "waits", 4, preemptible=True)
    story.until_phase(second, "waits", "Queued")
    story.ask(first, "runs", 2, preemptible=True)
    story.until(lambda: story.hard(first) == 2, "the wall of the first team falls")
    assert story.status(second, "waits")["phase"] == "Queued"
    assert story.hard(second) == 0
    for name in pods[:6]:
        story.kube.delete(f"/api/v1/namespaces/{first}/pods/{name}")
    assert story.until_phase(second, "waits", "Granted")["granted"] == 4


def test_requests_no_pool_answers_for_say_why(story: Story) -> None:
    team = story.team("a")
    story.ask(team, "lost", 1)
    status = story.until_phase(team, "lost", "Pending")
    assert status["decision"]["reason"] == "NamespaceWithoutPool"
    assert story.condition("Granted", status)["status"] == "False"
    assert team in status["decision"]["message"]


def test_columns_answer_the_first_question(story: Story, plane: Cluster) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    story.ask(team, "train", 8)
    story.until_phase(team, "train", "Granted")
    kubectl = [str(plane.program("kubectl")), f"--kubeconfig={plane.kubeconfig}"]
    asked = subprocess.run(
        [*kubectl, "get", "capreq", "-n", team], check=True, capture_output=True, text=True
    )
    row = dict(zip(*(line.split() for line in asked.stdout.splitlines()), strict=False))
    assert (row["NAME"], row["PHASE"], row["GPUS"]) == ("train", "Granted", "8")
    story.until(lambda: "Granted" in story.events(team, "train"), "Events tell the request's story")

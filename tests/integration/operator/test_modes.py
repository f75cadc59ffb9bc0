"""Observe, Recommend, Enforce and back (law 12): per pool, per layer, per share, and the pool deleted."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from integration.isolation.asking import create, pod, refusal, warnings
from integration.operator.test_isolation import enforced
from localplane.kube import Kube, KubeError
from support.gpupods import RUN_FOR, gpu_job
from support.marks import NODE_LABEL, POOL_LABEL, marks, two_lines
from support.story import GOVERNED_SECONDS

if TYPE_CHECKING:
    from support.story import Story

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def alone(story: Story) -> None:
    """Nobody else enforces: what all pools share is as strict as the strictest of them."""
    story.until_nobody_enforces()


def nothing_left(story: Story) -> None:
    """Wait until nothing of the pool stands outside its status."""
    story.until(
        lambda: not marks(story.kube, story.name),
        lambda: f"nothing is left of {marks(story.kube, story.name)}",
        GOVERNED_SECONDS,
    )
    bad = [pod("any", 1, nodeName="somewhere"), pod("any", 64, nodeSelector={NODE_LABEL: "elsewhere"})]
    attempts = list(itertools.product(_teams(story), bad))
    pools = "/apis/gpupool.dev/v1alpha1/gpupools"
    story.until(
        lambda: all(_accepted(story.kube, t, m) for t, m in attempts),
        lambda: (
            f"nothing is denied any more ({[_denial(story.kube, t, m) for t, m in attempts]},"
            f" pools {[(p['metadata']['name'], p['spec']['mode']) for p in story.kube.list(pools)]})"
        ),
        GOVERNED_SECONDS,
    )


def _teams(story: Story) -> list[str]:
    found = [n["metadata"]["name"] for n in story.kube.list("/api/v1/namespaces")]
    return [name for name in found if name.startswith(f"{story.name}-")]


def _accepted(kube: Kube, namespace: str, manifest: Json) -> bool:
    return not _denial(kube, namespace, manifest)


def _denial(kube: Kube, namespace: str, manifest: Json) -> str:
    """What is said against an object; empty where it is let in."""
    try:
        create(kube, namespace, manifest, dry_run=True)
    except KubeError as error:
        if error.status != 403:
            raise
        return error.message
    return ""


def warned_only(kube: Kube, namespace: str, manifest: Json) -> list[str]:
    """Warnings about what is let in; none yet while the policies that all pools share still refuse it."""
    return warnings(kube, namespace, manifest) if _accepted(kube, namespace, manifest) else []


def job_done(story: Story, team: str, name: str) -> bool:
    status = story.kube.get(f"/apis/batch/v1/namespaces/{team}/jobs/{name}").get("status", {})
    return any(c["type"] == "Complete" and c["status"] == "True" for c in status.get("conditions", []))


def journey_ends(story: Story, team: str) -> None:
    """Wait for the Job; what was refused meanwhile and what the pool says is told where it does not end."""
    try:
        story.until(lambda: job_done(story, team, "journey"), "the Job completes while Enforce waits", 120)
    except AssertionError as error:
        events = story.kube.list(f"/api/v1/namespaces/{team}/events", fields="reason=FailedCreate")
        refused = [e["message"] for e in events]
        raise AssertionError(f"{error}; refused: {refused}; {story.pool_status()['conditions']}") from error


def _bindings(story: Story) -> list[Json]:
    """The pool's own bindings of validating policies."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    return story.kube.list(path, labels=f"{POOL_LABEL}={story.name}")


def uids(story: Story, team: str) -> dict[str, str]:
    """Living pods of a namespace by name."""
    pods = story.kube.list(f"/api/v1/namespaces/{team}/pods")
    living = [p["metadata"] for p in pods if p["status"].get("phase") == "Running"]
    return {m["name"]: m["uid"] for m in living if "deletionTimestamp" not in m}


def test_the_whole_way_there_and_back(story: Story, mutate: bool) -> None:
    story.add_nodes(2)
    team = story.team("a")
    lines = {} if mutate else two_lines(story.name)
    share = [story.share(team, 16)]
    story.pool("Observe", shares=share)
    story.ask(team, "work", 12)
    story.until_phase(team, "work", "Granted")
    running = story.run(team, "work", 4)
    story.until(lambda: len(uids(story, team)) == 4, "four pods run under Observe")
    # The tolerations only matter for pods that the Job makes after the taint; it starts without any.
    job = gpu_job(team, "journey", 2, annotations={RUN_FOR: "6s"}, **lines)
    job["spec"] |= {"completions": 4}
    if not mutate:
        job["spec"]["template"]["spec"].pop("nodeSelector")
    story.kube.create(job)
    story.until(lambda: len(set(uids(story, team)) - set(running)) == 2, "two of the Job beside them")
    before = {n: u for n, u in uids(story, team).items() if n in running}
    assert marks(story.kube, story.name) == []

    story.pool("Recommend", shares=share)
    named = pod("named", 1, nodeName="gpu-7")
    # What all pools share may warn of it too: the pool's own are waited for.
    bindings = story.until(lambda: _bindings(story), "Recommend binds its policies", 90)
    said = story.until(lambda: warned_only(story.kube, team, named), "a bad pod is warned about", 90)
    assert any("remove spec.nodeName" in line for line in said)
    found = marks(story.kube, story.name)
    assert all("admissionpolic" in mark for mark in found), "Recommend writes nothing but policies"
    assert not any(mark.startswith("mutating") for mark in found)
    assert {a for b in bindings for a in b["spec"]["validationActions"]} == {"Warn", "Audit"}
    assert story.status(team, "work")["granted"] == 12

    story.pool("Enforce", shares=share)
    if not mutate:
        # Its template cannot be changed, so Enforce waits until the Job makes no more pods.
        journey_ends(story, team)
    enforced(story)
    # The label that lets the pool judge was read back; admission reads it a moment later.
    story.until(lambda: not _accepted(story.kube, team, named), "the pool's policy judges its pods")
    assert refusal(lambda: create(story.kube, team, named)).status == 403
    assert story.hard(team) == 12
    if mutate:
        story.until(lambda: job_done(story, team, "journey"), "the Job completes under Enforce", 90)
    assert {n: u for n, u in uids(story, team).items() if n in running} == before

    story.pool("Observe", shares=share)
    nothing_left(story)
    story.until(lambda: job_done(story, team, "journey"), "the Job completes", 90)
    pods = story.kube.list(f"/api/v1/namespaces/{team}/pods")
    assert [f for p in pods for f in p["metadata"].get("finalizers", [])] == []
    assert {n: u for n, u in uids(story, team).items() if n in running} == before
    assert story.status(team, "work")["granted"] == 12


@pytest.mark.parametrize("mutate", [True], indirect=True)
def test_back_to_observe_borrowers_run_on(story: Story, mutate: bool) -> None:
    del mutate
    story.add_nodes(1)
    owner, borrower = story.team("owner"), story.team("borrower")
    shares = [story.share(owner, 8), story.share(borrower)]
    story.pool(shares=shares)
    story.ask(borrower, "spare", 6, preemptible=True)
    story.until_phase(borrower, "spare", "Granted")
    story.until(lambda: story.hard(borrower) == 6, "the wall stands")
    story.until(lambda: _accepted(story.kube, borrower, pod("try", 6, **two_lines(story.name))), "in force")
    story.run(borrower, "spare", 6)
    story.until(lambda: len(uids(story, borrower)) == 6, "six borrowed GPUs are held")
    before = uids(story, borrower)
    story.pool("Observe", shares=shares)
    nothing_left(story)
    story.ask(owner, "own", 8)
    story.until(lambda: story.status(owner, "own").get("phase"), "the owner's request is decided")
    assert uids(story, borrower) == before


def test_one_share_enforced_in_an_observed_pool(story: Story) -> None:
    story.add_nodes(1)
    strict, loose, warned = story.team("strict"), story.team("loose"), story.team("warned")
    story.pool(
        "Observe",
        shares=[
            story.share(strict, 4, mode="Enforce"),
            story.share(loose, 2),
            story.share(warned, 2, mode="Recommend"),
        ],
    )
    story.until(
        lambda: f"label of namespace {strict}" in marks(story.kube, story.name),
        "the strict share is labelled",
        120,
    )
    enforced(story)
    found = marks(story.kube, story.name)
    assert f"quota {strict}/gpupool" in found
    assert not [m for m in found if loose in m or warned in m]
    sliced = pod("sliced", 1, resource="nvidia.com/mig-1g.5gb")
    assert refusal(lambda: create(story.kube, strict, sliced)).status == 403
    assert warnings(story.kube, loose, sliced) == []
    story.until(lambda: warnings(story.kube, warned, sliced), "who only looks on is warned")
    # Nobody walks around the scheduler any more; what is only looked at keeps its GPUs and finds its nodes.
    named = pod("named", 1, nodeName="gpu-7")
    story.until(lambda: not _accepted(story.kube, loose, named), "nobody passes the scheduler by", 90)
    own = pod("own", 1, **two_lines(story.name))
    story.until(lambda: _accepted(story.kube, loose, own), "its own nodes are open to it")
    assert warnings(story.kube, loose, own) == []
    story.pool("Observe", shares=[story.share(t, 2) for t in (strict, loose, warned)])
    nothing_left(story)


def test_layers_have_modes_of_their_own(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    share = [story.share(team, 8)]
    story.ask(team, "work", 4)
    story.pool("Observe", shares=share, quota={"mode": "Enforce"})
    story.until(lambda: story.hard(team) == 4, "the wall stands alone")
    enforced(story)
    assert marks(story.kube, story.name) == [f"quota {team}/gpupool"]
    story.pool("Enforce", shares=share, quota={"mode": "Observe"})
    story.until(lambda: f"label of namespace {team}" in marks(story.kube, story.name), "isolation stands", 90)
    story.until(lambda: story.hard(team) is None, "and the wall is gone", 90)
    enforced(story)
    story.pool("Enforce", shares=share, isolation={"mode": "Recommend"})
    story.until(lambda: story.in_force(team) == 4, "the wall is back", 90)
    story.until(
        lambda: not [m for m in marks(story.kube, story.name) if "label" in m or "taint" in m], "no marks", 90
    )
    named = pod("named", 1, nodeName="x")
    story.until(lambda: warned_only(story.kube, team, named), "isolation warns only", 90)
    story.pool("Observe", shares=share)
    nothing_left(story)


def test_leaving_everything_at_once_leaves_nothing_behind(story: Story) -> None:
    story.add_nodes(2)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    story.pool("Observe", nodes={"names": ["another-node"]}, shares=[])
    nothing_left(story)


def test_a_share_taken_away_under_enforce_releases_its_namespace(story: Story) -> None:
    story.add_nodes(1)
    stays, leaves = story.team("stays"), story.team("leaves")
    story.pool(shares=[story.share(stays, 2), story.share(leaves, 2)])
    enforced(story)
    story.pool(shares=[story.share(stays, 2)])
    story.until(lambda: not [m for m in marks(story.kube, story.name) if leaves in m], "it is released")
    assert f"label of namespace {stays}" in marks(story.kube, story.name)


def test_a_deleted_pool_releases_everything_and_its_pods_run_on(story: Story, mutate: bool) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    story.ask(team, "work", 4)
    enforced(story)
    manifest = pod("works", 4, **({} if mutate else two_lines(story.name)))
    story.until(lambda: _accepted(story.kube, team, manifest), "the wall is in force")
    create(story.kube, team, manifest)
    create(story.kube, team, pod("web"))
    story.until(lambda: "works" in uids(story, team), "the pod runs")
    before = uids(story, team)
    story.kube.delete(f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}")
    assert _accepted(story.kube, team, pod("cpu"))
    nothing_left(story)
    assert {k: v for k, v in uids(story, team).items() if k in before} == before
    status = story.until_phase(team, "work", "Pending")
    assert status["decision"]["reason"] == "NamespaceWithoutPool"

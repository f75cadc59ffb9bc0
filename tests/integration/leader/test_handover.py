"""Leaderships that end in order: a deleted pod, a rolling update, a lease that somebody deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gpupool.model.annotations import EPOCH
from localplane import release
from localplane.kube import KubeError
from localplane.runner.settings import NAMESPACE
from support.marks import standing
from support.replicas import (
    LEASE,
    epoch,
    governed,
    last_words,
    leader,
    pods,
    restarts,
    settled_leader,
    timed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from localplane.cluster import Cluster
    from localplane.kube import Kube
    from support.observer import Observer
    from support.story import Story

OPERATOR = f"system:serviceaccount:{NAMESPACE}:gpupool"
PATIENCE = 120.0
UPDATE = 300.0


def test_a_leader_that_is_told_to_end_hands_over_at_once(
    story: Story, plane: Cluster, kube: Kube, observer: Observer
) -> None:
    del observer
    team = governed(story, first=4, second=0)
    old, before = leader(kube), epoch(kube)
    with timed("leader deleted to the next leader's decision"):
        kube.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{old}")
        story.until(lambda: leader(kube) not in {"", old}, "another one leads", PATIENCE)
        story.ask(team["second"], "work", 3)
        story.until_phase(team["second"], "work", "Granted", seconds=PATIENCE)
    assert epoch(kube) > before
    assert "leadership given back" in last_words(plane, old)
    assert "leadership lost" not in last_words(plane, old)


def test_a_rolling_update_loses_no_request_opens_no_wall_and_does_nothing_twice(
    story: Story, plane: Cluster, kube: Kube, observer: Observer
) -> None:
    del observer
    team = governed(story, first=2, second=0)
    story.until_enforced()
    before, old = epoch(kube), set(pods(kube))
    stood = {k: v for k, v in standing(kube, story.name).items() if team["second"] not in k}
    names = [f"ask-{i}" for i in range(6)]
    with ThreadPoolExecutor(1) as beside, timed("rolling update"):
        annotations = {"podAnnotations": {"test.example/round": f"{before}"}}
        update = beside.submit(release.install, plane, annotations, quiet=True)
        for name in names:
            story.ask(team["second"], name, 1, preemptible=True)
            story.until_phase(team["second"], name, "Granted", seconds=PATIENCE)
        update.result(UPDATE)
    assert settled_leader(kube) not in old
    assert epoch(kube) > before
    assert (story.hard(team["first"]), story.hard(team["second"])) == (2, 6)

    def told() -> dict[str, int]:
        return {name: story.events(team["second"], name).count("Granted") for name in names}

    story.until(lambda: all(told().values()), "every grant is told", PATIENCE)
    assert told() == dict.fromkeys(names, 1)
    now = standing(kube, story.name)
    assert {k: now.get(k) for k in stood} == stood


def test_a_deleted_lease_changes_neither_leader_nor_epoch(
    story: Story, plane: Cluster, kube: Kube, observer: Observer
) -> None:
    del plane, observer
    team = governed(story, first=4, second=0)
    old, before, count = leader(kube), epoch(kube), {n: restarts(kube, n) for n in pods(kube)}
    uid = kube.get(LEASE)["metadata"]["uid"]
    kube.delete(LEASE)
    story.until(
        lambda: kube.exists(LEASE) and kube.get(LEASE)["metadata"]["uid"] != uid, "a new lease", PATIENCE
    )
    story.ask(team["second"], "work", 3)
    story.until_phase(team["second"], "work", "Granted", seconds=PATIENCE)
    assert (leader(kube), epoch(kube)) == (old, before)
    assert {n: restarts(kube, n) for n in pods(kube)} == count


def test_the_policy_refuses_a_smaller_epoch_whoever_asks(story: Story, as_user: Callable[..., Kube]) -> None:
    team = governed(story, first=2)["first"]
    story.until_enforced()
    quota = f"/api/v1/namespaces/{team}/resourcequotas/gpupool"
    now = int(story.kube.get(quota)["metadata"]["annotations"][EPOCH])
    operator, glass = as_user(OPERATOR), as_user("sre", ["gpupool:break-glass", "system:masters"])

    def said(client: Kube, text: str | None) -> str:
        try:
            client.patch(quota, {"metadata": {"annotations": {EPOCH: text}}}, dry_run=True)
        except KubeError as error:
            return error.message
        return ""

    for smaller in (f"{now - 1}", "0", "-1", "", "x", "1e9", None):
        assert "quota-epoch" in said(operator, smaller), smaller
    for later in (f"{now}", f"{now + 1}", f"{now + 1000}"):
        assert said(operator, later) == ""
    assert said(glass, "0") == ""

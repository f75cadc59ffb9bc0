"""API server, etcd and controller-manager end and come back; what was deleted meanwhile is gone for good."""

import pytest

from support.capture import listed
from support.etcd import Etcd
from support.faultstory import FULL, LONG, FaultStory, variant
from support.observer import Observer
from support.story import Json
from support.verdict import law

GAP = 60.0 if FULL else 8.0
"""Seconds that the API server is dead."""
OUTLASTED = GAP > 40.0
"""A node is not Ready for a moment after an API server that was away for longer than a node may be silent."""
WINDOW = 10.0
"""Seconds in which nothing may be raised; several cycles."""


def _two_teams(story: FaultStory, notice: str = "5s") -> tuple[str, str]:
    """One team has 8 of 8 and runs 8, the other waits for 4."""
    story.add_nodes(1)
    a, b = story.team("a"), story.team("b")
    story.pool(
        shares=[story.share(a, 4, limit=8), story.share(b, 4)], recall={"within": notice, "notice": notice}
    )
    story.until_enforced()
    story.ask(a, "one", 4)
    story.ask(a, "two", 4, preemptible=True)
    for name in ("one", "two"):
        story.until_phase(a, name, "Granted", seconds=60)
        story.run(a, name, 4)
    story.until(lambda: story.held(a) == 8, "all eight run", 60)
    return a, b


@pytest.mark.timeout(1200)
def test_what_was_deleted_while_the_server_was_dead_leaves_no_stale_grant(
    story: FaultStory, observer: Observer
) -> None:
    observer.capacity_lost, observer.outage = OUTLASTED, True
    a, b = _two_teams(story)
    etcd = Etcd(story.cluster.port("etcd"))
    doomed = _keys_of(story, a, "two")
    story.cluster.stop("apiserver", "KILL")
    try:
        etcd.delete(doomed)
        etcd.compact()
        story.passes(GAP)
    finally:
        story.cluster.start("apiserver")
    story.ask(b, "want", 4)
    story.until_phase(b, "want", "Granted", seconds=LONG)
    story.run(b, "want", 4)
    story.until(lambda: story.held(b) == 4, "what came free runs for another", LONG)
    story.until_settled()
    stale = sum(s.get("granted", 0) for s in _rows(story)) - 8
    story.counts["API server restarts"] += 1
    story.counts["stale grants"] += stale
    law(stale == 0, f"{stale} stale grants")
    assert (story.hard(a), story.hard(b)) == (4, 4)


@variant
@pytest.mark.timeout(1200)
def test_a_namespace_that_went_while_the_server_was_dead_leaves_its_gpus_to_others(
    story: FaultStory, observer: Observer
) -> None:
    observer.capacity_lost, observer.outage = OUTLASTED, True
    a, b = _two_teams(story)
    etcd = Etcd(story.cluster.port("etcd"))
    doomed = [key for app in ("one", "two") for key in _keys_of(story, a, app)]
    doomed += [f"/registry/resourcequotas/{a}/gpupool", f"/registry/namespaces/{a}"]
    story.cluster.stop("apiserver", "KILL")
    try:
        etcd.delete(doomed)
        etcd.compact()
        story.passes(GAP)
    finally:
        story.cluster.start("apiserver")
    story.ask(b, "want", 8, preemptible=True)
    story.until_phase(b, "want", "Granted", seconds=LONG)
    story.run(b, "want", 8)
    story.until(lambda: story.held(b) == 8, "all that came free runs for another", LONG)
    story.until_settled()
    stale = sum(s.get("granted", 0) for s in _rows(story)) - 8
    story.counts["stale grants"] += stale
    law(stale == 0, f"{stale} stale grants")
    assert (story.hard(a), story.hard(b)) == (None, 8)


@variant
@pytest.mark.timeout(1200)
def test_an_etcd_that_dies_in_a_recall_delays_it(story: FaultStory, observer: Observer) -> None:
    observer.outage = True
    a, b = _two_teams(story)
    story.ask(b, "want", 4)
    story.until_stage(a, "two", "Recalling")
    story.cluster.stop("etcd", "KILL")
    try:
        story.passes(GAP / 4)
    finally:
        story.cluster.start("etcd")
    story.until_phase(b, "want", "Granted", seconds=LONG)
    story.until_settled()
    assert (story.hard(a), story.hard(b)) == (4, 4)
    law(observer.stages(a, "two") == ["Recalling", ""], f"{observer.stages(a, 'two')}")
    story.counts["etcd restarts"] += 1


def _rows(story: FaultStory) -> list[Json]:
    """Statuses of all requests of the story."""
    found = listed(story.kube, "requests")[1]
    return [o.get("status", {}) for (ns, _), o in found.items() if ns.startswith(story.name)]


def _keys_of(story: FaultStory, namespace: str, app: str) -> list[str]:
    """Where etcd keeps a request and its pods."""
    pods: list[Json] = story.kube.list(f"/api/v1/namespaces/{namespace}/pods", labels=f"app={app}")
    names = [pod["metadata"]["name"] for pod in pods]
    return [
        f"/registry/gpupool.dev/capacityrequests/{namespace}/{app}",
        *(f"/registry/pods/{namespace}/{name}" for name in names),
    ]


@pytest.mark.timeout(1200)
def test_while_nobody_confirms_quotas_nothing_is_raised(story: FaultStory, observer: Observer) -> None:
    del observer
    a, b = _two_teams(story, "60s")  # long enough that who gives up does it before it is asked to go
    story.ask(b, "want", 4)
    story.until_phase(b, "want", "Queued", seconds=60)
    story.cluster.stop("controller-manager", "KILL")
    try:
        story.kube.delete(story.request_path(a, "two"))
        for pod in story.kube.list(f"/api/v1/namespaces/{a}/pods", labels="app=two"):
            story.kube.delete(f"/api/v1/namespaces/{a}/pods/{pod['metadata']['name']}", grace_seconds=0)
        story.until(lambda: story.hard(a) == 4, "the wall of who gave up is lowered", 60)
        story.stays(lambda: story.hard(b) == 0, "what is not in force frees nothing", WINDOW)
    finally:
        story.cluster.start("controller-manager")
    story.until_phase(b, "want", "Granted", seconds=LONG)
    assert story.hard(b) == 4
    story.until_settled()
    story.counts["controller-manager outages"] += 1

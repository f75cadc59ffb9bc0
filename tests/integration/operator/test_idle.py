"""Nothing changes, so nothing is written: what a cluster at rest costs its API server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from integration.operator.test_isolation import enforced
from support.marks import ADMISSION, POLICIES, POOL_LABEL
from support.replicas import leaders_page

if TYPE_CHECKING:
    from localplane.cluster import Cluster
    from support.story import Story

Json = dict[str, Any]
QUIET = 20.0
"""Seconds without a write that end the beginning: measured numbers are written every 15 at most."""
GRANTED = 64
"""So many that four busy ones move the efficiency by one percent in ten minutes of the window of an hour."""
REST = 10.0
"""Seconds at rest, at least; the pool must have been looked at meanwhile."""
LIMIT = 90.0
"""Seconds within which a pool is looked at, whatever happens; the chart's default is every 15."""


def writes(plane: Cluster) -> dict[str, float]:
    """What the operator says it wrote, by kind, verb and result."""
    families = {f.name: f for f in text_string_to_metric_families(leaders_page(plane))}
    rows = families["gpupool_writes"].samples
    return {str(sorted(r.labels.items())): r.value for r in rows if r.name == "gpupool_writes_total"}


def cycles(plane: Cluster) -> float:
    return sum(
        s.value
        for f in text_string_to_metric_families(leaders_page(plane))
        for s in f.samples
        if s.name == "gpupool_cycles_total"
    )


def versions(story: Story, team: str) -> dict[str, str]:
    """ResourceVersions of all that the operator writes alone, statuses included."""
    kube, ours = story.kube, f"{POOL_LABEL}={story.name}"
    found: list[Json] = [kube.get(f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}")]
    found += kube.list(f"/apis/gpupool.dev/v1alpha1/namespaces/{team}/capacityrequests")
    found += kube.list("/api/v1/resourcequotas", labels=ours)
    found += kube.list("/api/v1/namespaces", labels=ours)
    found += [p for kind in POLICIES for p in kube.list(f"{ADMISSION}/{kind}", labels=ours)]
    found += kube.list(f"/api/v1/namespaces/{team}/events")
    return {
        f"{o['metadata']['name']} {o['metadata']['uid']}": o["metadata"]["resourceVersion"] for o in found
    }


def at_rest(plane: Cluster, story: Story, team: str) -> bool:
    """Whether everything stays the same for a while."""
    before = (versions(story, team), writes(plane))
    deadline = time.monotonic() + QUIET
    while time.monotonic() < deadline:
        if (versions(story, team), writes(plane)) != before:
            return False
        time.sleep(0.5)
    return True


def test_a_cluster_at_rest_is_written_nothing(story: Story, plane: Cluster) -> None:
    story.until_nobody_enforces()
    story.add_nodes(8)
    team = story.team("a")
    story.pool(shares=[story.share(team, GRANTED)])
    story.ask(team, "work", GRANTED)
    story.until(lambda: story.in_force(team) == GRANTED, "the wall is in force")
    story.ask(team, "waits", 6)
    story.until_phase(team, "waits", "Queued")
    enforced(story)
    story.run(team, "work", 4, use="50")
    story.until(lambda: story.status(team, "work").get("busy") == 4, "four busy GPUs are seen", 90)
    story.until(lambda: at_rest(plane, story, team), "what began has ended", 180)
    before, wrote, ran = versions(story, team), writes(plane), cycles(plane)
    began = time.monotonic()
    while time.monotonic() - began < REST or cycles(plane) == ran:
        assert versions(story, team) == before
        assert writes(plane) == wrote
        assert time.monotonic() - began < LIMIT, "the operator does not look any more"

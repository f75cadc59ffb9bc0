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
GRANTED = 64
"""So many that four busy ones move the efficiency by one percent in ten minutes of the window of an hour."""
REST = 16.0
"""Seconds without a write: measured numbers are written every 15 at most; the pool is looked at meanwhile."""
PATIENCE = 300.0
"""Seconds within which such a rest comes: what began has to end, and a scrape that is late is told, too."""
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


def rested(plane: Cluster, story: Story, team: str, seen: list[str]) -> bool:
    """Whether nothing is written for so long, though the operator looks; `seen` gets what was."""
    before, ran = {**versions(story, team), **writes(plane)}, cycles(plane)
    began = time.monotonic()
    while time.monotonic() - began < REST or cycles(plane) == ran:
        now = {**versions(story, team), **writes(plane)}
        if now != before:
            seen += sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
            return False
        assert time.monotonic() - began < LIMIT, "the operator does not look any more"
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
    seen: list[str] = []
    story.until(
        lambda: rested(plane, story, team, seen),
        lambda: f"nothing is written for {REST:g} s; this was: {seen[-12:]}",
        PATIENCE,
    )

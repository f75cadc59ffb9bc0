"""GitOps applies every manifest again each second: nothing fights, nothing is written because of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from chart.living import helm, kubectl, placement, settle
from localplane import release
from localplane.paths import CHART
from localplane.processes import wait_until
from support.marks import ADMISSION, POLICIES, standing
from support.plane import eventually, temporary_cluster
from support.replicas import leaders_page
from support.story import GOVERNED_SECONDS, Story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chart.living import Tenancy
    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
SECONDS = 60 if os.environ.get("GPUPOOL_FAULTS") == "full" else 15
LEAST = 3
"""Rounds on a machine so slow that one of them takes longer than all of them should."""
WAYS = {
    "server-side": ("--server-side", "--field-manager=gitops", "--force-conflicts"),
    "client-side": (),
}
UNCOUNTED = {"Event", "Status"}
QUIET = 3.0
"""Seconds without a change that end what the first apply began."""


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster of this module's own."""
    with temporary_cluster() as cluster:
        release.install(cluster, quiet=True)
        yield cluster


@pytest.fixture
def tenancy(plane: Cluster, kube: Kube) -> Iterator[Tenancy]:
    """An enforced pool with running pods."""
    del plane
    found = settle(kube)
    yield found
    found.end()


def asked(story: Story, namespace: str) -> list[Json]:
    """The people's own manifests: what they wrote, without what the server added."""
    pool = story.kube.get(f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}")
    kept = []
    for obj in (pool, story.request(namespace, "work")):
        meta = {k: v for k, v in obj["metadata"].items() if k in {"name", "namespace"}}
        kept.append({k: obj[k] for k in ("apiVersion", "kind", "spec")} | {"metadata": meta})
    return kept


def versions(cluster: Cluster, file: Path) -> dict[str, str]:
    """How each object of the manifests stands; a status is others' business, a spec's generation is not."""
    found = yaml.safe_load(kubectl(cluster, "get", "-f", str(file), "-o", "yaml"))["items"]
    return {
        f"{o['kind']} {o['metadata']['name']}": str(
            o["metadata"].get("generation") or o["metadata"]["resourceVersion"]
        )
        for o in found
    }


def writes(cluster: Cluster) -> float:
    """Writes of the leader so far, those to status and Events aside, as it counts them itself."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(leaders_page(cluster))
        for sample in family.samples
        if sample.name == "gpupool_writes_total" and sample.labels["kind"] not in UNCOUNTED
    )


def at_rest(cluster: Cluster, story: Story, file: Path) -> bool:
    """Whether everything stays the same for a while."""

    def look() -> tuple[object, ...]:
        policies = [p for kind in POLICIES for p in story.kube.list(f"{ADMISSION}/{kind}")]
        told = {p["metadata"]["uid"]: p["metadata"]["resourceVersion"] for p in policies}
        return versions(cluster, file), standing(story.kube, story.name), told, writes(cluster)

    before = look()
    return not wait_until(lambda: look() != before, QUIET)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_applying_every_manifest_each_second_changes_nothing(
    plane: Cluster, tenancy: Tenancy, kube: Kube, tmp_path: Path, way: str
) -> None:
    rendered = helm(
        plane, "template", "gpupool", str(CHART), "--no-hooks", "--values", placement(plane, tmp_path)
    )
    assert rendered.returncode == 0, rendered.stderr
    file = tmp_path / "all.yaml"
    people = asked(tenancy.story, tenancy.team)
    file.write_text(rendered.stdout + "".join(f"---\n{yaml.safe_dump(obj)}" for obj in people))

    def apply() -> None:
        # The namespace of probes is guarded like everything of ours; a cluster admin may write it.
        kubectl(plane, "apply", "-f", str(file), *WAYS[way])

    apply()  # the first one takes over what helm wrote
    eventually(tenancy.governed, "all is enforced", GOVERNED_SECONDS)
    eventually(lambda: at_rest(plane, tenancy.story, file), "what the first one began has ended", 90)
    before, ours, written = versions(plane, file), standing(kube, tenancy.story.name), writes(plane)
    rounds, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end or rounds < LEAST:
        began = time.monotonic()
        apply()
        rounds += 1
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
    assert versions(plane, file) == before
    assert standing(kube, tenancy.story.name) == ours
    assert writes(plane) == written
    assert tenancy.running() == tenancy.uids
    assert tenancy.story.condition("Conflict")["status"] == "False"
    print(f"{rounds} {way} applies of {len(before)} objects: no version moved, the operator wrote nothing")

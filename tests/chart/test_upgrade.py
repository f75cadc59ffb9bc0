"""From the version before to this one and back, with pods running: nothing opens, nothing is taken.

`previous.tgz` is that version, chart and operator, as `git archive <commit> charts/gpupool operator/gpupool`
gives it; it is replaced after a release.
"""

from __future__ import annotations

import tarfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from chart.living import CRDS, helm, settle
from chart.probing import probing
from localplane import release
from localplane.paths import CHART
from localplane.runner.settings import LABEL, NAMESPACE
from support.marks import standing
from support.plane import eventually, temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chart.living import Tenancy
    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gpupool"
FROZEN = Path(__file__).with_name("previous.tgz")


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster of this module's own."""
    with temporary_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version before this one: its chart and its operator."""
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(FROZEN) as archive:
        archive.extractall(folder, filter="data")
    return folder


def values_of(cluster: Cluster, previous: Path, folder: Path) -> str:
    """What the version before is installed with: the local plane's node, and its own code, not ours."""
    toleration = {"key": LABEL, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    # A value that begins with a path below a mounted volume (/tmp) would be taken for one in that volume.
    code = f"/nowhere:{previous / 'operator'}"
    values = {
        "nodeSelector": {LABEL: "true"},
        "tolerations": [toleration],
        "prometheus": {"url": cluster.prometheus_url},
        "env": [{"name": "PYTHONPATH", "value": code}],
    }
    file = folder / "previous.yaml"
    file.write_text(yaml.safe_dump(values))
    return str(file)


def available(kube: Kube) -> bool:
    """Whether all replicas of the present version run."""
    found = kube.get(DEPLOYMENT)
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    counts = {status.get(f"{word}Replicas", 0) for word in ("updated", "available", "ready")} | {wanted}
    current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    return current and counts == {wanted} and status.get("replicas") == wanted


def knows(kube: Kube) -> set[str]:
    """The fields of a pool's status that the CRD has."""
    (version,) = kube.get(f"{CRDS}/gpupools.gpupool.dev")["spec"]["versions"]
    return set(version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"])


def denied(kube: Kube, namespace: str) -> list[str]:
    """What controllers were refused."""
    found = kube.list(f"/api/v1/namespaces/{namespace}/events", fields="reason=FailedCreate")
    return [str(e["message"]) for e in found]


def settled(tenancy: Tenancy, kube: Kube) -> None:
    """The operator of now runs and finds everything enforced."""
    eventually(lambda: available(kube), "all replicas run", 120)
    tenancy.story.until(tenancy.governed, "the pool is enforced", 150)


@pytest.fixture
def tenancy(plane: Cluster, previous: Path, kube: Kube, tmp_path: Path) -> Iterator[Tenancy]:
    """An enforced pool with running pods under the version before."""
    old = str(previous / "charts" / "gpupool")
    place = ["--values", values_of(plane, previous, tmp_path), "--create-namespace"]
    done = helm(plane, "upgrade", "--install", "gpupool", old, *place)
    assert done.returncode == 0, done.stderr
    eventually(lambda: available(kube), "the version before runs", 120)
    found = settle(kube, {})  # the version before knows no isolation.cpuPods
    found.story.deploy(found.team, "work", 1)
    found.story.until(lambda: len(found.running()) == 5, "a Deployment runs beside four pods", 60)
    found.uids = found.running()
    # One for a pod that is deleted and counted a moment longer, and one for a pod that must be let in always.
    found.story.ask(found.team, "spare", 2)
    found.story.until(lambda: found.story.in_force(found.team) == 6, "the wall has room for two more", 60)
    yield found
    found.end()


def test_upgrade_rollback_and_a_rolling_restart_open_nothing_and_take_nothing(
    plane: Cluster, tenancy: Tenancy, kube: Kube
) -> None:
    before, old_fields = set(standing(kube, tenancy.story.name)), knows(kube)
    controller = f"/api/v1/namespaces/{tenancy.team}/pods"
    with probing(tenancy):
        release.install(plane, {"env": []}, quiet=True)
        settled(tenancy, kube)
        assert knows(kube) > old_fields, "a field of this version is served"
        assert before <= set(standing(kube, tenancy.story.name))
        assert tenancy.running() == tenancy.uids

        done = helm(plane, "rollback", "gpupool", "1")
        assert done.returncode == 0, done.stderr
        # What this version added for pods outside the pools stands on, and answers some older probes first.
        eventually(partial(available, kube), "the version before runs again", 120)
        tenancy.story.until(lambda: before <= set(standing(kube, tenancy.story.name)), "with its walls", 90)
        assert tenancy.running() == tenancy.uids

        release.install(plane, {"env": []}, quiet=True)
        settled(tenancy, kube)
        stamp = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
        kube.patch(DEPLOYMENT, stamp)
        settled(tenancy, kube)
        assert tenancy.running() == tenancy.uids

        (replica,) = kube.list(controller, labels="app=work,pod-template-hash")
        kube.delete(f"{controller}/{replica['metadata']['name']}", grace_seconds=0)
        gone = replica["metadata"]["uid"]
        tenancy.story.until(
            lambda: len(now := tenancy.running()) == len(tenancy.uids) and gone not in now.values(),
            "a controller replaces its pod",
            60,
        )
    assert denied(kube, tenancy.team) == []
    assert tenancy.story.status(tenancy.team, "work")["granted"] == 4
    done = helm(plane, "test", "gpupool")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_frozen_version_is_another_one_than_this(previous: Path) -> None:
    old, new = (yaml.safe_load((c / "values.yaml").read_text()) for c in (previous / "charts/gpupool", CHART))
    assert old != new

"""An install from its first day to its last, by real helm on a real control plane."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from chart.living import CRDS, KEPT, OUR_CRDS, helm, kubectl, objects_of_ours, placement, release_log, settle
from localplane import release
from localplane.paths import CHART, CHECKOUT
from localplane.runner.settings import LABEL, NAMESPACE
from support.marks import marks, standing
from support.plane import eventually, temporary_cluster
from support.story import GOVERNED_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chart.living import Tenancy
    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gpupool"


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster of this module's own: what is uninstalled here must be nobody else's."""
    with temporary_cluster() as cluster:
        yield cluster


@pytest.fixture
def installed(plane: Cluster) -> Cluster:
    """The chart with its default values, whatever the last test left."""
    release.install(plane, {"cycleInterval": 15, "crds": {"keep": True}, "env": []}, quiet=True)
    return plane


@pytest.fixture
def tenancy(installed: Cluster, kube: Kube) -> Iterator[Tenancy]:
    """An enforced pool with running pods."""
    del installed
    found = settle(kube)
    yield found
    found.end()


def environment(kube: Kube) -> dict[str, str]:
    container = kube.get(DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]
    return {e["name"]: e.get("value", "") for e in container["env"]}


def nothing_of_ours(cluster: Cluster, kube: Kube, *, kept: set[str]) -> None:
    """Fail unless nothing but `kept` is left, marks on foreign objects included."""
    assert marks(kube) == []
    probes = "/api/v1/namespaces/gpupool-probe"
    eventually(lambda: not kube.exists(probes), "the probe namespace is gone", 60)
    eventually(
        lambda: objects_of_ours(cluster) == kept,
        lambda: f"only {kept} is left: {objects_of_ours(cluster)}",
        60,
    )


def test_an_upgrade_and_a_rollback_change_the_operator_and_no_wall(
    installed: Cluster, tenancy: Tenancy, kube: Kube
) -> None:
    before = standing(kube, tenancy.story.name)
    release.install(installed, {"cycleInterval": 7}, quiet=True)
    assert environment(kube)["GPUPOOL_CYCLE_INTERVAL"] == "7"
    tenancy.story.until(
        lambda: tenancy.governed() and standing(kube, tenancy.story.name) == before,
        "the new operator finds the pool enforced, and leaves everything as it was",
        120,
    )
    done = helm(installed, "rollback", "gpupool", "--wait")
    assert done.returncode == 0, done.stderr
    assert environment(kube)["GPUPOOL_CYCLE_INTERVAL"] == "15"
    tenancy.story.until(
        lambda: tenancy.governed() and standing(kube, tenancy.story.name) == before,
        "the old operator finds it too",
        120,
    )
    assert tenancy.running() == tenancy.uids


def test_an_upgrade_brings_the_new_crds(installed: Cluster, kube: Kube, tmp_path: Path) -> None:
    older = tmp_path / "chart"
    shutil.copytree(CHART, older)
    file = older / "files" / "crds" / "gpupool.dev_gpupools.yaml"
    crd = yaml.safe_load(file.read_text())
    shape = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del shape["reserve"]
    file.write_text(yaml.safe_dump(crd))
    place = ["--values", placement(installed, tmp_path)]

    def knows_reserve() -> bool:
        served = kube.get(f"{CRDS}/gpupools.gpupool.dev")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        return "reserve" in served["properties"]["spec"]["properties"]

    assert helm(installed, "upgrade", "gpupool", str(older), *place).returncode == 0
    assert not knows_reserve()
    assert helm(installed, "upgrade", "gpupool", str(CHART), *place).returncode == 0
    assert knows_reserve()


def test_a_typo_in_the_values_changes_nothing(installed: Cluster, tmp_path: Path) -> None:
    revision = helm(installed, "list", "--output", "json").stdout
    place = ["--values", placement(installed, tmp_path)]
    done = helm(installed, "upgrade", "gpupool", str(CHART), *place, "--set", "policies.mutat=false")
    assert done.returncode != 0
    assert "mutat" in done.stderr
    assert helm(installed, "list", "--output", "json").stdout == revision


def test_uninstalling_takes_everything_back_and_pods_run_on(
    installed: Cluster, tenancy: Tenancy, kube: Kube
) -> None:
    release.uninstall(installed)
    said = release_log(installed)
    for line in (
        f"release: unmark node {tenancy.story.nodes[0]}",
        f"release: unlabel namespace {tenancy.team}",
        "release: delete resourcequotas gpupool",
        "0 failures",
    ):
        assert line in said
    nothing_of_ours(installed, kube, kept=KEPT)
    assert tenancy.running() == tenancy.uids
    assert tenancy.story.pool_status()["granted"] == {"nvidia.com/gpu": 4}
    assert tenancy.story.status(tenancy.team, "work")["phase"] == "Granted"
    many = tenancy.story.run(tenancy.team, "free", 5)
    tenancy.story.until(lambda: set(many) <= set(tenancy.running()), "pods run without any wall", 60)
    for name in many:
        kube.delete(f"/api/v1/namespaces/{tenancy.team}/pods/{name}", grace_seconds=0)

    release.install(installed, quiet=True)
    tenancy.story.until(tenancy.governed, "installed again, the kept pool is enforced again", 120)
    tenancy.story.until(lambda: tenancy.story.hard(tenancy.team) == 4, "with the same wall")
    assert {n: u for n, u in tenancy.running().items() if n in tenancy.uids} == tenancy.uids


def test_uninstalling_with_an_operator_that_cannot_start(
    installed: Cluster, tenancy: Tenancy, kube: Kube, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({"env": [{"name": "GPUPOOL_NO_SUCH_SETTING", "value": "x"}]}))
    files = ["--values", placement(installed, tmp_path), "--values", str(wrong)]
    assert helm(installed, "upgrade", "gpupool", str(CHART), *files).returncode == 0
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"

    def crashes() -> bool:
        rows = [r for p in kube.list(pods) for r in p["status"].get("containerStatuses", [])]
        return any(r["restartCount"] > 0 and not r["ready"] for r in rows)

    eventually(crashes, "the operator crashes", 60)
    release.uninstall(installed)
    nothing_of_ours(installed, kube, kept=KEPT)
    assert tenancy.running() == tenancy.uids


def test_uninstalling_when_the_crds_went_first(installed: Cluster, tenancy: Tenancy, kube: Kube) -> None:
    for crd in OUR_CRDS:
        kube.delete(f"{CRDS}/{crd}")
    eventually(lambda: not kube.exists(f"{CRDS}/gpupools.gpupool.dev"), "the CRDs are gone", 60)
    release.uninstall(installed)
    assert "0 failures" in release_log(installed)
    nothing_of_ours(installed, kube, kept=set())
    assert tenancy.running() == tenancy.uids


def test_keeping_nothing_uninstalls_the_crds_too(installed: Cluster, kube: Kube) -> None:
    release.install(installed, {"crds": {"keep": False}}, quiet=True)
    release.uninstall(installed)
    nothing_of_ours(installed, kube, kept=set())


def test_plain_manifests_install_an_empty_cluster(plane: Cluster, kube: Kube) -> None:
    helm(plane, "uninstall", "gpupool", "--ignore-not-found", "--wait")
    for crd in OUR_CRDS:
        kube.delete(f"{CRDS}/{crd}")
    eventually(lambda: not kube.exists(f"{CRDS}/gpupools.gpupool.dev"), "no CRD is left", 60)
    install = str(CHECKOUT / "deploy" / "install.yaml")
    kubectl(plane, "apply", "--server-side", "-f", install)
    values = release.chart_values(plane)
    place = {"nodeSelector": {LABEL: "true"}, "tolerations": values["tolerations"]}
    kube.patch(DEPLOYMENT, {"spec": {"template": {"spec": place}}})
    eventually(lambda: kube.get(DEPLOYMENT).get("status", {}).get("availableReplicas") == 1, "it runs", 120)
    tenancy = settle(kube)
    kube.delete(f"/apis/gpupool.dev/v1alpha1/gpupools/{tenancy.story.name}")
    eventually(lambda: marks(kube) == [], "a deleted pool leaves nothing", GOVERNED_SECONDS)
    tenancy.end()
    kubectl(plane, "delete", "--wait=false", "-f", install)
    gone = [f"/api/v1/namespaces/{name}" for name in (NAMESPACE, "gpupool-probe")]
    gone += [f"{CRDS}/{crd}" for crd in OUR_CRDS]
    eventually(lambda: not any(map(kube.exists, gone)), "namespaces and CRDs are gone", GOVERNED_SECONDS)

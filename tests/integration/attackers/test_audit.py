"""`gpupool audit` on a living cluster, with the operator dead: what it says, how it ends, what it leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from integration.attackers.siege import RBAC, Siege
from integration.isolation.asking import create, pod, wait_for
from localplane import release
from localplane.kube import KubeError
from support.marks import ADMISSION, POOL_LABEL, standing, two_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
ROWS = 29
READ = ["get", "list"]


def audit(kubeconfig: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and what was printed; a complaint comes first."""
    command = [str(Path(sys.executable).with_name("gpupool")), "audit", *arguments]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return run.returncode, run.stderr + run.stdout


def states(kubeconfig: Path, *arguments: str) -> tuple[int, dict[int, Json]]:
    code, text = audit(kubeconfig, "-o", "json", *arguments)
    return code, {row["row"]: row for row in json.loads(text)["rows"]}


def everything(kube: Kube) -> dict[str, str]:
    """What an audit could leave: every object it tries to make or to change, as it stands."""
    kinds = {
        "/api/v1": ("pods", "resourcequotas", "namespaces"),
        "/apis/resource.k8s.io/v1": ("resourceclaims", "resourceclaimtemplates"),
        "/apis/gpupool.dev/v1alpha1": ("gpupools", "capacityrequests"),
    }
    found = standing(kube)
    for base, plurals in kinds.items():
        for plural in plurals:
            for each in kube.list(f"{base}/{plural}"):
                meta = each["metadata"]
                spec = json.dumps([each.get("spec"), meta.get("labels")], sort_keys=True)
                found[f"{plural} {meta.get('namespace', '')}/{meta['name']} {meta['uid']}"] = spec
    return found


def test_every_row_is_closed_or_documented_and_nothing_is_left_behind(siege: Siege, plane: Cluster) -> None:
    wait_for(lambda: not _going(siege.kube), "the namespaces of earlier tests to be gone", 120)
    before = everything(siege.kube)
    code, text = audit(plane.kubeconfig)
    assert code == 0, text
    lines = [line for line in text.splitlines() if line[:1].isdigit() and line.split()[0].isdigit()]
    assert [int(line.split()[0]) for line in lines] == list(range(1, ROWS + 1)), text
    code, rows = states(plane.kubeconfig, "--pool", siege.home.name)
    assert code == 0
    documented = {n for n, row in rows.items() if row["state"] == "documented"}
    assert documented == {15, 23, 26, 27, 29}, rows
    assert {row["state"] for n, row in rows.items() if n not in documented} == {"closed"}
    assert everything(siege.kube) == before


def _going(kube: Kube) -> list[str]:
    """Namespaces and pods that are on their way out."""
    found = [o for plural in ("namespaces", "pods") for o in kube.list(f"/api/v1/{plural}")]
    return [o["metadata"]["name"] for o in found if "deletionTimestamp" in o["metadata"]]


@contextmanager
def taken_away(plane: Cluster, kube: Kube, binding: str) -> Iterator[None]:
    """A hole: a binding is gone, and the operator that would write it again is dead.

    What Helm owns Helm brings back: made by another hand it would be in the way of the next upgrade.
    """
    path = f"{ADMISSION}/validatingadmissionpolicybindings/{binding}"
    body = kube.get(path)
    kube.delete(path)
    try:
        yield
    finally:
        if body["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm":
            release.install(plane, quiet=True)
        else:
            kept = {k: v for k, v in body["metadata"].items() if k in {"name", "labels", "ownerReferences"}}
            kube.create({**body, "metadata": kept})


def _gets_in(siege: Siege, row: int) -> bool:
    """Whether what a row tries is let in."""
    mark = {"metadata": {"labels": {POOL_LABEL: siege.home.name}}}
    grave = pod("grave", 1, **two_lines(siege.home.name), priorityClassName="system-node-critical")
    attempts: dict[int, Callable[[], object]] = {
        11: lambda: siege.clients["broad"].patch(f"/api/v1/namespaces/{siege.outside}", mark, dry_run=True),
        14: lambda: create(siege.kube, siege.team, grave, dry_run=True),
        21: lambda: create(siege.kube, siege.outside, pod("greedy", 1), dry_run=True),
    }
    try:
        attempts[row]()
    except KubeError:
        return False
    return True


@pytest.mark.parametrize(
    ("binding", "row"),
    [("gpupool-outsiders", 21), ("gpupool-{home}-pods-enforce", 14), ("gpupool-namespace-guard", 11)],
)
def test_a_hole_is_an_open_row_and_a_failure(siege: Siege, plane: Cluster, binding: str, row: int) -> None:
    with taken_away(plane, siege.kube, binding.format(home=siege.home.name)):
        wait_for(lambda: _gets_in(siege, row), f"row {row} to open", 60)
        code, rows = states(plane.kubeconfig, "--pool", siege.home.name)
        assert (code, rows[row]["state"]) == (1, "open")
        assert f"was accepted (pool {siege.home.name})" in rows[row]["answer"]
    wait_for(lambda: not _gets_in(siege, row), "the hole to be closed", 60)


def test_binding_pods_is_open_though_its_try_in_the_probe_namespace_is_refused(
    siege: Siege, plane: Cluster
) -> None:
    with taken_away(plane, siege.kube, "gpupool-binding-guard"):
        code, rows = states(plane.kubeconfig, "--pool", siege.home.name)
        assert (code, rows[5]["state"]) == (1, "open")
        assert "no policy *-binding-guard whose binding denies" in rows[5]["answer"]
    assert states(plane.kubeconfig, "--pool", siege.home.name)[1][5]["state"] == "closed"


def test_a_pool_that_is_not_there_is_told_with_what_to_do(siege: Siege, plane: Cluster) -> None:
    del siege
    code, text = audit(plane.kubeconfig, "--pool", "nobodys")
    assert code == 1
    assert "there is no pool nobodys that enforces isolation" in text
    assert "set spec.mode: Enforce on a GpuPool" in text


@pytest.fixture
def auditor(siege: Siege, plane: Cluster, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of somebody who may look and create pods, and may not impersonate."""
    name = f"auditor-{siege.team}"
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": READ},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},
        {"nonResourceURLs": ["*"], "verbs": ["get"]},
    ]
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    account = {"kind": "ServiceAccount", "name": "auditor", "namespace": siege.outside}
    base: Json = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": name}}
    made = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {k: account[k] for k in ("name", "namespace")},
        },
        {**base, "kind": "ClusterRole", "rules": rules},
        {**base, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [account]},
    ]
    for body in made:
        siege.kube.create(body)
    path = f"/api/v1/namespaces/{siege.outside}/serviceaccounts/auditor/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = siege.kube.request("POST", path, body=request)["status"]["token"]
    wait_for(
        lambda: _may_create(siege, f"system:serviceaccount:{siege.outside}:auditor"), "the auditor's rights"
    )
    yield _kubeconfig(plane.kubeconfig, tmp_path / "auditor", token)
    for kind in ("clusterrolebindings", "clusterroles"):
        siege.kube.delete(f"/apis/{RBAC}/v1/{kind}/{name}")


def _may_create(siege: Siege, user: str) -> bool:
    with siege.kube.impersonating(user, ["system:serviceaccounts"]) as client:
        try:
            create(client, siege.outside, pod("trial"), dry_run=True)
        except KubeError:
            return False
    return True


def _kubeconfig(source: Path, target: Path, token: str) -> Path:
    shutil.copy(source, target)
    found = yaml.safe_load(target.read_text())
    found["users"][0]["user"] = {"token": token}
    target.write_text(yaml.safe_dump(found))
    return target


def test_who_may_not_impersonate_is_told_what_was_not_proven(siege: Siege, auditor: Path) -> None:
    code, rows = states(auditor, "--pool", siege.home.name)
    assert code == 1
    assert rows[1]["state"] == rows[21]["state"] == "closed", "creating pods is enough for these"
    assert (rows[6]["state"], rows[6]["answer"].count("you may not impersonate")) == ("unproven", 2)
    assert rows[12]["state"] == "unproven"
    assert "RBAC refused you, before any policy spoke" in rows[12]["answer"]
    assert rows[20] == {**rows[20], "state": "unproven"}

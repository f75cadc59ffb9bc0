"""What is right applies as it stands, and the API server and the operator read the same from it."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from gpupool.api.kinds import KINDS
from gpupool.api.v1alpha1 import CapacityRequest, GpuPool
from localplane.cluster import Cluster
from localplane.kube import Kube
from support import statuses
from support.manifests import EXAMPLES, collection, create, example, good, install_crds

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def _crds(plane: Cluster) -> None:
    with plane.kube() as kube:
        install_crds(kube)


def kubectl(plane: Cluster, *arguments: str) -> str:
    command = [str(plane.program("kubectl")), "--kubeconfig", str(plane.kubeconfig), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("name", sorted(file.stem for file in EXAMPLES.glob("*.yaml")))
def test_an_example_applies_as_it_stands(plane: Cluster, kube: Kube, name: str) -> None:
    manifest = example(name)
    if namespace := manifest["metadata"].get("namespace"):
        kube.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            path=f"/api/v1/namespaces/{namespace}",
        )
    file = str(EXAMPLES / f"{name}.yaml")
    answer = kubectl(plane, "apply", "--validate=strict", "--dry-run=server", "-o", "json", "-f", file)
    model = next(kind.model for kind in KINDS if kind.name == manifest["kind"])
    read, meant = (model.model_validate(each) for each in (json.loads(answer), manifest))
    assert read.to_wire()["spec"] == meant.to_wire()["spec"]


def test_the_defaults_of_the_api_server_are_the_defaults_of_the_model(kube: Kube) -> None:
    pool = example("minimal-pool")
    stored = create(kube, pool, dry_run=True)
    assert GpuPool.model_validate(pool).spec == GpuPool.model_validate(stored).spec
    assert stored["spec"] == {
        **pool["spec"],
        "mode": "Observe",
        "purpose": "Experimentation",
        "resources": ["nvidia.com/gpu"],
        "reserve": 0,
        "visibility": "Teams",
    }


def test_defaults_inside_parts_agree_where_the_part_is_given(kube: Kube) -> None:
    pool = example("minimal-pool")
    pool["spec"] |= {
        "isolation": {},
        "reclaim": {},
        "recall": {},
        "quota": {},
        "telemetry": {},
        "resources": ["nvidia.com/gpu", "amd.com/gpu"],
        "shares": [{"team": "a", "namespaces": ["a"], "perResource": {"amd.com/gpu": {}}}],
    }
    stored = create(kube, pool, dry_run=True)
    assert GpuPool.model_validate(pool).spec == GpuPool.model_validate(stored).spec
    assert stored["spec"]["isolation"] == {
        "taint": True,
        "cpuPods": "Deny",
        "schedulerNames": ["default-scheduler"],
    }
    assert stored["spec"]["telemetry"] == {"jobs": ["dcgm-exporter"]}
    assert stored["spec"]["shares"][0]["weight"] == 1
    assert stored["spec"]["shares"][0]["perResource"] == {"amd.com/gpu": {"guaranteed": 0}}
    assert stored["spec"]["reclaim"] == {}


def test_the_defaults_of_a_request_agree(kube: Kube) -> None:
    request = good("capacityrequest")
    del request["spec"]["preemptible"]
    stored = create(kube, request, dry_run=True)
    assert CapacityRequest.model_validate(request).spec == CapacityRequest.model_validate(stored).spec
    assert stored["spec"] == {**request["spec"], "preemptible": False, "priority": "Normal"}


def test_quick_recalls_are_allowed_beside_quick_windows(kube: Kube) -> None:
    pool = example("minimal-pool")
    pool["spec"] |= {
        "reclaim": {
            "window": "5s",
            "lookback": "5s",
            "grace": "5s",
            "startupGrace": "0s",
            "releaseAfter": "1m",
        },
        "recall": {"within": "10s", "notice": "5s"},
    }
    parsed = GpuPool.model_validate(create(kube, pool, dry_run=True)).spec
    assert parsed.reclaim.window == timedelta(seconds=5)
    assert parsed.recall.slack == timedelta(seconds=5)


@pytest.mark.parametrize("text", ["90s", "1h30m", "1d12h", "2w", "7d", "500000ms"])
def test_the_api_server_and_the_model_read_a_duration_alike(kube: Kube, text: str) -> None:
    pool = example("minimal-pool")
    pool["spec"]["reclaim"] = {"window": text, "lookback": text}
    model = GpuPool.model_validate(create(kube, pool, dry_run=True))
    seconds = int(model.spec.reclaim.window.total_seconds()) if model.spec.reclaim.window else 0
    # The API server compares the same number, written in seconds: a second less is too short.
    pool["spec"]["reclaim"]["lookback"] = f"{seconds}s"
    assert create(kube, pool, dry_run=True)["spec"]["reclaim"]["lookback"] == f"{seconds}s"
    pool["spec"]["reclaim"]["lookback"] = f"{seconds - 1}s"
    with pytest.raises(Exception, match=r"shorter than reclaim\.window"):
        create(kube, pool, dry_run=True)


def test_a_pool_at_every_bound_is_accepted(kube: Kube) -> None:
    pool = example("minimal-pool")
    pool["spec"]["nodes"] = {"names": [f"node-{number}" for number in range(1000)]}
    pool["spec"]["shares"] = [
        {"team": f"team-{team}", "namespaces": [f"namespace-{'x' * 40}-{team}-{n}" for n in range(50)]}
        for team in range(200)
    ]
    stored = create(kube, pool, dry_run=True)
    assert len(GpuPool.model_validate(stored).spec.shares) == 200


def test_a_full_status_survives_the_way_to_the_api_server_and_back(kube: Kube) -> None:
    for manifest, status in (
        (example("minimal-pool"), statuses.full_pool_status(NOW)),
        (good("capacityrequest"), statuses.full_request_status(NOW)),
        (good("inferenceslo"), statuses.full_slo_status(NOW)),
    ):
        manifest["metadata"]["name"] = "full-status"
        create(kube, manifest)
        path = f"{collection(manifest)}/full-status"
        try:
            kube.patch(f"{path}/status", {"status": status.to_wire()})
            stored = kube.get(path)["status"]
            assert stored == status.to_wire()
            assert type(status).model_validate(stored) == status
        finally:
            kube.delete(path)


def test_the_printed_columns_answer_the_first_question(plane: Cluster, kube: Kube) -> None:
    pool, request, slo = example("minimal-pool"), good("capacityrequest"), good("inferenceslo")
    for manifest, status in (
        (pool, statuses.full_pool_status(NOW)),
        (request, statuses.full_request_status(NOW)),
        (slo, statuses.full_slo_status(NOW)),
    ):
        manifest["metadata"]["name"] = "columns"
        create(kube, manifest)
        kube.patch(f"{collection(manifest)}/columns/status", {"status": status.to_wire()})
    try:
        head, row = kubectl(plane, "get", "gpool", "columns").splitlines()
        assert head.split() == ["NAME", "MODE", "USABLE", "GRANTED", "HELD", "BUSY", "QUEUED", "READY", "AGE"]
        assert row.split()[:8] == ["columns", "Observe", "56", "40", "20", "12", "32", "True"]
        head, row = kubectl(plane, "get", "capreq", "columns").splitlines()
        names = "NAME PHASE GPUS GRANTED ALLOWANCE HELD BUSY POSITION REASON DEADLINE AGE"
        assert head.split() == names.split()
        expected = ["columns", "Granted", "64", "32", "24", "20", "12", "3", "InsufficientCapacity"]
        assert row.split()[:9] == expected
        assert row.split()[9] == "2026-07-01T13:00:00Z"
        wide = kubectl(plane, "get", "capreq", "columns", "-o", "wide")
        assert "64 usable" in wide
        assert "capacityrequest.gpupool.dev/columns" in kubectl(plane, "get", "gpupool", "-o", "name")
        head, row = kubectl(plane, "get", "islo", "columns").splitlines()
        names = "NAME TARGET MET ATTAINMENT BUDGET CAUSE DATA READY FLOOR CEILING AGE"
        assert head.split() == names.split()
        cells = "columns chat False 98.5 -50.25 KVCacheBound OK 2 2 8"
        assert row.split()[:10] == cells.split()
        assert "AsPlanned" in kubectl(plane, "get", "islo", "columns", "-o", "wide")
    finally:
        for manifest in (pool, request, slo):
            kube.delete(f"{collection(manifest)}/columns")


def test_objects_are_found_by_their_selectable_fields(kube: Kube) -> None:
    request = good("capacityrequest")
    request["metadata"]["name"] = "found"
    request["spec"] |= {"pool": "lab", "priority": "Low"}
    create(kube, request)
    path = collection(request)
    try:
        kube.patch(f"{path}/found/status", {"status": {"phase": "Queued"}})
        chosen = "spec.pool=lab,spec.priority=Low,status.phase=Queued"
        assert [item["metadata"]["name"] for item in kube.list(path, fields=chosen)] == ["found"]
        assert kube.list(path, fields="spec.pool=other") == []
    finally:
        kube.delete(f"{path}/found")


def test_kubectl_explain_tells_what_a_field_means(plane: Cluster) -> None:
    told = kubectl(plane, "explain", "capacityrequest.spec.minGpus")
    assert "Fewest GPUs that are of use" in told
    assert json.loads(kubectl(plane, "get", "--raw", "/apis/gpupool.dev/v1alpha1"))["resources"]
    assert [kind.plural for kind in KINDS] == ["gpupools", "capacityrequests", "inferenceslos"]

"""The runner runs the release's pods as local processes and alone reports what they do."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.processes import marked
from localplane.runner.podspec import parse_pod
from localplane.runner.settings import NAMESPACE, NODE
from localplane.runner.volumes import Volumes
from support.plane import (
    Json,
    condition,
    eventually,
    main_status,
    pods_of,
    prometheus,
    python_container,
    runner_deployment,
    runner_pod,
    serving_script,
    temporary_cluster,
)

pytestmark = pytest.mark.usefixtures("system")

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
PORTS = [{"name": "GPUPOOL_METRICS_PORT", "value": "8080"}, {"name": "GPUPOOL_HEALTH_PORT", "value": "8081"}]
PROBES = {
    "env": PORTS,
    "ports": [{"name": "metrics", "containerPort": 8080}, {"name": "health", "containerPort": 8081}],
    "readinessProbe": {
        "httpGet": {"path": "/readyz", "port": "health"},
        "periodSeconds": 1,
        "failureThreshold": 2,
    },
}


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster of this module's own: it holds the part `operator` down and empties its namespace."""
    with temporary_cluster() as cluster:
        yield cluster


@pytest.fixture
def system(kube: Kube) -> Iterator[str]:
    """The release's namespace, without pods of ours when the test ends."""
    if not kube.exists(f"/api/v1/namespaces/{NAMESPACE}"):
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
    eventually(lambda: kube.exists(account), "default ServiceAccount")
    yield NAMESPACE
    for deployment in kube.list(DEPLOYMENTS):
        kube.delete(f"{DEPLOYMENTS}/{deployment['metadata']['name']}")
    for job in kube.list(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"):
        kube.request(
            "DELETE",
            f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{job['metadata']['name']}",
            propagationPolicy="Background",
        )
    for pod in kube.list(PODS):
        kube.delete(f"{PODS}/{pod['metadata']['name']}")
    eventually(lambda: not kube.list(PODS), "all pods gone")


def pod(kube: Kube, name: str) -> Json:
    return kube.find(f"{PODS}/{name}") or {}


def test_its_node_is_ready_tainted_and_unknown_to_kwok(kube: Kube) -> None:
    node = eventually(lambda: kube.find(f"/api/v1/nodes/{NODE}"), "the node")
    assert "kwok.x-k8s.io/node" not in node["metadata"].get("annotations", {})
    assert {"key": "gpupool.dev/runner", "value": "true", "effect": "NoSchedule"} in node["spec"]["taints"]
    eventually(lambda: condition(kube.get(f"/api/v1/nodes/{NODE}"), "Ready") == "True", "node Ready")


def test_a_deployment_becomes_available_and_its_metrics_are_scraped(plane: Cluster, kube: Kube) -> None:
    kube.create(runner_deployment("serving", python_container(serving_script(), **PROBES)))
    eventually(lambda: condition(kube.get(f"{DEPLOYMENTS}/serving"), "Available") == "True", "Available")
    found = eventually(lambda: prometheus(plane, 'gpupool_test_value{job="gpupool"}'), "a scraped metric")
    assert [value for _, value in found] == [42]
    assert f"GPUPOOL_METRICS_URL={plane.metrics_url}\n" in plane.layout.env.read_text()
    page = httpx.get(plane.metrics_url, trust_env=False)
    assert (page.status_code, page.text) == (200, "gpupool_test_value 42\n")


def test_the_fixed_address_of_metrics_leads_to_the_pod_that_leads_and_to_none_when_all_are_gone(
    plane: Cluster, kube: Kube
) -> None:
    for name, leads in (("stands-by", 0), ("leads", 1), ("stands-by-too", 0)):
        page = f"# HELP gpupool_leader 1 in the leader\ngpupool_leader {leads}.0\nwho {name}\n"
        kube.create(runner_deployment(name, python_container(serving_script(page=page), **PROBES)))

    def said() -> str:
        answer = httpx.get(plane.metrics_url, trust_env=False, timeout=10)
        return answer.text if answer.is_success else f"{answer.status_code}"

    eventually(lambda: "who leads" in said(), "the leader's page")
    for name in ("stands-by", "stands-by-too"):
        eventually(partial(_ready, kube, name), f"{name} is ready")
    eventually(lambda: "who leads" in said(), "the leader's page, though others are ready")
    kube.delete(f"{DEPLOYMENTS}/leads")
    eventually(lambda: "who stands-by" in said(), "anybody's page")
    for name in ("stands-by", "stands-by-too"):
        kube.delete(f"{DEPLOYMENTS}/{name}")
    eventually(lambda: said() == "503", "nobody's page")


def _ready(kube: Kube, name: str) -> bool:
    return [condition(p, "Ready") for p in pods_of(kube, name)] == ["True"]


def test_a_container_gets_its_token_fields_and_config(kube: Kube, system: str, tmp_path: Path) -> None:
    out = tmp_path / "seen.json"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told", "namespace": system}}
    kube.apply({**config, "data": {"colour": "green"}})
    script = f"""
import json, os, pathlib, ssl, urllib.request, time
account = pathlib.Path(os.environ["GPUPOOL_SERVICEACCOUNT_DIR"])
url = "https://" + os.environ["KUBERNETES_SERVICE_HOST"] + ":" + os.environ["KUBERNETES_SERVICE_PORT"]
body = json.dumps({{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}}).encode()
url += "/apis/authentication.k8s.io/v1/selfsubjectreviews"
request = urllib.request.Request(url, data=body, method="POST")
request.add_header("Authorization", "Bearer " + (account / "token").read_text())
request.add_header("Content-Type", "application/json")
context = ssl.create_default_context(cafile=account / "ca.crt")
answer = json.load(urllib.request.urlopen(request, context=context))
seen = dict(os.environ)
seen["user"] = answer["status"]["userInfo"]["username"]
seen["namespace_file"] = (account / "namespace").read_text()
seen["file"] = (pathlib.Path(os.environ["GPUPOOL_MOUNT_TOLD"]) / "colour").read_text()
pathlib.Path({str(out)!r}).write_text(json.dumps(seen))
time.sleep(600)
"""
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "told", "key": "colour"}}},
        {"name": "BOTH", "value": "$(WHO)-$(COLOUR)-$$(WHO)"},
    ]
    mounts = [{"name": "told", "mountPath": "/etc/told"}]
    volumes = [{"name": "told", "configMap": {"name": "told"}}]
    kube.create(
        runner_pod("curious", python_container(script, env=env, volumeMounts=mounts), volumes=volumes)
    )
    eventually(out.exists, "what the container saw")
    seen = eventually(lambda: json.loads(out.read_text() or "{}"), "whole content")
    assert seen["user"] == f"system:serviceaccount:{system}:default"
    assert seen["namespace_file"] == system
    assert (seen["WHO"], seen["WHERE"], seen["COLOUR"], seen["file"]) == ("curious", NODE, "green", "green")
    assert seen["BOTH"] == "curious-green-$(WHO)"
    assert "KUBECONFIG" not in seen
    assert seen["PATH"].split(":")[0].endswith(".venv/bin")


def test_a_crashing_container_is_restarted_with_backoff_and_says_so(kube: Kube) -> None:
    kube.create(runner_pod("crashing", python_container("raise SystemExit(3)")))
    waiting = eventually(
        lambda: [
            s
            for s in [main_status(pod(kube, "crashing"))]
            if s and s["restartCount"] >= 2 and "waiting" in s["state"]
        ],
        "a second restart, waiting for the third",
    )[0]
    assert waiting["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert waiting["lastState"]["terminated"]["exitCode"] == 3
    assert condition(pod(kube, "crashing"), "Ready") == "False"


def test_jobs_succeed_and_fail_by_exit_code(kube: Kube, system: str) -> None:
    for name, code in (("good", 0), ("bad", 4)):
        template = runner_pod("x", python_container(f"raise SystemExit({code})"), restartPolicy="Never")[
            "spec"
        ]
        metadata = {"name": name, "namespace": system}
        spec = {"backoffLimit": 0, "template": {"spec": template}}
        kube.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
    jobs = f"/apis/batch/v1/namespaces/{system}/jobs"
    eventually(lambda: condition(kube.get(f"{jobs}/good"), "Complete") == "True", "good Complete")
    eventually(lambda: condition(kube.get(f"{jobs}/bad"), "Failed") == "True", "bad Failed")
    failed = kube.list(PODS, labels="job-name=bad")[0]
    assert failed["status"]["phase"] == "Failed"
    assert main_status(failed)["state"]["terminated"]["exitCode"] == 4


def test_a_failing_liveness_probe_restarts_the_container(kube: Kube, tmp_path: Path) -> None:
    sick = tmp_path / "sick"
    extra = f"""
def answer(self):
    self.send_response(500 if os.path.exists({str(sick)!r}) else 200)
    self.end_headers()
Handler.do_GET = answer
"""
    liveness = {"httpGet": {"path": "/healthz", "port": "health"}, "periodSeconds": 1, "failureThreshold": 2}
    kube.create(
        runner_pod("sickly", python_container(serving_script(extra), **PROBES, livenessProbe=liveness))
    )
    eventually(lambda: condition(pod(kube, "sickly"), "Ready") == "True", "Ready")
    sick.touch()
    eventually(lambda: main_status(pod(kube, "sickly"))["restartCount"] >= 1, "a restart")
    sick.unlink()
    eventually(lambda: condition(pod(kube, "sickly"), "Ready") == "True", "Ready again")


def test_a_deleted_pod_gets_term_then_its_grace_and_vanishes(
    plane: Cluster, kube: Kube, tmp_path: Path
) -> None:
    log = tmp_path / "last-words"
    script = f"""
import pathlib, signal, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path({str(log)!r}).write_text("asked"))
pathlib.Path({str(log)!r}).write_text("up")
while True: time.sleep(0.1)
"""
    kube.create(runner_pod("stubborn", python_container(script)))
    eventually(log.exists, "the script is up")
    kube.delete(f"{PODS}/stubborn")
    eventually(lambda: not pod(kube, "stubborn"), "pod object gone")
    assert log.read_text() == "asked"
    assert not list(marked(plane.layout.root, pods_only=True))


def test_a_killed_runner_is_repaired_and_nothing_runs_twice(plane: Cluster, kube: Kube) -> None:
    kube.create(runner_deployment("alone", python_container(serving_script(), **PROBES)))
    eventually(lambda: [p for p in pods_of(kube, "alone") if condition(p, "Ready") == "True"], "Ready")
    orphans = set(marked(plane.layout.root, pods_only=True))
    plane.state().processes["runner"].kill()
    assert all(process.alive for process in orphans)
    plane.up()
    eventually(lambda: main_status(pods_of(kube, "alone")[0])["restartCount"] == 1, "the restart is counted")
    eventually(lambda: [p for p in pods_of(kube, "alone") if condition(p, "Ready") == "True"], "Ready again")
    assert not any(process.alive for process in orphans)
    assert len(list(marked(plane.layout.root, pods_only=True))) == 1


def test_a_token_is_renewed_before_it_expires(
    kube: Kube, system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = kube.create(runner_pod("holder", python_container("import time; time.sleep(600)")))
    assert created["metadata"]["namespace"] == system
    holder = Volumes(kube, parse_pod(created), tmp_path)
    holder.write()
    token = next(tmp_path.rglob("token"))
    first = token.read_text()
    stale = [holder.stale]
    now = time.monotonic()
    monkeypatch.setattr("localplane.runner.volumes.time.monotonic", lambda: now + 3600)
    stale.append(holder.stale)
    holder.write()
    stale.append(holder.stale)
    assert stale == [False, True, False]
    assert token.read_text() != first


def test_another_image_is_not_run(kube: Kube) -> None:
    container = {**python_container("print('never')"), "image": "busybox:1"}
    kube.create(runner_pod("foreign", container))
    state = eventually(
        lambda: main_status(pod(kube, "foreign")).get("state", {}).get("waiting"), "a waiting state"
    )
    eventually(lambda: main_status(pod(kube, "foreign"))["state"]["waiting"].get("message"), "its reason")
    message = main_status(pod(kube, "foreign"))["state"]["waiting"]["message"]
    assert "busybox" in message, (state, message)


@pytest.mark.parametrize("signal_name", ["KILL", "TERM"])
def test_a_held_operator_stays_down_until_released(plane: Cluster, kube: Kube, signal_name: str) -> None:
    kube.create(runner_deployment("held", python_container(serving_script(), **PROBES)))
    eventually(lambda: [p for p in pods_of(kube, "held") if condition(p, "Ready") == "True"], "Ready")
    plane.stop("operator", signal_name)
    try:
        assert not list(marked(plane.layout.root, pods_only=True))
        held = eventually(
            lambda: [p for p in pods_of(kube, "held") if "terminated" in main_status(p)["state"]],
            "terminated",
        )
        assert condition(held[0], "Ready") == "False"
        assert main_status(held[0])["restartCount"] == 0
        assert {row.name: row.state for row in plane.status()}["operator"] == f"held ({signal_name})"
    finally:
        plane.start("operator")
    after = pods_of(kube, "held")
    assert [condition(p, "Ready") for p in after] == ["True"]
    assert main_status(after[0])["restartCount"] == 1


def test_a_frozen_operator_is_unready_and_not_restarted(plane: Cluster, kube: Kube) -> None:
    liveness = {"httpGet": {"path": "/healthz", "port": "health"}, "periodSeconds": 1, "failureThreshold": 1}
    kube.create(
        runner_deployment("frozen", python_container(serving_script(), **PROBES, livenessProbe=liveness))
    )
    eventually(lambda: [p for p in pods_of(kube, "frozen") if condition(p, "Ready") == "True"], "Ready")
    before = [main_status(p)["restartCount"] for p in pods_of(kube, "frozen")]  # a busy machine may be slow
    plane.stop("operator", "STOP")
    try:
        assert all(process.frozen for process in marked(plane.layout.root, pods_only=True))
        eventually(
            lambda: [p for p in pods_of(kube, "frozen") if condition(p, "Ready") == "False"], "unready"
        )
        assert [main_status(p)["restartCount"] for p in pods_of(kube, "frozen")] == before
    finally:
        plane.start("operator")
    assert [main_status(p)["restartCount"] for p in pods_of(kube, "frozen")] == before

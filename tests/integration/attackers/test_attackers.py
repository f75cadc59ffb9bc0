"""The threat table with the operator dead: a namespace admin, an editor, a broad tool, an outsider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from integration.attackers.siege import EVERYBODY, INSIDE, Siege, claims, daemonset, told
from integration.isolation.asking import GPU, create, phase, pod, refusal, runs_on, wait_for
from support.marks import NODE_LABEL, POOL_LABEL, TAINT_KEY, two_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
DEVICES = "NVIDIA_VISIBLE_DEVICES"


def test_the_operator_is_really_dead(siege: Siege, plane: Cluster) -> None:
    del siege
    wait_for(lambda: _silent(plane.metrics_url), "the operator's metrics to be silent")


def _silent(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_error  # nobody stands behind the fixed address
    except httpx.TransportError:
        return True


@pytest.mark.parametrize("who", EVERYBODY)
def test_rows_1_2_4_and_22_no_pod_without_gpus_reaches_a_pools_nodes(siege: Siege, who: str) -> None:
    for spec, said in siege.ways_in():
        assert said in siege.refused(who, pod("astray", **spec)), spec
    away: Json = {"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]}
    create(siege.clients[who], siege.namespace(who), pod("harmless", **away), dry_run=True)


@pytest.mark.parametrize("who", INSIDE)
def test_rows_1_and_2_a_gpu_pod_reaches_no_other_pool(siege: Siege, who: str) -> None:
    lines = two_lines(siege.home.name)
    for extra in ({"operator": "Exists"}, siege.tolerates(siege.other.name)):
        spec = {**lines, "tolerations": [*lines["tolerations"], extra]}
        assert "spec.tolerations has" in siege.refused(who, pod("astray", 1, **spec))
    assert "spec.nodeName is" in siege.refused(who, pod("astray", 1, **lines, nodeName=siege.other.nodes[0]))


@pytest.mark.parametrize("who", ["outsider", "broad"])
def test_row_21_a_namespace_without_a_pool_gets_no_gpu(siege: Siege, who: str) -> None:
    init = pod("init")
    (main,) = init["spec"]["containers"]
    init["spec"]["initContainers"] = [{**main, "name": "first", "resources": {"limits": {GPU: "1"}}}]
    for manifest in (pod("bare", 1), init, pod("astray", 1, **two_lines(siege.home.name))):
        said = siege.refused(who, manifest, siege.outside)
        assert "no share of it lists this namespace" in said or f"has key {TAINT_KEY}" in said
    zero = pod("zero")
    zero["spec"]["containers"][0]["resources"] = {"limits": {GPU: "0"}}
    create(siege.clients[who], siege.outside, zero, dry_run=True)


@pytest.mark.parametrize("who", EVERYBODY)
def test_row_3_what_runs_or_waits_is_not_widened_afterwards(siege: Siege, who: str) -> None:
    client, namespace = siege.clients[who], siege.namespace(who)
    name = f"plain-{who}"
    gated = pod(name, schedulingGates=[{"name": "example.com/wait"}])
    create(client, namespace, gated)
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    had = client.get(path)["spec"].get("tolerations", [])
    for extra in ({"operator": "Exists"}, {"key": TAINT_KEY, "operator": "Exists"}, siege.tolerates()):
        error = refusal(partial(client.patch, path, {"spec": {"tolerations": [*had, extra]}}))
        assert (error.status, "spec.tolerations has" in error.message) == (403, True)
    drawn = {"spec": {"nodeSelector": {NODE_LABEL: siege.home.name}}}
    assert "spec.nodeSelector has key" in refusal(lambda: client.patch(path, drawn)).message
    harmless = {"key": "example.com/maintenance", "operator": "Exists"}
    client.patch(path, {"spec": {"tolerations": [*had, harmless]}})
    client.patch(path, {"metadata": {"labels": {"more": "labels"}}})
    client.delete(path, grace_seconds=0)


@pytest.mark.parametrize("who", INSIDE)
def test_row_5_nobody_but_the_scheduler_binds(siege: Siege, who: str) -> None:
    client, team = siege.clients[who], siege.team
    create(client, team, pod("bindable", schedulingGates=[{"name": "example.com/wait"}]))
    target = {"apiVersion": "v1", "kind": "Node", "name": siege.home.nodes[0]}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bindable"}, "target": target}
    base = f"/api/v1/namespaces/{team}"
    for path in (f"{base}/pods/bindable/binding", f"{base}/bindings"):
        error = refusal(told(client, "POST", path, body, "json"))
        said = "bound by their scheduler alone" if who == "broad" else "cannot create resource"
        assert (error.status, said in error.message) == (403, True)
    client.delete(f"{base}/pods/bindable", grace_seconds=0)
    own = pod("own", 1, **two_lines(siege.home.name), schedulerName="my-own")
    assert 'spec.schedulerName is "my-own"' in siege.refused(who, own)


def test_row_6_a_daemonset_gets_no_gpu_and_one_without_gpus_runs_everywhere(siege: Siege) -> None:
    greedy = daemonset("greedy", pod("x", 1, tolerations=[{"operator": "Exists"}])["spec"])
    agent = daemonset("agent", pod("x", tolerations=[{"operator": "Exists"}])["spec"])
    for who in ("admin", "outsider"):
        create(siege.clients[who], siege.namespace(who), greedy)
    create(siege.clients["outsider"], siege.outside, agent)
    for who in ("admin", "outsider"):
        wait_for(partial(_failed, siege, siege.namespace(who)), "the controller to be refused")
        assert runs_on(siege.kube, siege.namespace(who), "app=greedy") == []
    wanted = {*siege.home.nodes, *siege.other.nodes}
    wait_for(
        lambda: wanted <= set(runs_on(siege.kube, siege.outside, "app=agent")), "telemetry to run everywhere"
    )


def _failed(siege: Siege, namespace: str) -> bool:
    events = siege.kube.list(f"/api/v1/namespaces/{namespace}/events", fields="reason=FailedCreate")
    return any(e["involvedObject"]["name"] == "greedy" for e in events)


@pytest.mark.parametrize("who", INSIDE)
def test_row_9_gpus_under_other_names_are_refused(siege: Siege, who: str) -> None:
    for resource in (
        "nvidia.com/mig-1g.5gb",
        "nvidia.com/gpu.shared",
        "amd.com/gpu",
        "gpu.intel.com/i915",
        "habana.ai/gaudi",
        "google.com/tpu",
        "aws.amazon.com/neuroncore",
        "deviceclass.resource.kubernetes.io/gpu.nvidia.com",
    ):
        assert f"asks for {resource}" in siege.refused(who, pod("sliced", 1, resource=resource))
    create(siege.clients[who], siege.team, pod("nic", 1, resource="nvidia.com/hostdev"), dry_run=True)


@pytest.mark.parametrize("who", INSIDE)
def test_row_10_claims_take_neither_everything_nor_gpus(siege: Siege, who: str) -> None:
    nic = {"deviceClassName": "nic.example.com"}
    gpu = {"deviceClassName": "gpu.nvidia.com"}
    wanted: list[tuple[Json, str]] = [
        ({"exactly": {**nic, "allocationMode": "All"}}, "allocationMode All"),
        ({"exactly": gpu}, "device class gpu.nvidia.com"),
        ({"firstAvailable": [{**nic, "name": "a"}, {**gpu, "name": "b"}]}, "device class gpu.nvidia.com"),
        ({"firstAvailable": [{**nic, "name": "a", "allocationMode": "All"}]}, "allocationMode All"),
    ]
    for request, said in wanted:
        for manifest in claims(request):
            assert said in siege.refused(who, manifest), manifest["kind"]
    for manifest in claims({"exactly": {**nic, "adminAccess": True}}):
        assert "admin" in refusal(partial(create, siege.clients[who], siege.team, manifest)).message
    for manifest in claims({"exactly": nic}):
        create(siege.clients[who], siege.team, manifest, dry_run=True)


@pytest.mark.parametrize("who", INSIDE)
def test_row_14_a_class_of_the_system_does_not_preempt(siege: Siege, who: str) -> None:
    for name in ("system-node-critical", "system-cluster-critical"):
        grave = pod("grave", 1, **two_lines(siege.home.name), priorityClassName=name)
        assert f'spec.priorityClassName is "{name}"' in siege.refused(who, grave)


@pytest.mark.parametrize("who", INSIDE)
def test_row_16_the_devices_variable_gives_no_gpu(siege: Siege, who: str) -> None:
    for variable in (
        {"value": "all"},
        {"value": "0,1"},
        {"valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ):
        reaching = pod("reaching")
        reaching["spec"]["containers"][0]["env"] = [{"name": DEVICES, **variable}]
        assert f"env {DEVICES} gives" in siege.refused(who, reaching)
    reaching["spec"]["containers"][0]["env"] = [{"name": DEVICES, "value": "void"}]
    create(siege.clients[who], siege.team, reaching, dry_run=True)


def test_row_17_an_ephemeral_container_brings_no_gpu(siege: Siege) -> None:
    client, team = siege.clients["broad"], siege.team
    create(client, team, pod("busy", 1, **two_lines(siege.home.name)))
    wait_for(lambda: phase(siege.kube, team, "busy") == "Running", "the pod to run")
    path = f"/api/v1/namespaces/{team}/pods/busy/ephemeralcontainers"

    def debug(**more: Any) -> Callable[[], Any]:
        containers = [{"name": "debug", "image": "example.invalid/debug", **more}]
        change = {"spec": {"ephemeralContainers": containers}}
        return told(client, "PATCH", path, change, "strategic-merge-patch+json")

    assert refusal(debug(resources={"limits": {GPU: "1"}})).status == 422
    assert f"env {DEVICES} gives" in refusal(debug(env=[{"name": DEVICES, "value": "all"}])).message
    debug()()
    client.delete(f"/api/v1/namespaces/{team}/pods/busy", grace_seconds=0)


def _granting(client: Kube, path: str, granted: Any) -> str:
    error = refusal(told(client, "PATCH", f"{path}/status", {"status": {"granted": granted}}))
    assert error.status == 403
    return error.message


def test_rows_11_12_18_19_and_24_a_broad_tool_moves_no_mark_no_wall_and_no_grant(siege: Siege) -> None:
    broad, team = siege.clients["broad"], siege.team
    home, node = f"/api/v1/namespaces/{team}", f"/api/v1/nodes/{siege.home.nodes[0]}"
    quota = f"{home}/resourcequotas/gpupool"
    raised = {"hard": {f"requests.{GPU}": "8"}}
    born = {"name": "born-inside", "labels": {POOL_LABEL: siege.home.name}}
    mark: Json = {"metadata": {"labels": {POOL_LABEL: siege.other.name}}}
    moved: Json = {"metadata": {"labels": {NODE_LABEL: siege.other.name}}}
    for attempt, said in (
        (partial(broad.patch, home, mark), "list the namespace in a share"),
        (partial(broad.patch, f"/api/v1/namespaces/{siege.outside}", mark), "list the namespace in a share"),
        (partial(broad.create, {"apiVersion": "v1", "kind": "Namespace", "metadata": born}), "in a share"),
        (partial(broad.patch, quota, {"spec": raised}), "written by the gpupool operator alone"),
        (told(broad, "PATCH", f"{quota}/status", {"status": raised}), "by the gpupool operator alone"),
        (partial(broad.delete, quota), "written by the gpupool operator alone"),
        (partial(broad.patch, node, moved), "label and taint of a GPU pool's node"),
        (partial(broad.patch, f"{node}/status", moved), "label and taint of a GPU pool's node"),
        (partial(broad.patch, node, {"spec": {"taints": []}}), "label and taint of a GPU pool's node"),
    ):
        error = refusal(attempt)
        assert (error.status, said in error.message) == (403, True), error
    broad.patch(node, {"metadata": {"labels": {"rack": "r7"}}})
    pools = "/apis/gpupool.dev/v1alpha1/gpupools"
    request = siege.home.request_path(team, "work")
    for path, granted in ((f"{pools}/{siege.home.name}", {GPU: 99}), (request, 99)):
        assert "status is written by the gpupool operator alone" in _granting(broad, path, granted)


@pytest.mark.parametrize("who", ["admin", "edit", "outsider"])
def test_rows_5_11_12_18_and_19_are_no_rights_of_people(siege: Siege, who: str) -> None:
    client, place = siege.clients[who], siege.namespace(who)
    home, node = f"/api/v1/namespaces/{siege.team}", f"/api/v1/nodes/{siege.home.nodes[0]}"
    finished = {"status": {"phase": "Succeeded"}}
    for attempt in (
        partial(client.patch, home, {"metadata": {"labels": {POOL_LABEL: None}}}),
        partial(client.patch, node, {"metadata": {"labels": {NODE_LABEL: None}}}),
        partial(client.delete, f"{home}/resourcequotas/gpupool"),
        told(client, "PATCH", f"/api/v1/namespaces/{place}/pods/any/status", finished),
    ):
        assert "cannot" in refusal(attempt).message


def test_rows_11_18_and_19_no_side_door_of_a_subresource_is_open(siege: Siege) -> None:
    broad, team = siege.clients["broad"], siege.team
    home = siege.kube.get(f"/api/v1/namespaces/{team}")
    home["metadata"]["labels"][POOL_LABEL] = siege.other.name
    create(broad, team, pod("alive", 1, **two_lines(siege.home.name)))
    wait_for(lambda: phase(siege.kube, team, "alive") == "Running", "the pod to run")
    node = f"/api/v1/nodes/{siege.home.nodes[0]}/status"
    alive = f"/api/v1/namespaces/{team}/pods/alive"
    for attempt, said in (
        (told(broad, "PUT", f"/api/v1/namespaces/{team}/finalize", home, "json"), "list the namespace"),
        (told(broad, "PATCH", node, {"status": {"allocatable": {GPU: "999"}}}), "counted by its kubelet"),
        (
            told(broad, "PATCH", node, {"status": {"capacity": {"amd.com/gpu": "9"}}}),
            "counted by its kubelet",
        ),
        (told(broad, "PATCH", f"{alive}/status", {"status": {"phase": "Succeeded"}}), "by its kubelet"),
    ):
        error = refusal(attempt)
        assert (error.status, said in error.message) == (403, True), error
    condition = {"type": "example.com/ready", "status": "True"}
    told(broad, "PATCH", f"{alive}/status", {"status": {"conditions": [condition]}})()
    broad.delete(alive, grace_seconds=0)


def test_row_18_a_kubelet_moves_its_node_nowhere(siege: Siege) -> None:
    node = siege.home.nodes[0]
    with siege.kube.impersonating(f"system:node:{node}", ["system:nodes"]) as kubelet:
        changes: list[Json] = [
            {"metadata": {"labels": {NODE_LABEL: siege.other.name}}},
            {"metadata": {"labels": {NODE_LABEL: None}}},
            {"spec": {"taints": []}},
        ]
        for change in changes:
            assert refusal(partial(kubelet.patch, f"/api/v1/nodes/{node}", change)).status == 403


def test_row_25_nothing_runs_in_the_probe_namespace(siege: Siege) -> None:
    broad = siege.clients["broad"]
    plain, placed = pod("quotaless"), pod("quotaless", 1, **two_lines(siege.home.name))
    placed["metadata"]["labels"] = {"gpupool.dev/probe": siege.home.name}
    for manifest in (plain, placed):
        manifest["spec"] |= {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        }
        manifest["spec"]["containers"][0]["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "nothing runs in the probe namespace" in siege.refused("broad", manifest, "gpupool-probe")
    kept = f"/api/v1/namespaces/gpupool-probe/pods/kept-for-{siege.home.name}"
    opened: Json = {"spec": {"schedulingGates": []}}
    assert "nothing runs in the probe namespace" in refusal(lambda: broad.patch(kept, opened)).message

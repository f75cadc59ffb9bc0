"""Simulated inference engines on the real plane: real Deployments, scheduler and Prometheus."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import httpx
import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.engines import said
from support.gpupods import pod_spec
from support.plane import eventually, prometheus

LOAD = 12.0
LIMIT = 60.0
RATE = "vllm:request_success_total"
SPEED = 4.0
"""Seconds of the engines per second: more requests in the same time, so that rates settle sooner."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def selector(plane: Cluster) -> Iterator[dict[str, str]]:
    """A node selector that leads to this module's own node; the engines run faster meanwhile."""
    name = f"engines-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(name, 32, labels={"test-node": name})])
        control(plane, {"speed": SPEED})
        yield {"test-node": name}
        control(plane, {"speed": 1, "engines": {}})
        kube.delete(f"{NODES}/{name}")


@pytest.fixture
def house(plane: Cluster, kube: Kube, namespace: Callable[..., str], selector: dict[str, str]) -> "House":
    return House(plane, kube, namespace("engines"), selector)


def control(plane: Cluster, change: Json) -> None:
    """Tell the exporter."""
    url = f"http://127.0.0.1:{plane.port('exporter')}/control"
    httpx.post(url, json=change, trust_env=False).raise_for_status()


class House:
    """One namespace's endpoints and what Prometheus knows of them."""

    def __init__(self, plane: Cluster, kube: Kube, namespace: str, selector: dict[str, str]) -> None:
        self.plane, self.kube, self.namespace, self.selector = plane, kube, namespace, selector

    def deploy(self, name: str, replicas: int = 2, start: str | None = "1s", **given: Any) -> None:
        labels = {"app": name}
        given |= {"start_after": start} if start else {}
        template = {
            "metadata": {"labels": labels, "annotations": said(**given)},
            "spec": pod_spec(1, nodeSelector=self.selector),
        }
        template["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "4"
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        metadata = {"name": name, "namespace": self.namespace}
        self.kube.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})

    def patch(self, name: str, spec: Json) -> None:
        self.kube.patch(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}", {"spec": spec})

    def pods(self, name: str = "chat") -> list[str]:
        found = self.kube.list(f"/api/v1/namespaces/{self.namespace}/pods", labels=f"app={name}")
        return sorted(pod["metadata"]["name"] for pod in found)

    def series(self, metric: str, extra: str = "") -> str:
        return f'{metric}{{namespace="{self.namespace}"{extra}}}'

    def values(self, promql: str) -> list[float]:
        return [value for _, value in prometheus(self.plane, promql)]

    def rate(self, seconds: int = 15, extra: str = "") -> float:
        """Requests a second that end, in the engines' time."""
        found = self.values(f"sum(rate({self.series(RATE, extra)}[{seconds}s]))")
        return found[0] / SPEED if found else 0.0

    def running(self) -> float:
        found = self.values(f"max(avg_over_time({self.series('vllm:num_requests_running')}[5s]))")
        return found[0] if found else 0.0

    def rates_well(self, wanted: float = LOAD) -> None:
        eventually(lambda: abs(self.rate() - wanted) < 0.15 * wanted, lambda: f"rate {self.rate()}", LIMIT)


def test_an_endpoint_is_seen_loses_a_pod_and_grows(house: House) -> None:
    house.deploy("chat", load=LOAD)
    house.rates_well()
    (first, *_), two = house.pods(), house.pods()

    found = prometheus(house.plane, house.series("vllm:num_requests_running"))
    assert sorted(labels["pod"] for labels, _ in found) == two
    labels = found[0][0]
    assert labels["job"] == f"{house.namespace}/chat"
    assert (labels["container"], labels["model_name"]) == ("main", "llama-70b-fp8")
    assert labels["instance"].endswith(":8000")
    assert house.values(house.series("up", ',container="main"')) == [1, 1]
    assert house.values(house.series("vllm:time_to_first_token_seconds_bucket", ',le="0.5"'))

    busy = house.running()
    assert busy > 5
    house.kube.delete(f"/api/v1/namespaces/{house.namespace}/pods/{first}")
    eventually(lambda: first not in house.pods() and len(house.pods()) == 2, "a new pod", LIMIT)
    house.rates_well()
    gone = f',pod="{first}"'
    eventually(lambda: not house.values(house.series("up", gone)), "its target is gone", LIMIT)

    house.patch("chat", {"replicas": 4})
    eventually(lambda: len(house.values(house.series("up", ',container="main"'))) == 4, "four targets", LIMIT)
    house.rates_well()
    eventually(
        lambda: 0 < house.running() < 0.75 * busy, lambda: f"running {house.running()} of {busy}", LIMIT
    )


def test_gpus_and_nodes_say_what_the_engines_do(house: House) -> None:
    house.deploy("chat", load=LOAD)

    def gpu(name: str) -> list[float]:
        mine = f'namespace="{house.namespace}"'
        both = f"{name}{{exported_{mine}}} or {name}{{{mine}}}"
        return [value for _, value in prometheus(house.plane, both)]

    def at_work() -> bool:
        active, memory = gpu("DCGM_FI_PROF_GR_ENGINE_ACTIVE"), gpu("DCGM_FI_PROF_DRAM_ACTIVE")
        return len(active) == len(memory) == 2 and min(active) > 0.8 and min(memory) > 0.3

    eventually(at_work, "both GPUs at work", LIMIT)
    assert 0 < max(gpu("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE")) < 0.5
    cpu = house.series("container_cpu_usage_seconds_total", ',job="kubelet",container="main"')
    eventually(lambda: len(house.values(f"rate({cpu}[10s]) > 0.5")) == 2, "CPU of both", LIMIT)
    waiting = house.series("container_pressure_io_waiting_seconds_total", ',job="kubelet"')
    assert max(house.values(f"rate({waiting}[10s])")) < 0.1


def test_a_rollout_shares_the_load_and_only_ready_pods_have_it(house: House) -> None:
    house.deploy("chat", load=LOAD)
    house.rates_well()
    old = house.pods()
    template = {"metadata": {"annotations": said(load=LOAD, start_after="6s", prompt=1200)}}
    house.patch(
        "chat", {"template": template, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
    )
    eventually(lambda: len(house.pods()) == 3, "a pod more", LIMIT)
    begun = time.monotonic()
    (new,) = set(house.pods()) - set(old)
    assert house.rate(5, f',pod="{new}"') == 0
    eventually(lambda: house.rate(5, f',pod="{new}"') > 0.2 * LOAD, "the new pod has its share", LIMIT)
    assert time.monotonic() - begun > 3
    eventually(lambda: not set(house.pods()) & set(old), "the old pods are gone", LIMIT)
    house.rates_well()


def test_a_pod_takes_five_seconds_to_start_unless_it_says_otherwise_and_a_cold_one_long(house: House) -> None:
    for name, given in {"warm": {}, "cold": {"fault": "ColdStart"}, "brief": {"fault": "ColdStart"}}.items():
        house.deploy(name, replicas=1, start="2s" if name == "brief" else None, **given)

    def waited(name: str) -> float | None:
        """Whole seconds from bound to Ready."""
        times = {
            row["type"]: datetime.fromisoformat(row["lastTransitionTime"])
            for pod in house.kube.list(f"/api/v1/namespaces/{house.namespace}/pods", labels=f"app={name}")
            for row in pod["status"].get("conditions", [])
            if row["status"] == "True"
        }
        return (times["Ready"] - times["PodScheduled"]).total_seconds() if "Ready" in times else None

    eventually(lambda: waited("warm"), "warm", LIMIT)
    assert 4 <= (waited("warm") or 0) <= 9
    assert 1 <= (waited("brief") or 0) < (waited("warm") or 0)
    assert waited("cold") is None


def test_a_silent_pod_is_down_and_a_wrong_annotation_has_no_target(house: House) -> None:
    house.deploy("chat", load=LOAD)
    house.deploy("wrong", replicas=1, load="plenty")
    house.rates_well()
    (one, _) = house.pods()
    control(house.plane, {"engines": {f"{house.namespace}/{one}": {"data": "silent"}}})
    up = house.series("up", f',pod="{one}"')
    eventually(lambda: house.values(up) == [0], "down", LIMIT)
    assert not house.values(house.series("vllm:num_requests_running", f',pod="{one}"'))
    control(house.plane, {"engines": {}})
    eventually(lambda: house.values(up) == [1], "up again", LIMIT)
    (wrong,) = house.pods("wrong")
    assert not house.values(house.series("up", f',pod="{wrong}"'))
    state = httpx.get(
        f"http://127.0.0.1:{house.plane.port('exporter')}/engines/state", trust_env=False
    ).json()
    assert any("fake.gpupool.dev/load: 'plenty'" in line for line in state["bad"])


def test_every_engine_is_scraped_with_its_own_names(house: House) -> None:
    names = {
        "vllm-0.8": "vllm:gpu_cache_usage_perc",
        "sglang": "sglang:token_usage",
        "tgi": "tgi_queue_size",
        "triton": "nv_inference_count",
        "nim": "gpu_cache_usage_perc",
    }
    for engine in names:
        house.deploy(engine.replace(".", ""), replicas=1, engine=engine, load=2)
    for engine, name in names.items():
        job = f',job="{house.namespace}/{engine.replace(".", "")}"'
        eventually(partial(house.values, house.series(name, job)), f"{engine}: {name}", LIMIT)

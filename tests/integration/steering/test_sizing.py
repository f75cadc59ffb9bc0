"""Sizing on the real plane: the floor follows arrivals, the real HPA the floor; sleep and waking."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest

from integration.steering.harbour import NOTE, Harbour, restored
from integration.steering.teaching import CARRIES, taught
from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from support.engines import said
from support.gpupods import pod_spec
from support.plane import FAST_HPA, eventually, prometheus, temporary_cluster
from support.story import Story

Json = dict[str, Any]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster in which all is quick: looks, the HPA controller, and the times of the rule."""
    with temporary_cluster(FAST_HPA) as cluster:
        release.install(cluster, {"cycleInterval": 1, "evaluationWindow": "10s"}, quiet=True)
        yield cluster


@dataclass
class Port:
    """Endpoints with a gateway beside each: a workload of another name whose gauge wakes them."""

    plane: Cluster
    kube: Kube
    harbours: list[Harbour]
    overlay: dict[str, Json] = field(default_factory=dict)

    def load(self, harbour: Harbour, name: str, rate: float) -> None:
        """Requests/s from now on, at the endpoint or at its gateway."""
        self.overlay[f"{harbour.namespace}/{name}"] = {"load": str(rate)}
        url = f"http://127.0.0.1:{self.plane.port('exporter')}/control"
        httpx.post(url, json={"engines": self.overlay}, trust_env=False).raise_for_status()

    def gateway(self, harbour: Harbour) -> None:
        """Something that knows who asks, also while the endpoint has no pod."""
        labels = {"app": "gateway"}
        spec = {**pod_spec(1), "nodeSelector": {"kubernetes.io/hostname": harbour.story.nodes[0]}}
        template = {
            "metadata": {"labels": labels, "annotations": said(load=0, start_after="1s")},
            "spec": spec,
        }
        self.kube.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "gateway", "namespace": harbour.namespace},
                "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
            }
        )

    def teach(self) -> None:
        """As if ten windows had passed: what the operator learned is in status, and survives its restart."""
        taught(self.plane, self.kube, self.harbours)


def wakes(harbour: Harbour) -> str:
    """The gauge of the gateway."""
    return f'vllm:num_requests_running{{namespace="{harbour.namespace}",pod=~"gateway-.+"}}'


@pytest.fixture(scope="module")
def port(plane: Cluster) -> Iterator[Port]:
    """Two endpoints that are learned and adopted."""
    with plane.kube() as kube:
        harbours = []
        for _ in range(2):
            story = Story(kube, partial(namespace, kube), name=f"size-{os.getpid()}-{next(_numbers)}")
            story.add_nodes(1)
            harbours.append(Harbour(kube, story, story.team("chat")))
        found = Port(plane, kube, harbours)
        for harbour in harbours:
            found.gateway(harbour)
            harbour.deploy(2, load=6)
            harbour.scale(low=1, high=9)
            harbour.promise(minReplicas=0, maxReplicas=5, hpa="Adopt", wakeUp={"series": "no_such_gauge"})
        found.teach()
        yield found
        for harbour in harbours:
            harbour.story.end()


def namespace(kube: Kube, prefix: str = "test", labels: dict[str, str] | None = None) -> str:
    """A namespace that is usable at once."""
    name = f"{prefix}-{os.getpid()}-{next(_numbers)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    eventually(lambda: kube.exists(account), f"a default ServiceAccount in {name}")
    return name


def replicas(harbour: Harbour) -> int:
    return int(harbour.deployment()["spec"]["replicas"])


def asleep(harbour: Harbour) -> bool:
    return replicas(harbour) == 0 and scaling_active(harbour) == "ScalingDisabled"


def quiet(harbour: Harbour) -> bool:
    return harbour.status().get("dataState") == "NoTraffic"


def scaling_active(harbour: Harbour) -> str:
    rows = harbour.hpa().get("status", {}).get("conditions", [])
    return next((str(c["reason"]) for c in rows if c["type"] == "ScalingActive"), "")


def test_the_floor_follows_the_load_then_nobody_asks_and_it_sleeps_until_somebody_does(port: Port) -> None:
    chat, code = port.harbours
    follows(port, chat)
    for harbour in port.harbours:
        port.load(harbour, "chat", 0)
    keeps_one_while_nobody_could_be_seen(chat)
    for harbour in port.harbours:
        series = wakes(harbour)
        harbour.promise(minReplicas=0, maxReplicas=5, hpa="Adopt", wakeUp={"series": series})
    for harbour in port.harbours:
        sleeps(harbour)
    chat.stays(lambda: replicas(chat))
    port.load(chat, "gateway", 4)
    wakes_up(chat)
    assert replicas(code) == 0, "nobody asks for that one"
    uninstalled_it_has_its_replicas_again(port, code)


def follows(port: Port, chat: Harbour) -> None:
    """The floor follows the load, and the real HPA the floor."""
    terms = {"Rate", "Spread", "Trend", "Hold"}
    chat.until(lambda: chat.decision().get("floorReason") in terms, "it is sized")
    chat.until(lambda: 2 <= chat.decision()["needed"] <= 4, "the first requests' leap is over")
    decision = chat.decision()
    assert decision["needed"] == decision["floor"]
    assert "requests/s now" in decision["message"]
    assert f"{CARRIES:g} a replica" in decision["message"]
    port.load(chat, "chat", 30)
    chat.until(lambda: chat.limits() == (5, 5), "the floor rises as far as it may")
    chat.until(lambda: replicas(chat) == 5, "the HPA follows")
    series = f'gpupool_required_replicas{{namespace="{chat.namespace}",slo="chat"}}'
    eventually(lambda: [v for _, v in prometheus(port.plane, series)] == [5.0], f"{series} is 5")


def keeps_one_while_nobody_could_be_seen(chat: Harbour) -> None:
    chat.until(lambda: chat.condition("WakeUp").get("reason") == "NoSeries", "it is said")
    assert "name a gauge that is there also while no pod runs" in chat.condition("WakeUp")["message"]
    chat.until(lambda: chat.decision().get("floorReason") == "Lowest", "none is needed")
    assert chat.decision()["needed"] == 1
    assert replicas(chat) >= 1


def sleeps(harbour: Harbour) -> None:
    harbour.until(partial(asleep, harbour), "it sleeps, and its HPA is paused")
    assert '"asleep":' in harbour.hpa()["metadata"]["annotations"][NOTE]
    assert harbour.limits()[0] == 1
    harbour.until(partial(quiet, harbour), "that is no lack of data")
    assert (harbour.decision()["floor"], harbour.reason()) == (0, "Adopted")


def wakes_up(chat: Harbour) -> None:
    chat.until(lambda: replicas(chat) >= 1 and chat.ready() >= 1, "it serves")
    chat.until(lambda: scaling_active(chat) != "ScalingDisabled", "the HPA goes on")
    chat.until(lambda: '"asleep":' not in chat.hpa()["metadata"]["annotations"][NOTE], "the note is off")
    assert chat.condition("WakeUp")["reason"] == "Asked"


def uninstalled_it_has_its_replicas_again(port: Port, code: Harbour) -> None:
    before = {**code.hpa(), "spec": {**code.hpa()["spec"], "minReplicas": 1, "maxReplicas": 9}}
    before["spec"].pop("behavior", None)
    release.uninstall(port.plane)
    eventually(lambda: replicas(code) >= 2, "it has its replicas again", 30)
    restored(code, before)

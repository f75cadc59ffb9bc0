"""CPU and memory of an endpoint: bounds from measured use, on a VPA that is made, adopted and given back.

The recommender does not run here (it needs metrics.k8s.io): its recommendation is written as it writes it.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from integration.slo.conftest import API
from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.engines import said
from support.foreign import serve
from support.gpupods import pod_spec
from support.plane import eventually

Json = dict[str, Any]
NOTE = "gpupool.dev/vpa-originals"
VPAS = "/apis/autoscaling.k8s.io/v1"
SECONDS = 90.0
QUIET = 3.0
SIDECAR = {"containerName": "proxy", "mode": "Auto", "minAllowed": {"cpu": "50m"}}


@dataclass
class Bay:
    """Two endpoints with a limit of 2 CPUs: `chat`, and `bound`, which needs more."""

    kube: Kube
    namespace: str

    def deploy(self, name: str, node: str, **engine: Any) -> None:
        labels = {"app": name}
        spec = pod_spec(1, nodeSelector={"kubernetes.io/hostname": node}, terminationGracePeriodSeconds=1)
        spec["containers"][0]["resources"]["limits"]["cpu"] = "2"
        annotations = said(**{"start_after": "1s", **engine})
        template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
        body = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        self.kube.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self.meta(name), "spec": body}
        )

    def meta(self, name: str = "chat") -> Json:
        return {"name": name, "namespace": self.namespace}

    def promise(self, vpa: str, name: str = "chat") -> None:
        spec = {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "objectives": [
                {"sli": "ttft", "threshold": "500ms", "percent": 95},
                {"sli": "itl", "threshold": "50ms", "percent": 95},
            ],
            "window": "10m",
            "scaling": {"vpa": vpa},
        }
        kind = {"apiVersion": "gpupool.dev/v1alpha1", "kind": "InferenceSLO"}
        self.kube.apply({**kind, "metadata": self.meta(name), "spec": spec})

    def own(self, mode: str, **spec: Any) -> Json:
        """A VPA of its owner's."""
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
        body = {"targetRef": target, "updatePolicy": {"updateMode": mode}, **spec}
        kind = {"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler"}
        return self.kube.create({**kind, "metadata": self.meta("theirs"), "spec": body}, path=self.vpas)

    @property
    def vpas(self) -> str:
        return f"{VPAS}/namespaces/{self.namespace}/verticalpodautoscalers"

    def vpa(self, name: str = "theirs") -> Json:
        return self.kube.find(f"{self.vpas}/{name}") or {}

    def policies(self, name: str = "theirs") -> list[Json]:
        return list(self.vpa(name).get("spec", {}).get("resourcePolicy", {}).get("containerPolicies", []))

    def write(self, **spec: Any) -> None:
        """Its owner writes the VPA's spec."""
        self.kube.patch(f"{self.vpas}/theirs", {"spec": spec})

    def status(self, name: str = "chat") -> Json:
        found = self.kube.get(f"{API}/namespaces/{self.namespace}/inferenceslos/{name}")
        return dict(found.get("status", {}))

    def resources(self, name: str = "chat") -> Json:
        return dict(self.status(name).get("resources", {}))

    def reason(self, name: str = "chat") -> str:
        return str(self.resources(name).get("reason", ""))

    def until(self, ask: Any, what: str, name: str = "chat") -> None:
        eventually(ask, lambda: f"{what}: {self.told(name)} {self.vpa()}", SECONDS)

    def told(self, name: str) -> Json:
        return {k: v for k, v in self.status(name).items() if k in {"resources", "conditions", "diagnosis"}}

    def uids(self) -> set[str]:
        pods = self.kube.list(f"/api/v1/namespaces/{self.namespace}/pods")
        return {p["metadata"]["uid"] for p in pods}


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster, whose operator looks every second and judges a short window."""
    release.install(released_plane, {"cycleInterval": 1, "evaluationWindow": "10s"}, quiet=True)
    return released_plane


@pytest.fixture(scope="module")
def bay(plane: Cluster) -> Iterator[Bay]:
    """Both endpoints, promised from the beginning."""
    name = f"vpa-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(name, 8)])
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        made = Bay(kube, name)
        made.deploy("chat", name, load=4)
        made.deploy("bound", name, fault="CPUBound")
        made.promise("Create")
        made.promise("Advise", "bound")
        yield made
        kube.delete(f"/api/v1/namespaces/{name}")
        kube.delete(f"{NODES}/{name}")


def test_a_vpa_from_what_is_shown_to_what_is_given_back(bay: Bay) -> None:
    """One story: what is not served comes first, and the promise goes last."""
    without_a_vpa_here_the_values_are_shown(bay)
    one_is_made_that_restarts_nothing_and_goes_with_its_consent(bay)
    one_that_restarts_is_left_alone_and_a_calm_one_is_adopted_and_restored(bay)
    who_rewrites_twice_wins_and_deletion_gives_back(bay)


def without_a_vpa_here_the_values_are_shown(bay: Bay) -> None:
    bay.until(lambda: bay.reason() == "NotInstalled", "it is said")
    bay.until(lambda: bay.resources().get("minAllowed"), "the values are learned")
    found = bay.resources()
    assert found["container"] == "main"
    peak = found["use"]["days"][-1]
    assert 0 < peak["cpu"] < 2
    assert float(found["minAllowed"]["cpu"].removesuffix("m")) >= 1150 * peak["cpu"]
    assert float(found["minAllowed"]["memory"].removesuffix("Mi")) >= 1.15 * peak["memoryMebibytes"]
    assert float(found["maxAllowed"]["memory"].removesuffix("Mi")) > peak["memoryMebibytes"] * 2
    assert "Install the VPA" in found["message"]
    assert "and 15% more" in found["message"]


def test_cpu_at_its_limit_is_named_and_raises_the_least_cpu(bay: Bay) -> None:
    def bound() -> bool:
        found = bay.status("bound").get("diagnosis", {})
        return found.get("cause") == "CPUBound" and any(
            e["signal"] == "CPU in use / limit" for e in found["evidence"]
        )

    bay.until(bound, "CPU is what limits it", "bound")
    bay.until(
        lambda: bay.resources("bound").get("minAllowed", {}).get("cpu") == "3000m", "it gets more", "bound"
    )
    found = bay.resources("bound")
    assert (found["reason"], found["maxAllowed"]["cpu"]) == ("Advise", "6000m")
    assert "CPU limits the endpoint" in found["message"]


def one_is_made_that_restarts_nothing_and_goes_with_its_consent(bay: Bay) -> None:
    serve(bay.kube, "vpa")
    pods = bay.uids()
    bay.until(lambda: bay.reason() == "Created", "it is made")
    found = bay.vpa("chat")
    assert found["spec"]["updatePolicy"] == {"updateMode": "Initial"}
    assert found["spec"]["targetRef"]["name"] == "chat"
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("InferenceSLO", "chat")
    ours, rest = bay.policies("chat")
    assert rest == {"containerName": "*", "mode": "Off"}
    assert (ours["containerName"], ours["controlledResources"]) == ("main", ["cpu", "memory"])
    assert ours["minAllowed"] == bay.resources()["minAllowed"]
    assert ours["controlledValues"] == "RequestsAndLimits", "a limit would hold a higher request down"

    target = {"cpu": "1250m", "memory": "30Gi"}
    row = {"containerName": "main", "target": target, "lowerBound": target, "upperBound": target}
    status = {"status": {"recommendation": {"containerRecommendations": [{**row, "uncappedTarget": target}]}}}
    bay.kube.patch(f"{bay.vpas}/chat/status", status)
    bay.until(lambda: bay.resources().get("recommendation", {}).get("target") == target, "it is shown")
    bay.promise("Off")
    bay.until(lambda: not bay.vpa("chat") and not bay.resources(), "it is taken away, and nothing said")
    assert bay.uids() == pods


def one_that_restarts_is_left_alone_and_a_calm_one_is_adopted_and_restored(bay: Bay) -> None:
    policy = {"containerPolicies": [{"containerName": "main", "maxAllowed": {"cpu": "700m"}}, SIDECAR]}
    bay.own("Recreate", resourcePolicy=policy)
    bay.promise("Adopt")
    bay.until(lambda: bay.reason() == "WouldRestart", "its mode is reported")
    assert "Set updateMode: Initial" in bay.resources()["message"]
    assert NOTE not in bay.vpa()["metadata"].get("annotations", {})

    bay.write(updatePolicy={"updateMode": "Initial"})
    before = bay.vpa()
    bay.until(lambda: NOTE in bay.vpa()["metadata"].get("annotations", {}), "it is adopted")
    ours, sidecar, rest = bay.policies()
    assert (sidecar, rest) == (SIDECAR, {"containerName": "*", "mode": "Off"})
    assert ours["maxAllowed"]["cpu"] == "700m", "its owner's most stays the most"
    assert bay.vpa()["spec"]["updatePolicy"] == {"updateMode": "Initial"}
    bay.promise("Advise")
    restored(bay, before)


def who_rewrites_twice_wins_and_deletion_gives_back(bay: Bay) -> None:
    bay.write(resourcePolicy=None)
    before = bay.vpa()
    bay.promise("Adopt")
    bay.until(lambda: len(bay.policies()) == 2, "it is adopted")
    theirs = {"containerPolicies": [SIDECAR]}
    bay.write(resourcePolicy=theirs)
    bay.until(lambda: len(bay.policies()) == 3, "ours are put back once, beside what was written")
    bay.write(resourcePolicy=theirs)
    bay.until(lambda: bay.reason() == "Conflict", "it is told")
    conflict = next(c for c in bay.status()["conditions"] if c["type"] == "Conflict")
    assert "/spec/resourcePolicy/containerPolicies" in conflict["message"]
    stands = bay.vpa()["metadata"]["managedFields"]
    time.sleep(QUIET)
    assert bay.vpa()["metadata"]["managedFields"] == stands
    bay.kube.delete(f"{API}/namespaces/{bay.namespace}/inferenceslos/chat")
    restored(bay, {**before, "spec": {**before["spec"], "resourcePolicy": theirs}})


def restored(bay: Bay, before: Json) -> None:
    """The VPA is what its owner had, and nothing tells of us."""

    def clean() -> bool:
        meta = bay.vpa()["metadata"]
        ours = [m for m in meta["managedFields"] if m["manager"] == "gpupool"]
        return NOTE not in meta.get("annotations", {}) and not ours

    eventually(clean, lambda: f"no trace is left: {bay.vpa()}", SECONDS)
    assert bay.vpa()["spec"] == before["spec"]

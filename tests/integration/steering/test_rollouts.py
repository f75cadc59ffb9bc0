"""Rolling updates of real endpoints, all at once: good, bad, unasked; told, paused, turned back, disputed."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from integration.slo.conftest import API
from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.engines import said
from support.gpupods import pod_spec
from support.plane import eventually

Json = dict[str, Any]
NOTE = "gpupool.dev/rollout-guard"
SECONDS = 90.0
QUIET = 4.0
"""Seconds in which the operator looks several times."""
BAD: Json = {"max_seqs": 4}
"""Most requests wait, as the least loaded pod is that with the fewest of them."""
DRIFTER = "drifter"
"""An endpoint without a second revision, whose requests change."""
SPARE = "spare"
"""An endpoint of which one replica would do."""
FEW: Json = {"load": 4, "prompt": 200, "output": 100}
GUARDS: dict[str, tuple[str, Json]] = {
    "good": ("Pause", {"prompt": 990}),
    "quiet": ("Pause", {"prompt": 990, "load": 0}),
    "told": ("Observe", BAD),
    "hung": ("Observe", {"fault": "InfeasibleAtBatchOne"}),
    "mended": ("Pause", BAD),
    "resumed": ("Pause", BAD),
    "dropped": ("Pause", BAD),
    "back": ("Rollback", BAD),
}
"""By endpoint: its guard, and what its second revision changes."""


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with an operator that looks every second, and judges a short window."""
    release.install(released_plane, {"cycleInterval": 1, "evaluationWindow": "10s"}, quiet=True)
    return released_plane


@dataclass(frozen=True)
class Yard:
    """Endpoints in one namespace, each with a second revision on its way."""

    kube: Kube
    home: str
    control: str

    def deploy(self, name: str, replicas: int = 2, **engine: Any) -> None:
        """A Deployment, or another revision of it."""
        labels = {"app": name}
        annotations = said(**{"start_after": "1s", "load": 12, **engine})
        # A pod of the new revision serves for a while before the next one comes.
        spec = {
            "replicas": replicas,
            "minReadySeconds": 60,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    **pod_spec(1, nodeSelector={"kubernetes.io/hostname": self.home}),
                    "terminationGracePeriodSeconds": 1,
                },
            },
        }
        self.kube.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": self.home},
                "spec": spec,
            }
        )

    def promise(self, name: str, guard: str) -> None:
        """Its InferenceSLO."""
        self.kube.apply(
            {
                "apiVersion": "gpupool.dev/v1alpha1",
                "kind": "InferenceSLO",
                "metadata": {"name": name, "namespace": self.home},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                    "objectives": [{"sli": "ttft", "threshold": "500ms", "percent": 90}],
                    "window": "30m",
                    "minEvents": 40,
                    "rollout": {"guard": guard},
                },
            }
        )

    def deployment(self, name: str) -> Json:
        """A Deployment as it stands."""
        return self.kube.get(f"/apis/apps/v1/namespaces/{self.home}/deployments/{name}")

    def status(self, name: str) -> Json:
        """What is said of an endpoint."""
        return dict(self.kube.get(self.path(name)).get("status", {}))

    def rollout(self, name: str) -> Json:
        """What is said of a rollout."""
        found = self.kube.get(self.path(name)).get("status", {})
        return dict(found.get("rollout", {}))

    def path(self, name: str) -> str:
        """Of an InferenceSLO."""
        return f"{API}/namespaces/{self.home}/inferenceslos/{name}"

    def condition(self, name: str, type_: str = "RolloutHealthy") -> Json:
        """Whether the newest revision is good, or another condition."""
        rows = self.kube.get(self.path(name)).get("status", {}).get("conditions", [])
        return dict(next((c for c in rows if c["type"] == type_), {}))

    def drift(self) -> str:
        """What is said to differ."""
        return str(self.condition(DRIFTER, "Drift").get("message", "")).lower()

    def traits(self) -> dict[str, Json]:
        """What was learned of the endpoint that drifts."""
        profile = self.kube.get(self.path(DRIFTER)).get("status", {}).get("profile", [{}])
        return {t["name"]: t for t in profile[0].get("traits", [])}

    def say(self, **annotations: Any) -> None:
        """Lay annotations over those of the endpoint that drifts, while its pods run on."""
        said_now = {k.replace("_", "-"): v for k, v in annotations.items()}
        body = {"engines": {f"{self.home}/{DRIFTER}": said_now} if said_now else {}}
        httpx.post(self.control, json=body, trust_env=False).raise_for_status()

    def events(self, name: str) -> set[str]:
        """Reasons of the Events about an InferenceSLO."""
        found = self.kube.list(f"/api/v1/namespaces/{self.home}/events")
        return {e["reason"] for e in found if e["involvedObject"]["name"] == name}

    def until(self, name: str, **wanted: Any) -> Json:
        """Wait until a rollout says all of this."""

        def told() -> Json | None:
            found = self.rollout(name)
            return found if all(found.get(k) == v for k, v in wanted.items()) else None

        return eventually(told, lambda: f"{name} {wanted}: {self.rollout(name)}", SECONDS)


def paused(found: Json) -> bool:
    return bool(found["spec"].get("paused"))


def ours(found: Json) -> list[Json]:
    return [m for m in found["metadata"]["managedFields"] if m["manager"] == "gpupool"]


def load_of(found: Json) -> Json:
    return dict(found["spec"]["template"]["metadata"]["annotations"])


@pytest.fixture(scope="module")
def yard(plane: Cluster) -> Iterator[Yard]:
    """All endpoints: their first revision has been measured, their second one comes."""
    home = f"yard-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(home, 4 * len(GUARDS) + 4)])
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
        control = f"http://127.0.0.1:{plane.port('exporter')}/control"
        found = Yard(kube, home, control)
        found.deploy(DRIFTER)
        found.promise(DRIFTER, "Observe")
        found.deploy(SPARE, **FEW)
        found.promise(SPARE, "Observe")
        for name, (guard, _) in GUARDS.items():
            found.deploy(name)
            found.promise(name, guard)

        def measured() -> bool:
            rows = [found.rollout(name).get("stable", {}).get("results", [{}]) for name in GUARDS]
            return all(row[0].get("total", 0) >= 60 for row in rows)

        eventually(measured, lambda: f"60 events each: {[found.rollout(n) for n in GUARDS]}", SECONDS)
        for name, (_, change) in GUARDS.items():
            found.deploy(name, **change)
        yield found
        found.say()
        kube.delete(f"/api/v1/namespaces/{home}")
        kube.delete(f"{NODES}/{home}")


def test_a_good_revision_is_promoted(yard: Yard) -> None:
    found = yard.until("good", verdict="Promote")
    old, new = found["stable"]["results"][0], found["candidate"]["results"][0]
    assert min(old["total"], new["total"]) >= 40
    assert new["attainment"] >= 90
    assert "Fully rolled out it would burn" in found["message"]
    assert yard.condition("good")["status"] == "True"
    assert not paused(yard.deployment("good"))


def test_a_bad_revision_is_told_with_its_arithmetic_and_observe_writes_nothing(yard: Yard) -> None:
    found = yard.until("told", verdict="Bad", reason="Worse")
    assert found["stable"]["name"] != found["candidate"]["name"]
    assert found["candidate"]["results"][0]["low"] > 10
    assert "with 99 % confidence; 10 % may be" in found["message"]
    assert "of the error budget in a window of it, at least" in found["message"]
    assert yard.condition("told")["status"] == "False"
    eventually(lambda: "RolloutBad" in yard.events("told"), "it is told by an Event")
    deployment = yard.deployment("told")
    assert not paused(deployment)
    assert not ours(deployment)
    assert NOTE not in deployment["metadata"]["annotations"]


def test_a_revision_that_answers_nothing_is_bad(yard: Yard) -> None:
    """It was asked all the time: a few first tokens, if any, in which the old one had dozens."""
    found = yard.until("hung", verdict="Bad")
    assert found["reason"] in {"NoAnswers", "Worse", "FoundBadBefore"}, "the last follows one of the others"


def test_a_pause_keeps_the_old_pods_and_a_new_template_goes_through(yard: Yard) -> None:
    yard.until("mended", verdict="Bad", action="Paused")
    assert paused(yard.deployment("mended"))
    assert NOTE in yard.deployment("mended")["metadata"]["annotations"]
    assert yard.rollout("mended")["stable"]["ready"] >= 1
    eventually(lambda: "RolloutPaused" in yard.events("mended"), "it is told by an Event")

    yard.deploy("mended", prompt=980)
    eventually(lambda: not paused(yard.deployment("mended")), "its pause is lifted", SECONDS)
    found = yard.until("mended", verdict="Promote")
    assert found["candidate"]["results"][0]["attainment"] >= 90
    deployment = yard.deployment("mended")
    assert NOTE not in deployment["metadata"]["annotations"]
    assert not ours(deployment)


def test_who_resumes_by_hand_wins(yard: Yard) -> None:
    yard.until("resumed", action="Paused")
    path = f"/apis/apps/v1/namespaces/{yard.home}/deployments/resumed"
    yard.kube.patch(path, {"spec": {"paused": None}})
    yard.until("resumed", action="Overruled")
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        assert not paused(yard.deployment("resumed"))
        time.sleep(0.3)
    # and a pause of somebody's own stays, whatever becomes of the promise
    yard.kube.patch(path, {"spec": {"paused": True}})
    yard.kube.delete(yard.path("resumed"))
    eventually(lambda: NOTE not in yard.deployment("resumed")["metadata"]["annotations"], "our note goes")
    assert paused(yard.deployment("resumed"))


def test_with_its_promise_goes_our_pause(yard: Yard) -> None:
    yard.until("dropped", action="Paused")
    yard.kube.delete(yard.path("dropped"))
    eventually(lambda: not paused(yard.deployment("dropped")), "it goes on", SECONDS)
    eventually(lambda: not ours(yard.deployment("dropped")), "nothing tells of us", SECONDS)
    assert NOTE not in yard.deployment("dropped")["metadata"]["annotations"]


def test_a_bad_revision_is_turned_back_once(yard: Yard) -> None:
    found = yard.until("back", verdict="Bad", action="RolledBack")
    assert "fake.gpupool.dev/max-seqs" not in load_of(yard.deployment("back"))
    eventually(lambda: "RolledBack" in yard.events("back"), "it is told by an Event")
    eventually(lambda: not ours(yard.deployment("back")), "whoever applies next meets nobody", SECONDS)

    yard.deploy("back", **BAD)
    yard.until("back", action="Conflict")
    assert load_of(yard.deployment("back"))["fake.gpupool.dev/max-seqs"] == "4"
    assert yard.rollout("back")["candidate"]["name"] == found["candidate"]["name"]


def test_a_revision_that_nobody_asks_waits(yard: Yard) -> None:
    found = yard.until("quiet", verdict="Wait", reason="NoTraffic")
    assert "Nobody has asked revision" in found["message"]
    assert not paused(yard.deployment("quiet"))


def test_requests_that_change_are_told(yard: Yard) -> None:
    """The endpoint is learned while the others roll."""
    learned = eventually(
        lambda: (found := yard.traits()).get("prompt tokens", {}).get("samples", 0) >= 5 and found,
        lambda: f"five windows: {yard.traits()}",
        SECONDS,
    )
    assert 900 < learned["prompt tokens"]["base"] < 1200
    assert not yard.condition(DRIFTER, "Drift")
    yard.say(prompt=2200)
    eventually(
        lambda: "prompt tokens are" in yard.drift(),
        lambda: f"it is told: {yard.traits()}",
        SECONDS,
    )
    assert "when it was learned (+" in yard.drift()
    eventually(lambda: "DriftPromptTokens" in yard.events(DRIFTER), "it is told by an Event")


def test_what_advice_brought_stands_beside_what_was_predicted(yard: Yard) -> None:
    def effect() -> Json:
        return dict(
            next((e for e in yard.status(SPARE).get("effects", []) if e["kind"] == "Consolidation"), {})
        )

    eventually(effect, lambda: f"it is advised: {yard.status(SPARE).get('diagnosis')}", SECONDS)
    yard.deploy(SPARE, replicas=1, **FEW)
    eventually(lambda: "real" in effect(), lambda: f"it is measured: {effect()}", SECONDS)
    found = effect()
    assert found["measure"] == "requests running at a pod"
    assert found["predicted"] == pytest.approx(2 * found["before"], rel=0.01)
    print(f"before {found['before']:.3g}, predicted {found['predicted']:.3g}, real {found['real']:.3g}")
    assert found["real"] == pytest.approx(found["predicted"], rel=0.3)
    assert found["real"] > 1.4 * found["before"], "nothing stayed as it was"
    eventually(lambda: "AdviceFollowed" in yard.events(SPARE), "it is told by an Event")

"""Steering where KEDA scales: its ScaledObject is adopted and given back, its HPA is never written."""

import pytest

from integration.steering.harbour import SECONDS, Harbour, Json
from localplane import release
from localplane.cluster import Cluster
from support.foreign import Keda, serve
from support.plane import eventually

NOTE = "gpupool.dev/scaledobject-originals"


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with KEDA's kind in it, whose operator looks every second."""
    release.install(released_plane, {"cycleInterval": 1}, quiet=True)
    with released_plane.kube() as kube:
        serve(kube, "keda")
    return released_plane


@pytest.fixture
def harbour(harbour: Harbour) -> Harbour:
    """The same, its endpoint running."""
    harbour.deploy()
    return harbour


@pytest.fixture
def keda(harbour: Harbour) -> Keda:
    """KEDA's part in that namespace."""
    return Keda(harbour.kube, harbour.namespace)


def restored(keda: Keda, before: Json) -> None:
    """The ScaledObject is what its owner had, and nothing tells of us."""

    def clean() -> bool:
        meta = keda.get()["metadata"]
        ours = [m for m in meta["managedFields"] if m["manager"] == "gpupool"]
        return NOTE not in meta.get("annotations", {}) and not ours

    eventually(clean, lambda: f"no trace is left: {keda.get()}", SECONDS)
    assert keda.get()["spec"] == before["spec"]


def test_the_scaled_object_is_written_its_hpa_never_and_deletion_restores(
    harbour: Harbour, keda: Keda
) -> None:
    before = keda.own(cooldownPeriod=77)
    harbour.promise(minReplicas=2, maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: keda.limits() == (2, 4), "the ScaledObject is adopted")
    found = keda.get()
    rest = ("scaleTargetRef", "triggers", "cooldownPeriod")
    assert {k: found["spec"][k] for k in rest} == {k: before["spec"][k] for k in rest}
    assert "scaleDown" in found["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    told = "ScaledObject chat: minReplicaCount 2"
    harbour.until(lambda: harbour.condition("Steering").get("message", "").startswith(told), "it is told")

    keda.reconcile()
    hpa = keda.hpa()
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (2, 4)
    assert NOTE in hpa["metadata"]["annotations"], "KEDA copies annotations, ours too"
    harbour.promise(minReplicas=1, maxReplicas=3, hpa="Adopt")
    harbour.until(lambda: keda.limits() == (0, 3), "a change is followed, and its owner's sleep stays")
    harbour.until(lambda: "KEDA keeps 0" in harbour.condition("Steering").get("message", ""), "it is told")

    harbour.kube.delete(harbour.path)
    restored(keda, before)
    assert {m["manager"] for m in keda.hpa()["metadata"]["managedFields"]} & {"gpupool"} == set()
    assert keda.hpa()["spec"]["maxReplicas"] == 4, "only KEDA writes it"


def test_who_rewrites_twice_wins_and_is_told_how_to_stop(harbour: Harbour, keda: Keda) -> None:
    keda.own(minReplicaCount=1, maxReplicaCount=9)
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: keda.limits() == (1, 4), "it is adopted")
    keda.write(maxReplicaCount=8)
    harbour.until(lambda: keda.limits() == (1, 4), "ours are put back once")
    keda.write(maxReplicaCount=8)
    harbour.until(lambda: harbour.condition("Conflict").get("status") == "True", "it is told")
    message = harbour.condition("Conflict")["message"]
    assert "kind: ScaledObject" in message
    assert "/spec/maxReplicaCount" in message
    assert keda.limits() == (1, 8)
    harbour.promise(maxReplicas=4, hpa="Advise")
    harbour.until(lambda: NOTE not in keda.get()["metadata"].get("annotations", {}), "it is let go")
    assert keda.limits() == (1, 8), "what somebody wrote stays"


def test_a_pause_wins_and_uninstalling_gives_back_all_the_same(
    harbour: Harbour, keda: Keda, plane: Cluster
) -> None:
    config = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 7}}}}
    paused = {"autoscaling.keda.sh/paused-replicas": "2"}
    before = keda.own(paused, minReplicaCount=1, maxReplicaCount=9, advanced=config)
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.reason() == "Paused", "its pause wins")
    assert "paused-replicas pauses ScaledObject chat" in harbour.decision()["message"]
    assert keda.get()["spec"] == before["spec"]
    keda.annotate(paused_replicas=None)
    harbour.until(lambda: keda.limits() == (1, 4), "it is adopted")

    keda.annotate(paused="true")
    harbour.until(lambda: harbour.reason() == "Paused", "a later pause wins too")
    stands = keda.get()["spec"]
    harbour.promise(maxReplicas=3, hpa="Adopt")
    harbour.stays(lambda: keda.get()["spec"])
    assert keda.get()["spec"] == stands
    release.uninstall(plane)
    restored(keda, before)
    release.install(plane, {"cycleInterval": 1}, quiet=True)

"""Steering on the real plane: the real HPA controller and quota, and other people's HPAs."""

import pytest

from integration.steering.harbour import NOTE, Harbour, restored
from localplane import release
from localplane.cluster import Cluster


def test_advise_shows_and_writes_nothing(harbour: Harbour) -> None:
    harbour.deploy()
    before = harbour.scale(low=2)
    harbour.promise(minReplicas=1, maxReplicas=4)
    harbour.until(lambda: harbour.reason() == "Advise", "it is said")
    harbour.stays(lambda: harbour.hpa()["spec"])
    after = harbour.hpa()
    assert after["spec"] == before["spec"]
    assert NOTE not in after["metadata"].get("annotations", {})
    harbour.until(lambda: harbour.decision().get("reason") == "MaxReplicas", "its data is known")
    decision = harbour.decision()
    assert (decision["floor"], decision["ceiling"]) == (2, 4)
    assert "the HPA's own minReplicas 2" in decision["message"]


def test_adopt_writes_three_fields_and_deletion_restores_them(harbour: Harbour) -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 77}}
    harbour.deploy()
    before = harbour.scale(low=1, high=9, behavior=behavior)
    harbour.promise(minReplicas=2, maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.reason() == "Adopted", "it is adopted")
    harbour.until(lambda: harbour.limits() == (2, 4), "our limits stand")
    found = harbour.hpa()
    kept = ("scaleTargetRef", "metrics")
    assert {k: found["spec"][k] for k in kept} == {k: before["spec"][k] for k in kept}
    assert found["metadata"]["labels"] == before["metadata"]["labels"]
    assert NOTE in found["metadata"]["annotations"]
    assert "scaleDown" in found["spec"]["behavior"]

    harbour.promise(minReplicas=2, maxReplicas=3, hpa="Adopt")
    harbour.until(lambda: harbour.limits() == (2, 3), "a change of the promise is followed")
    assert harbour.condition("Conflict") == {}

    harbour.kube.delete(harbour.path)
    harbour.until(lambda: harbour.limits() == (1, 9), "its owner has it back")
    restored(harbour, before)


def test_going_back_to_advise_restores(harbour: Harbour) -> None:
    harbour.deploy()
    before = harbour.scale(low=1, high=9)
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.limits() == (1, 4), "it is adopted")
    harbour.promise(maxReplicas=4, hpa="Advise")
    harbour.until(lambda: harbour.limits() == (1, 9), "its owner has it back")
    restored(harbour, before)


def test_a_burning_budget_brings_replicas_faster_and_lets_none_go(harbour: Harbour) -> None:
    harbour.deploy(1, load=20)
    before = harbour.scale(low=1, high=9)
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.decision().get("pace") == "Protect", "the budget burns")
    harbour.until(lambda: harbour.behavior("scaleDown")["selectPolicy"] == "Disabled", "none goes")
    assert {p["type"]: p["value"] for p in harbour.behavior("scaleUp")["policies"]} == {
        "Pods": 8,
        "Percent": 200,
    }
    harbour.kube.delete(harbour.path)
    restored(harbour, before)


def test_who_rewrites_twice_wins_and_is_told_how_to_stop(harbour: Harbour) -> None:
    harbour.deploy()
    harbour.scale(low=1, high=9)
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.limits() == (1, 4), "it is adopted")
    harbour.write(maxReplicas=8)
    harbour.until(lambda: harbour.limits() == (1, 4), "ours are put back once")
    harbour.write(maxReplicas=8)
    harbour.until(lambda: harbour.condition("Conflict").get("status") == "True", "it is told")
    harbour.stays(lambda: harbour.hpa()["metadata"]["managedFields"])
    assert harbour.limits() == (1, 8)
    message = harbour.condition("Conflict")["message"]
    assert "ignoreDifferences" in message
    assert "kustomize.toolkit.fluxcd.io/ssa" in message
    harbour.promise(maxReplicas=4, hpa="Advise")
    harbour.until(lambda: NOTE not in harbour.hpa()["metadata"].get("annotations", {}), "it is let go")
    assert harbour.limits() == (1, 8), "what somebody wrote stays"


def test_deleted_while_the_operator_is_down_it_is_restored_at_its_start(
    harbour: Harbour, plane: Cluster
) -> None:
    harbour.deploy()
    before = harbour.scale(low=1, high=9)
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.limits() == (1, 4), "it is adopted")
    plane.stop("operator", "KILL")
    harbour.kube.delete(harbour.path)
    plane.start("operator")
    harbour.until(lambda: harbour.limits() == (1, 9), "its owner has it back")
    restored(harbour, before)


def test_an_hpa_of_keda_and_a_created_one_are_left_alone(harbour: Harbour) -> None:
    harbour.deploy()
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "chat", "uid": "1"}
    harbour.scale(low=1, high=9)
    path = f"/apis/autoscaling/v2/namespaces/{harbour.namespace}/horizontalpodautoscalers/chat"
    # An owner that does not exist would be collected: the finalizer keeps it.
    harbour.kube.patch(
        path,
        {
            "metadata": {
                "finalizers": ["test.example/kept"],
                "ownerReferences": [{**owner, "controller": True}],
            }
        },
    )
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.reason() == "NoScaledObject", "KEDA's is not ours")
    assert harbour.decision()["reason"] == "NoScaledObject"
    harbour.promise(maxReplicas=4, hpa="Create")
    harbour.until(lambda: harbour.decision().get("reason") == "NoMetricSource", "no metric to scale on")
    assert harbour.limits() == (1, 9)
    harbour.kube.patch(path, {"metadata": {"finalizers": None}})


def test_a_pool_in_observe_lets_nothing_be_written(harbour: Harbour) -> None:
    harbour.govern("Observe")
    harbour.story.ask(harbour.namespace, "chat", 4)
    harbour.deploy(2)
    before = harbour.scale(low=1, high=9)
    harbour.promise(hpa="Adopt")
    harbour.until(lambda: harbour.reason() == "PoolNotEnforced", "it is said")
    harbour.until(lambda: harbour.decision()["ceiling"] == 3, "the grant less the surge is shown")
    harbour.stays(lambda: harbour.hpa()["spec"])
    assert harbour.hpa()["spec"] == before["spec"]


def test_a_first_adopt_at_full_grant_ends_no_replica_and_a_pool_that_goes_back_restores(
    harbour: Harbour,
) -> None:
    harbour.govern()
    harbour.story.ask(harbour.namespace, "chat", 3)
    harbour.story.until_phase(harbour.namespace, "chat", "Granted")
    harbour.deploy(3)
    before = harbour.scale(low=1, high=9)
    running = harbour.pods()
    harbour.promise(hpa="Adopt")
    harbour.until(lambda: harbour.reason() == "Adopted", "it is adopted")
    assert harbour.limits() == (1, 3)
    harbour.stays(harbour.pods)
    assert harbour.pods() == running
    assert harbour.decision()["reason"] == "ReplicasRun"
    assert not harbour.condition("RolloutWouldDeadlock"), "GPUs that nobody has can be lent to a rollout"

    harbour.promise(minReplicas=5, hpa="Adopt")
    harbour.until(lambda: harbour.condition("WantsMoreGPUs").get("status") == "True", "it wants more")
    assert "5 replicas are needed" in harbour.condition("WantsMoreGPUs")["message"]
    assert harbour.limits()[1] == 3

    harbour.govern("Recommend")
    harbour.until(lambda: harbour.limits() == (1, 9), "its owner has it back")
    restored(harbour, before)


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_below_the_ceiling_a_rollout_has_room_for_its_surge(harbour: Harbour, replicas: int) -> None:
    harbour.govern()
    harbour.story.ask(harbour.namespace, "chat", replicas + 1)
    harbour.story.until_phase(harbour.namespace, "chat", "Granted")
    harbour.deploy(replicas)
    harbour.scale(low=1, high=9)
    harbour.promise(hpa="Adopt")
    harbour.until(lambda: harbour.hpa()["spec"]["maxReplicas"] == replicas, "the surge is kept free")
    assert not harbour.condition("RolloutWouldDeadlock")
    old = harbour.pods()
    harbour.deploy(replicas, prompt=900)
    assert not set(old.values()) & set(harbour.pods().values())


def test_uninstalling_gives_every_hpa_back(harbour: Harbour, plane: Cluster) -> None:
    harbour.deploy()
    before = harbour.scale(low=1, high=9)
    harbour.promise(maxReplicas=4, hpa="Adopt")
    harbour.until(lambda: harbour.limits() == (1, 4), "it is adopted")
    release.uninstall(plane)
    restored(harbour, before)
    release.install(plane, {"cycleInterval": 1}, quiet=True)

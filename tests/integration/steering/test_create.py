"""`hpa: Create` on the real plane: the real HPA controller scales by way of the real aggregation layer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration.steering.quay import API_SERVICE, GROUP, METRIC, SLICE, Quay
from localplane import podholds, release
from localplane.cluster import Cluster
from localplane.errors import ReleaseError
from localplane.kube import Kube, KubeError
from localplane.runner.settings import NAMESPACE
from support.plane import FAST_HPA, eventually, temporary_cluster

Json = dict[str, Any]
VALUES: Json = {"cycleInterval": 1, "metricsApi": {"enabled": True}}
THEIRS: Json = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1beta1.external.metrics.k8s.io", "labels": {"theirs": "yes"}},
    "spec": {
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": "default", "name": "their-adapter", "port": 443},
    },
}
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gpupool-metrics-api"


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster whose HPA controller looks every second; the operator serves the metric."""
    with temporary_cluster(FAST_HPA) as cluster:
        release.install(cluster, VALUES, quiet=True)
        yield cluster


def test_an_hpa_is_made_works_and_goes_with_the_consent(quay: Quay) -> None:
    harbour = quay.harbour
    harbour.deploy(1)
    harbour.promise(minReplicas=2, maxReplicas=4, hpa="Create")
    harbour.until(lambda: harbour.reason() == "Created", "it is made")
    harbour.until(lambda: quay.limits() == (2, 4), "it says what was decided")
    harbour.until(lambda: quay.wanted() == 2, "the workload follows")
    spec = quay.made()["spec"]
    assert [spec["behavior"][way]["tolerance"] for way in ("scaleUp", "scaleDown")] == ["0", "0"]
    assert "tolerance" not in harbour.condition("Steering")["message"]
    harbour.until(lambda: quay.active() == ("True", "ValidMetricFound"), "its metric is served")
    harbour.promise(minReplicas=3, maxReplicas=5, hpa="Create")
    harbour.until(lambda: (quay.limits(), quay.wanted()) == ((3, 5), 3), "a change is followed")
    assert not harbour.condition("Conflict")

    harbour.promise(minReplicas=3, maxReplicas=5, hpa="Advise")
    harbour.until(lambda: not quay.made(), "without consent it goes")
    assert quay.wanted() == 3
    harbour.promise(minReplicas=2, maxReplicas=5, hpa="Create")
    harbour.until(quay.made, "it is made again")
    harbour.kube.delete(harbour.path)
    eventually(lambda: not quay.made(), "it goes with its InferenceSLO", 60)


def test_beside_somebody_elses_hpa_none_is_made(quay: Quay) -> None:
    harbour = quay.harbour
    harbour.deploy(1)
    before = harbour.scale(low=1, high=4)
    harbour.promise(maxReplicas=4, hpa="Create")
    harbour.until(lambda: harbour.reason() == "ForeignHpa", "it is said")
    assert "set scaling.hpa: Adopt" in harbour.condition("Steering")["message"]
    assert not quay.made()
    assert harbour.hpa()["spec"] == before["spec"]
    harbour.kube.delete(quay.path_of("chat"))
    harbour.until(quay.made, "without it, ours is made")


def test_only_the_front_proxy_is_answered_and_the_api_server_asks_who_may(quay: Quay, kube: Kube) -> None:
    assert quay.direct("front-proxy") == 200
    assert quay.direct("admin") == 403, "of the same authority, and not the front proxy"
    assert quay.direct("") == 401
    with kube.impersonating("alice") as alice, pytest.raises(KubeError, match='User "alice" cannot list'):
        alice.get(f"{GROUP}/namespaces/{quay.harbour.namespace}/{METRIC}")


def test_the_next_leader_serves(quay: Quay, kube: Kube) -> None:
    before, old = kube.get(SLICE), podholds.leader(kube)
    kube.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{old}")

    def moved() -> bool:
        found = kube.find(SLICE) or before
        return bool(found["ports"] != before["ports"] and found["endpoints"][0]["targetRef"]["name"] != old)

    eventually(moved, lambda: f"another pod serves: {kube.find(SLICE)}", 60)
    eventually(quay.available, "the API server finds it", 60)
    eventually(lambda: quay.serves("front-proxy"), "it serves who comes through the API server", 60)


def test_the_metric_scales_and_while_the_operator_is_down_nothing_moves(
    quay: Quay, plane: Cluster, kube: Kube, namespace: Callable[..., str]
) -> None:
    harbour = quay.harbour
    harbour.deploy(1)
    quay.on_our_metric()
    harbour.promise(minReplicas=3, maxReplicas=5)
    harbour.until(lambda: quay.value() == 3, "the value is served")
    harbour.until(lambda: quay.wanted() == 3, "it scales up")
    harbour.promise(minReplicas=2, maxReplicas=5)
    harbour.until(lambda: quay.wanted() == 2, "it scales down")
    role = kube.get(ROLE)
    try:
        plane.stop("operator", "STOP")
        harbour.stays(quay.wanted)
        plane.stop("operator", "KILL")
        harbour.until(lambda: quay.active("chat")[0] == "False", "there is no value")
        assert quay.value() is None
        quay.looked_at()
        harbour.until(lambda: not quay.available(), "the API server has found out")
        waiting = f"/api/v1/namespaces/{namespace('ending')}"
        kube.delete(waiting)
        harbour.until(lambda: held_up(kube.get(waiting)), "a namespace waits")
        assert quay.wanted() == 2

        kube.delete(ROLE)
        harbour.until(lambda: not kube.exists(API_SERVICE), "it goes with the right to write it")
        harbour.until(lambda: not kube.exists(waiting), "the namespace goes")
    finally:
        if not kube.exists(ROLE):
            kept = {k: role["metadata"][k] for k in ("name", "labels", "annotations")}
            kube.create({**role, "metadata": kept})
        plane.start("operator")
    harbour.until(lambda: quay.active("chat") == ("True", "ValidMetricFound"), "it is served again")
    assert quay.wanted() == 2


def held_up(namespace: Json) -> bool:
    """Whether a namespace cannot end because an API group does not answer."""
    rows = namespace["status"].get("conditions", ())
    return any(r["type"] == "NamespaceDeletionDiscoveryFailure" and r["status"] == "True" for r in rows)


def test_an_api_service_of_somebody_else_is_left_alone_and_uninstalling_leaves_none_of_ours(
    quay: Quay, plane: Cluster, kube: Kube, namespace: Callable[..., str]
) -> None:
    harbour = quay.harbour
    harbour.deploy(1)
    ours = kube.get(API_SERVICE)["spec"]["service"]
    kube.patch(API_SERVICE, {"spec": {**THEIRS["spec"], "caBundle": None}})
    harbour.promise(maxReplicas=4, hpa="Create")
    leads = "leads to Service default/their-adapter"
    harbour.until(lambda: leads in harbour.condition("Steering").get("message", ""), "it is said")
    assert harbour.reason() == "NoMetricSource"
    harbour.stays(lambda: kube.get(API_SERVICE)["spec"])
    kube.delete(API_SERVICE)
    harbour.until(lambda: (kube.find(API_SERVICE) or THEIRS)["spec"]["service"] == ours, "ours is back")
    harbour.until(lambda: quay.active() == ("True", "ValidMetricFound"), "it serves again")

    release.uninstall(plane)
    assert not kube.exists(API_SERVICE)
    assert not quay.made()
    eventually(lambda: not kube.exists(SLICE), "the endpoint goes with its pod", 60)
    ending = f"/api/v1/namespaces/{namespace('ending')}"
    kube.delete(ending)
    eventually(lambda: not kube.exists(ending), "namespaces are deleted", 60)

    kube.create(THEIRS)
    with pytest.raises(ReleaseError, match="leads to Service default/their-adapter already"):
        release.install(plane, VALUES, quiet=True)
    assert kube.get(API_SERVICE)["metadata"]["labels"] == {"theirs": "yes"}
    kube.delete(API_SERVICE)
    release.install(plane, VALUES, quiet=True)

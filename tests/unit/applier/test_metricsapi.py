"""The APIService and its endpoint: made, kept, never taken from anybody, and gone by themselves."""

from dataclasses import replace
from typing import Any, cast

import pytest

from gpupool.applier.metricsapi import Place, foreign, register, service_body, slice_body, standing, withdraw
from gpupool.applier.serverside import Writer
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json
from support.registry import ROLE, Registry

PLACE = Place(
    "gpupool-system", "gpupool-external-metrics", "gpupool-metrics-api", "gpupool-1", "pod", "10.0.0.7", 8443
)
OURS = service_body(PLACE, ROLE, "Yg==")


def clients(registry: Registry) -> tuple[KubeClient, Writer]:
    return cast("KubeClient", registry), cast("Writer", registry)


async def registered(registry: Registry, bundle: bytes = b"b", place: Place = PLACE) -> None:
    client, writer = clients(registry)
    await register(client, writer, place, await standing(client), bundle, epoch=3)


async def test_the_endpoint_comes_first_and_what_stands_is_not_written_again() -> None:
    registry = Registry()
    await registered(registry)
    assert registry.told == ["apply EndpointSlice", "apply APIService"]
    assert registry.forced == [True, False], "an APIService is never taken over"
    await registered(registry)
    assert len(registry.told) == 2


async def test_another_pod_and_another_certificate_are_followed() -> None:
    registry = Registry()
    await registered(registry)
    moved = replace(PLACE, pod="gpupool-2", uid="pod-2", address="10.0.0.8")
    await registered(registry, place=moved)
    await registered(registry, place=replace(moved, port=9443))
    assert registry.told[2:] == ["apply EndpointSlice"] * 2
    await registered(registry, b"new", place=replace(moved, port=9443))
    assert registry.told[4:] == ["apply APIService"]


def test_both_go_by_themselves() -> None:
    (role,) = OURS["metadata"]["ownerReferences"]
    assert (role["kind"], role["name"], role["uid"]) == ("ClusterRole", "gpupool-metrics-api", "role-uid")
    made = slice_body(PLACE)
    (pod,) = made["metadata"]["ownerReferences"]
    assert (pod["kind"], pod["name"], pod["uid"]) == ("Pod", "gpupool-1", "pod")
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == PLACE.service
    assert (made["metadata"]["name"], made["addressType"]) == ("gpupool-external-metrics-ipv4", "IPv4")
    assert slice_body(replace(PLACE, address="fd00::7"))["addressType"] == "IPv6"


def test_the_api_server_asks_for_the_service_by_name() -> None:
    assert PLACE.names[0] == "gpupool-external-metrics.gpupool-system.svc"


def a_service(**spec: Any) -> Json:
    return {**OURS, "metadata": {**OURS["metadata"], "uid": "uid"}, "spec": {**OURS["spec"], **spec}}


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        (None, ""),
        (a_service(), ""),
        (a_service(service={"namespace": "keda", "name": "keda-metrics"}), "Service keda/keda-metrics"),
        (
            {**a_service(), "metadata": {"uid": "uid"}},
            "Service gpupool-system/gpupool-external-metrics",
        ),
        ({"metadata": {}, "spec": {}}, "the API server itself"),
    ],
)
def test_whose_an_api_service_is(found: Json | None, whose: str) -> None:
    assert foreign(found, PLACE) == whose


@pytest.mark.parametrize(
    ("found", "gone"),
    [
        (None, False),
        (a_service(), True),
        (a_service(service={"namespace": "keda", "name": "keda-metrics"}), False),
        ({**a_service(), "metadata": {"uid": "uid"}}, False),
        ({**a_service(), "spec": {}}, False),
    ],
)
async def test_only_ours_is_withdrawn(found: Json | None, gone: bool) -> None:
    registry = Registry({} if found is None else {"APIService": found})
    client, writer = clients(registry)
    assert await withdraw(client, writer, PLACE.namespace, epoch=3) is gone
    assert ("APIService" in registry.objects) is (found is not None and not gone)

"""What the metrics API is found by: an APIService, which is never taken from somebody else, and its endpoint.

Both go by themselves: the APIService belongs to the ClusterRole that lets us write it, the endpoint to the
pod that serves. Where the release hook does not run, or the value is switched off, nothing is left that would
make deletions of namespaces wait.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from gpupool.applier.serverside import Deletion, Writer
from gpupool.errors import NotFound
from gpupool.kube import resources as kinds
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import Json, ObjectKey
from gpupool.model.marks import MANAGED, managed

GROUP: Final = "external.metrics.k8s.io"
VERSION: Final = "v1beta1"
NAME: Final = f"{VERSION}.{GROUP}"
PORT: Final = 443
"""Of the Service; what it leads to says the endpoint."""
PRIORITY: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where we serve.

    Attributes:
        namespace: of the Service, and of the pod.
        service: its name.
        role: the ClusterRole that the APIService belongs to.
        pod, uid, address: of this process.
        port: where it listens.
    """

    namespace: str
    service: str
    role: str
    pod: str
    uid: str
    address: str
    port: int

    @property
    def names(self) -> tuple[str, ...]:
        """DNS names; the API server asks for the first."""
        host = f"{self.service}.{self.namespace}.svc"
        return (host, f"{host}.cluster.local")


async def standing(client: KubeClient) -> Json | None:
    """The APIService of the group as it stands, whoever's it is."""
    try:
        return await client.get(kinds.API_SERVICES, NAME)
    except NotFound:
        return None


def foreign(found: Mapping[str, Any] | None, place: Place) -> str:
    """Whose the APIService is, where it is not ours; else empty.

    Ours carries our label and leads to our Service: who changed either has taken it over.
    """
    if found is None:
        return ""
    leads = found["spec"].get("service") or {}
    ours = (leads.get("namespace"), leads.get("name")) == (place.namespace, place.service)
    if ours and managed(found["metadata"].get("labels") or {}):
        return ""
    return f"Service {leads['namespace']}/{leads['name']}" if leads else "the API server itself"


async def register(
    client: KubeClient, writer: Writer, place: Place, found: Json | None, bundle: bytes, *, epoch: int
) -> None:
    """Lead the API server here: first the endpoint, then the APIService.

    Args:
        client: reads what stands.
        writer: writes what differs.
        place: where we serve.
        found: the APIService as it stands: none, or ours.
        bundle: the certificates to trust (PEM).
        epoch: the leader's.

    Raises:
        KubeError: something was not written.
    """
    await _endpoint(client, writer, place, epoch)
    wanted = base64.b64encode(bundle).decode()
    if found is not None and found["spec"].get("caBundle") == wanted:
        return
    role = await client.get(kinds.CLUSTER_ROLES, place.role)
    await writer.apply(kinds.API_SERVICES, service_body(place, role, wanted), epoch=epoch)


async def withdraw(client: KubeClient, writer: Writer, namespace: str, *, epoch: int) -> bool:
    """Delete the APIService, where it is ours; says whether it was there.

    Args:
        client: reads it.
        writer: deletes it.
        namespace: of our Service.
        epoch: the leader's.
    """
    found = await standing(client)
    if found is None or not managed(found["metadata"].get("labels") or {}):
        return False
    if (found["spec"].get("service") or {}).get("namespace") != namespace:
        return False
    options = DeleteOptions(uid=found["metadata"]["uid"])
    done = await writer.delete(kinds.API_SERVICES, ObjectKey("", NAME), epoch=epoch, options=options)
    return done is not Deletion.ABSENT


def service_body(place: Place, role: Mapping[str, Any], bundle: str) -> Json:
    """The APIService: ours until the ClusterRole is gone."""
    return {
        "metadata": {
            "name": NAME,
            "labels": dict(MANAGED),
            "ownerReferences": [_owner(kinds.CLUSTER_ROLES.api_version, "ClusterRole", role["metadata"])],
        },
        "spec": {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": PRIORITY,
            "versionPriority": PRIORITY,
            "service": {"namespace": place.namespace, "name": place.service, "port": PORT},
            "caBundle": bundle,
        },
    }


async def _endpoint(client: KubeClient, writer: Writer, place: Place, epoch: int) -> None:
    body = slice_body(place)
    try:
        found = await client.get(kinds.ENDPOINT_SLICES, body["metadata"]["name"], place.namespace)
    except NotFound:
        found = {}
    if _same(found, body):
        return
    await writer.apply(kinds.ENDPOINT_SLICES, body, epoch=epoch, force=True)


def _same(found: Mapping[str, Any], body: Json) -> bool:
    if not found:
        return False
    leads = [(e["addresses"], (e.get("targetRef") or {}).get("uid")) for e in found.get("endpoints") or ()]
    ours = [(e["addresses"], e["targetRef"]["uid"]) for e in body["endpoints"]]
    ports = [p.get("port") for p in found.get("ports") or ()]
    return leads == ours and ports == [p["port"] for p in body["ports"]]


def slice_body(place: Place) -> Json:
    """The one endpoint of the Service: this pod, until it is gone."""
    family = f"IPv{ip_address(place.address).version}"
    pod = {"name": place.pod, "uid": place.uid}
    return {
        "metadata": {
            "name": f"{place.service}-{family.lower()}",
            "namespace": place.namespace,
            "labels": {
                **MANAGED,
                "kubernetes.io/service-name": place.service,
                "endpointslice.kubernetes.io/managed-by": "gpupool",
            },
            "ownerReferences": [_owner("v1", "Pod", pod)],
        },
        "addressType": family,
        "endpoints": [
            {
                "addresses": [place.address],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": place.namespace, **pod},
            }
        ],
        "ports": [{"name": "https", "port": place.port, "protocol": "TCP"}],
    }


def _owner(version: str, kind: str, metadata: Mapping[str, Any]) -> Json:
    return {"apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}

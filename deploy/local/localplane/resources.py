"""From a manifest to its URL: where objects of a kind live in the API."""

from collections.abc import Mapping
from typing import Any, Final

CLUSTER_SCOPED: Final = frozenset(
    {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "DeviceClass",
        "GpuPool",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "ResourceSlice",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)
"""Kinds without a namespace; every other kind is taken to be namespaced."""

_IRREGULAR: Final = {"Endpoints": "endpoints", "InferenceSLO": "inferenceslos"}


def plural(kind: str) -> str:
    """The resource name of a kind: Pod → pods, NetworkPolicy → networkpolicies."""
    if kind in _IRREGULAR:
        return _IRREGULAR[kind]
    name = kind.lower()
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch")) else f"{name}s"


def collection_path(api_version: str, kind: str, namespace: str = "") -> str:
    """Path of all objects of a kind, in one namespace where it is given."""
    base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    scope = "" if kind in CLUSTER_SCOPED or not namespace else f"/namespaces/{namespace}"
    return f"{base}{scope}/{plural(kind)}"


def resource_path(manifest: Mapping[str, Any]) -> str:
    """Path of one object; a namespaced object that names no namespace is in `default`."""
    metadata = manifest["metadata"]
    kind = manifest["kind"]
    namespace = "" if kind in CLUSTER_SCOPED else metadata.get("namespace", "default")
    return f"{collection_path(manifest['apiVersion'], kind, namespace)}/{metadata['name']}"

"""Paths of the API: which resource, which object, which part of a collection."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from typing_extensions import override

Json = dict[str, Any]
"""A Kubernetes object as it travels: never typed, so that no newer field is lost."""


class ObjectKey(NamedTuple):
    """Where an object lives. `namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str


def key_of(obj: Json) -> ObjectKey:
    """Read the key of a raw object."""
    metadata = obj["metadata"]
    return ObjectKey(metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, by the names the API's paths use.

    Attributes:
        group: API group, empty for the core group.
        version: for example `v1`.
        plural: for example `resourcequotas`.
        kind: for example `ResourceQuota`; goes into bodies and messages.
        namespaced: False for cluster-scoped kinds.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str | None = None) -> str:
        """Path of all objects, or of those in one namespace."""
        scope = f"/namespaces/{_segment(namespace)}" if self.namespaced and namespace else ""
        return f"{group_path(self.group, self.version)}{scope}/{self.plural}"

    def path(self, name: str, namespace: str = "", subresource: str = "") -> str:
        """Path of one object, or of its subresource.

        Raises:
            ValueError: a namespaced object without a namespace.
        """
        if self.namespaced and not namespace:
            raise ValueError(f"{self.plural}/{name} needs a namespace")
        tail = f"/{subresource}" if subresource else ""
        return f"{self.collection(namespace)}/{_segment(name)}{tail}"

    @override
    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a collection that is listed and watched together.

    Attributes:
        resource: the kind.
        namespace: only this namespace; empty for all.
        labels: label selector in the API's syntax, empty for all.
        fields: field selector in the API's syntax, empty for all.
        metadata_only: ask for PartialObjectMetadata instead of whole objects.
    """

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False

    @property
    def path(self) -> str:
        """Path of the collection."""
        return self.resource.collection(self.namespace or None)

    @property
    def query(self) -> dict[str, str]:
        """The selectors as query parameters."""
        return {
            name: value
            for name, value in (("labelSelector", self.labels), ("fieldSelector", self.fields))
            if value
        }

    @property
    def whole(self) -> bool:
        """Whether no selector narrows it (only then the server counts the rest of a page)."""
        return not (self.labels or self.fields)

    def as_metadata(self) -> Self:
        """The same objects, their metadata alone."""
        return replace(self, metadata_only=True)


def group_path(group: str, version: str) -> str:
    """Path of an API group's version."""
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def _segment(text: str | None) -> str:
    return quote(text or "", safe="")


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod")
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
GPU_POOLS = Resource("gpupool.dev", "v1alpha1", "gpupools", "GpuPool", namespaced=False)
CAPACITY_REQUESTS = Resource("gpupool.dev", "v1alpha1", "capacityrequests", "CapacityRequest")
INFERENCE_SLOS = Resource("gpupool.dev", "v1alpha1", "inferenceslos", "InferenceSLO")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
VPAS = Resource("autoscaling.k8s.io", "v1", "verticalpodautoscalers", "VerticalPodAutoscaler")
JOBS = Resource("batch", "v1", "jobs", "Job")
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
API_SERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
ADMISSION = "admissionregistration.k8s.io"
VALIDATING_POLICIES = Resource(
    ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
)
VALIDATING_BINDINGS = Resource(
    ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False
)
MUTATING_POLICIES = Resource(
    ADMISSION, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", namespaced=False
)
MUTATING_BINDINGS = Resource(
    ADMISSION, "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", namespaced=False
)

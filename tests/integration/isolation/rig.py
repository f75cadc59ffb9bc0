"""A governed pool made by hand: what the operator would write, with no operator running."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gpupool.applier.policies import PoolPolicySpec, pool_policies, probe_pods
from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT
from integration.isolation.asking import (
    BREAK_GLASS,
    GPU,
    OPERATOR,
    PROBE_NAMESPACE,
    create,
    pod,
    unique,
    wait_for,
    warnings,
)
from localplane.kube import Kube, KubeError
from localplane.nodes import node_manifest
from localplane.resources import resource_path

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]


@dataclass
class Pool:
    """One pool: labelled and tainted nodes, policies, and namespaces in it."""

    kube: Kube
    spec: PoolPolicySpec
    nodes: tuple[str, ...]
    made: list[Json] = field(default_factory=list)
    _written: list[Json] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.spec.pool

    @property
    def selector(self) -> dict[str, str]:
        return {NODE_LABEL: self.name}

    @property
    def toleration(self) -> dict[str, str]:
        return {"key": TAINT, "operator": "Equal", "value": self.name, "effect": "NoSchedule"}

    @property
    def two_lines(self) -> Json:
        """What the denial tells people to add; nothing where the API server adds it."""
        if self.spec.mutate:
            return {}
        return {"nodeSelector": self.selector, "tolerations": [self.toleration]}

    def enforce(self, **changes: Any) -> None:
        """Write the policies of a pool at Enforce and wait until they act."""
        self._write(replace(self.spec, enforce=True, **changes))
        wait_for(self._denies, "the policies to deny")
        wait_for(self._warns, "the policies to warn of templates")
        if self.spec.mutate:
            wait_for(self._injects, "the policy to inject")

    def recommend(self, *namespaces: str, **changes: Any) -> None:
        """Write the policies of a pool at Recommend and wait until they warn."""
        self._write(replace(self.spec, enforce=False, recommend_namespaces=namespaces, **changes))
        trial = pod("trial", 1, nodeName="nowhere")
        wait_for(lambda: bool(warnings(self.kube, namespaces[0], trial)), "the policies to warn")

    def observe(self) -> None:
        """Remove the policies and wait until they no longer act."""
        self._write(replace(self.spec, enforce=False, recommend_namespaces=()))
        wait_for(
            lambda: not any(self._refused(p.manifest) for p in probe_pods(self.spec)), "the policies to go"
        )

    def put(self, manifest: Mapping[str, Any]) -> Json:
        """Apply an object that is removed with the pool."""
        self.made.append(dict(manifest))
        return self.kube.apply(manifest)

    def _write(self, spec: PoolPolicySpec) -> None:
        """Bring the server from the last written objects to those of `spec`, as the operator would."""
        wanted = pool_policies(spec)
        kept = {resource_path(o) for o in wanted}
        for manifest in wanted:
            self.kube.apply(manifest)
        for manifest in self._written:
            if resource_path(manifest) not in kept:
                self.kube.delete(resource_path(manifest))
        self.spec, self._written = spec, wanted

    def _refused(self, manifest: Mapping[str, Any]) -> bool:
        try:
            self.kube.create(manifest, dry_run=True)
        except KubeError as error:
            return error.status == 403 and self.name in error.message
        return False

    def _denies(self) -> bool:
        return all(self._refused(p.manifest) == p.expect_denied for p in probe_pods(self.spec))

    def _injects(self) -> bool:
        return all(map(self._placed, self._homes()))

    def _warns(self) -> bool:
        labels = {"app": "trial"}
        template = {"metadata": {"labels": labels}, "spec": pod("trial", 1, nodeName="nowhere")["spec"]}
        body = {"selector": {"matchLabels": labels}, "template": template}
        trial = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "trial"}, "spec": body}
        return all(warnings(self.kube, namespace, trial) for namespace in self._homes())

    def _homes(self) -> list[str]:
        return self._namespaces(labels={POOL_LABEL: self.name})

    def _namespaces(self, labels: Mapping[str, str] | None = None) -> list[str]:
        made = [o["metadata"] for o in self.made if o["kind"] == "Namespace"]
        return [m["name"] for m in made if labels is None or m["labels"] == labels]

    def _placed(self, namespace: str) -> bool:
        try:
            made = create(self.kube, namespace, pod("trial", 1), dry_run=True)
        except KubeError as error:
            # Quota speaks last: the pod was already judged and found well placed.
            return "exceeded quota" in error.message
        return bool(made["spec"].get("nodeSelector", {}).get(NODE_LABEL) == self.name)

    def close(self) -> None:
        """Remove everything, pods at once."""
        self.kube.delete(f"/apis/gpupool.dev/v1alpha1/gpupools/{self.name}")
        for namespace in self._namespaces():
            pods = f"/api/v1/namespaces/{namespace}/pods"
            for each in self.kube.list(pods):
                self.kube.delete(f"{pods}/{each['metadata']['name']}", grace_seconds=0)
        for manifest in reversed([*self.made, *self._written]):
            self.kube.delete(resource_path(manifest))
        for name in self.nodes:
            self.kube.delete(f"/api/v1/nodes/{name}")


def make_pool(kube: Kube, *, mutate: bool, gpus: int = 8, nodes: int = 1) -> Pool:
    """A pool with labelled, tainted nodes and a GpuPool object, not yet enforced."""
    name = unique("pool")
    node_names = tuple(unique(f"{name}-node") for _ in range(nodes))
    for node_name in node_names:
        manifest = node_manifest(node_name, gpus, labels={NODE_LABEL: name})
        taint = {"key": TAINT, "value": name, "effect": "NoSchedule"}
        manifest["spec"]["taints"] = [taint]
        kube.create(manifest)
    owner = kube.create(
        {
            "apiVersion": "gpupool.dev/v1alpha1",
            "kind": "GpuPool",
            "metadata": {"name": name},
            "spec": {"nodes": {"names": list(node_names)}},
        }
    )
    spec = PoolPolicySpec(
        pool=name,
        uid=owner["metadata"]["uid"],
        resources=(GPU,),
        enforce=False,
        mutate=mutate,
        exempt_namespaces=("kube-system",),
        break_glass_group=BREAK_GLASS,
        probe_namespace=PROBE_NAMESPACE,
    )
    return Pool(kube, spec, node_names)


def team_namespace(pool: Pool, *, labelled: bool = True, hard: int | None = None) -> str:
    """A namespace of the pool, with the operator's quota where `hard` is given, ready for pods."""
    name = unique("team")
    labels = {POOL_LABEL: pool.name} if labelled else {}
    pool.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_for(lambda: pool.kube.exists(account), f"the default ServiceAccount of {name}")
    if hard is not None:
        put_quota(pool.kube, name, hard)
    return name


def put_quota(kube: Kube, namespace: str, hard: int) -> None:
    """Write the quota as the operator's user and wait until it is in force."""
    metadata = {
        "name": "gpupool",
        "namespace": namespace,
        "labels": {"app.kubernetes.io/managed-by": "gpupool"},
    }
    key = f"requests.{GPU}"
    manifest = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "spec": {"hard": {key: str(hard)}},
    }
    with kube.impersonating(OPERATOR) as operator:
        operator.apply(manifest)

    def in_force() -> bool:
        status = kube.get(resource_path(manifest)).get("status", {})
        return status.get("hard", {}).get(key) == str(hard) and key in status.get("used", {})

    wait_for(in_force, f"the quota of {namespace} to be in force")


def bind(pool: Pool, namespace: str, user: str, role: str = "admin") -> None:
    """Give the user a ClusterRole in the namespace."""
    pool.put(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{user}-{role}", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        }
    )

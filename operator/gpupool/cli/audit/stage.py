"""What an audit finds before it begins: enforcing pools, their namespaces, somebody outside, the roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from gpupool.api import convert
from gpupool.applier.policies.outsider_policies import PODS
from gpupool.errors import KubeError, NotFound
from gpupool.kube import resources as kinds
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, Resource, Selection
from gpupool.model.marks import NODE_LABEL, POOL_LABEL
from gpupool.model.pool import Pool

DEFAULT_PROBE = "gpupool-probe"
ROLES = ("admin", "edit")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)


@dataclass(frozen=True, slots=True)
class Ground:
    """One enforcing pool as it is attacked.

    Attributes:
        pool: as its spec says.
        namespace: one of its namespaces, the probe namespace where it has none.
        node: one of its nodes, or empty.
        request: name of a CapacityRequest there, or empty.
        hard: GPUs of its first resource that the namespace's quota allows; None without one.
        other: another pool's name, or one that could be.
    """

    pool: Pool
    namespace: str
    node: str
    request: str
    hard: int | None
    other: str

    @property
    def resource(self) -> str:
        """The pool's first resource."""
        return self.pool.resources[0]


@dataclass(frozen=True, slots=True)
class Stage:
    """The cluster as far as an audit needs it.

    Attributes:
        grounds: enforcing pools.
        outside: a namespace of no pool.
        probe: the probe namespace.
        bindings: gpupool's own policies whose binding of the same name denies; another one, by which a guard
            can be tried in the probe namespace, says nothing of pools.
        policies: names of gpupool's own policies.
        roles: rules of the roles people are given, by role; empty where they may not be read.
        claims: resource claims are served.
        warning: what makes answers worthless; empty if nothing does.
    """

    grounds: tuple[Ground, ...]
    outside: str
    probe: str
    bindings: frozenset[str]
    policies: frozenset[str]
    roles: Mapping[str, tuple[Json, ...]]
    claims: bool
    warning: str = ""


async def survey(client: KubeClient, only: str = "") -> Stage:
    """Look around.

    Args:
        client: as the caller.
        only: one pool; empty for all that enforce.

    Raises:
        KubeError: the caller may not read pools, namespaces or policies.
    """
    pools = await _pools(client)
    namespaces = await client.list_all(Selection(kinds.NAMESPACES))
    policies = await client.list_all(Selection(kinds.VALIDATING_POLICIES))
    bindings = await client.list_all(Selection(kinds.VALIDATING_BINDINGS))
    own = [p for p in policies if _ours(p)]
    probe = _probe_namespace(namespaces)
    exempt = _exempt(bindings)
    listed = {n for p in pools for s in p.shares for n in s.namespaces}
    enforcing = [p for p in pools if p.isolates and only in {"", p.name}]
    names = [p.name for p in pools]
    return Stage(
        grounds=tuple([await _ground(client, p, namespaces, probe, names) for p in enforcing]),
        outside=_outside(namespaces, exempt | listed, probe),
        probe=probe,
        bindings=refusing(bindings),
        policies=frozenset(p["metadata"]["name"] for p in own),
        roles=await _roles(client),
        claims=await client.has_resource("resource.k8s.io", "v1", "resourceclaims"),
        warning=await _warning(client, own),
    )


async def _pools(client: KubeClient) -> list[Pool]:
    try:
        raw = await client.list_all(Selection(kinds.GPU_POOLS))
    except NotFound:
        return []
    found = []
    for each in sorted(raw, key=lambda o: str(o["metadata"]["name"])):
        try:
            found.append(convert.pool(each))
        except ValidationError:  # of another version; the operator tells its owner
            continue
    return found


def refusing(bindings: Iterable[Json]) -> frozenset[str]:
    """Our policies whose binding of the same name denies."""
    return frozenset(
        b["metadata"]["name"]
        for b in bindings
        if b["metadata"]["name"] == b["spec"]["policyName"]
        and "Deny" in b["spec"]["validationActions"]
        and _ours(b)
    )


def _ours(obj: Json) -> bool:
    return bool(obj["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "gpupool")


def _labels(obj: Json) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels", {})
    return labels


def _probe_namespace(namespaces: list[Json]) -> str:
    marked = [
        str(n["metadata"]["name"])
        for n in namespaces
        if _ours(n) and _labels(n).get("app.kubernetes.io/component") == "probe"
    ]
    return marked[0] if marked else DEFAULT_PROBE


def _exempt(bindings: list[Json]) -> set[str]:
    """Namespaces that the policy about outsiders leaves alone."""
    for each in bindings:
        if each["metadata"]["name"] == PODS:
            selector = each["spec"]["matchResources"]["namespaceSelector"]
            return {v for e in selector.get("matchExpressions", []) for v in e.get("values", [])}
    return {"kube-system", "gpupool-system"}


def _outside(namespaces: list[Json], taken: set[str], probe: str) -> str:
    """`default`, or the first that is nobody's; else the probe namespace: an unmarked pod is an outsider."""
    free = [
        str(n["metadata"]["name"])
        for n in namespaces
        if POOL_LABEL not in _labels(n) and n.get("status", {}).get("phase") == "Active"
    ]
    usable = sorted(n for n in free if n not in taken and n != probe and not n.startswith("kube-"))
    return "default" if "default" in usable else next(iter(usable), probe)


async def _ground(
    client: KubeClient, pool: Pool, namespaces: list[Json], probe: str, pools: list[str]
) -> Ground:
    inside = sorted(n["metadata"]["name"] for n in namespaces if _labels(n).get(POOL_LABEL) == pool.name)
    namespace = inside[0] if inside else probe
    nodes = await client.list_all(Selection(kinds.NODES, labels=f"{NODE_LABEL}={pool.name}"))
    requests = await client.list_all(Selection(kinds.CAPACITY_REQUESTS, namespace=namespace))
    return Ground(
        pool=pool,
        namespace=namespace,
        node=nodes[0]["metadata"]["name"] if nodes else "",
        request=requests[0]["metadata"]["name"] if requests else "",
        hard=await _hard(client, namespace, pool.resources[0]),
        other=next((n for n in pools if n != pool.name), f"not-{pool.name}"[:63]),
    )


async def _hard(client: KubeClient, namespace: str, resource: str) -> int | None:
    try:
        quota = await client.get(kinds.RESOURCE_QUOTAS, "gpupool", namespace)
    except KubeError:
        return None
    text = quota.get("status", {}).get("hard", {}).get(f"requests.{resource}")
    return int(text) if text is not None and str(text).isdigit() else None


async def _roles(client: KubeClient) -> dict[str, tuple[Json, ...]]:
    try:
        found = [await client.get(CLUSTER_ROLES, name) for name in ROLES]
    except KubeError:
        return {}
    return {r["metadata"]["name"]: tuple(r.get("rules") or ()) for r in found}


async def _warning(client: KubeClient, policies: list[Json]) -> str:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    review = await client.transport.request("POST", path, body=body)
    return passing(review["status"]["userInfo"].get("groups", []), policies)


def passing(groups: Iterable[str], policies: Iterable[Json]) -> str:
    """What to say to a caller whom the policies let pass; empty for everybody else."""
    texts = [
        c["expression"]
        for p in policies
        for c in p["spec"].get("matchConditions", [])
        if c["name"] == "not-break-glass"
    ]
    named = {g for text in texts for g in re.findall(r"'([^']+)' in request", text)}
    found = sorted(set(groups) & named)
    if not found:
        return ""
    return f"you are in the break-glass group {found[0]}, whom every policy lets pass: audit as somebody else"

"""The attempts of the rows: requests as an attacker would send them, as dry runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpupool.applier.policies.outside_probe import kept_name, restricted_pod
from gpupool.applier.policies.outsider_rules import DEVICES_ENV
from gpupool.applier.policies.probe import RESTRICTED_CONTAINER
from gpupool.cli.audit.attempts import Attempt, By, Who
from gpupool.cli.audit.stage import Ground, Stage
from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT

Json = dict[str, Any]
PROBE_LABEL = "gpupool.dev/probe"
STRAYS = (
    "nvidia.com/mig-1g.5gb",
    "nvidia.com/gpu.shared",
    "amd.com/gpu",
    "deviceclass.resource.kubernetes.io/gpu.nvidia.com",
)
WILDCARD = {"operator": "Exists"}
CLAIMS = "/apis/resource.k8s.io/v1/namespaces"
ADMIN_ACCESS = (By.POLICY, By.INVALID, By.OTHER)  # without the namespace's own permission it is a plain 403


def _create(
    what: str, stage: Stage, namespace: str, plays: str, spec: Mapping[str, Any], **more: Any
) -> Attempt:
    resources = more.pop("resources", ())
    container = more.pop("container", None)
    # In the probe namespace a pod says whose namespace it plays; elsewhere the label means nothing.
    labels = {PROBE_LABEL: plays} if namespace == stage.probe else {}
    body = restricted_pod(
        namespace, "gpupool-audit", labels, resources=resources, placement=spec, container=container
    )
    return Attempt(what, "POST", f"/api/v1/namespaces/{namespace}/pods", body, **more)


def _gpu(what: str, stage: Stage, ground: Ground, **more: Any) -> Attempt:
    """A GPU pod in the pool's namespace, placed as it has to be except for what `spec` changes."""
    spec = {**placed(ground), **more.pop("spec", {})}
    more.setdefault("resources", (ground.resource,))
    return _create(what, stage, ground.namespace, ground.pool.name, spec, **more)


def _plain(what: str, stage: Stage, ground: Ground, **more: Any) -> Attempt:
    """A pod without GPUs in the pool's namespace."""
    return _create(what, stage, ground.namespace, ground.pool.name, more.pop("spec", {}), **more)


def _outside(what: str, stage: Stage, **more: Any) -> Attempt:
    """A pod in a namespace without a pool."""
    return _create(what, stage, stage.outside, "", more.pop("spec", {}), **more)


def placed(ground: Ground) -> Json:
    """The two lines of the pool."""
    return {"nodeSelector": {NODE_LABEL: ground.pool.name}, "tolerations": [_tolerates(ground.pool.name)]}


def _tolerates(pool: str) -> Json:
    return {"key": TAINT, "operator": "Equal", "value": pool, "effect": "NoSchedule"}


def _kept(stage: Stage, ground: Ground, subresource: str = "") -> str:
    tail = f"/{subresource}" if subresource else ""
    return f"/api/v1/namespaces/{stage.probe}/pods/{kept_name(ground.pool.name)}{tail}"


def node_names(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 1."""
    spec = {"nodeName": ground.node or "gpu-node"}
    yield _gpu("GPU pod", stage, ground, spec=spec)
    yield _plain("pod without GPUs", stage, ground, spec=spec)
    yield _outside("pod outside", stage, spec=spec)


def tolerations(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 2."""
    own = _tolerates(ground.pool.name)
    exists = {"key": TAINT, "operator": "Exists"}
    for name, extra in (("every taint", WILDCARD), ("any pool", exists), ("other", _tolerates(ground.other))):
        yield _gpu(f"GPU pod, {name}", stage, ground, spec={"tolerations": [own, extra]})
    yield _plain("pod without GPUs, every taint", stage, ground, spec={"tolerations": [WILDCARD]})
    for name, extra in (("every taint", WILDCARD), ("any pool", exists), ("the pool", own)):
        yield _outside(f"pod outside, {name}", stage, spec={"tolerations": [extra]})


def added_tolerations(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 3: on the pod that is kept for this."""
    for name, extra in (("every taint", WILDCARD), ("other", _tolerates(ground.other))):
        change = [{"op": "add", "path": "/spec/tolerations/-", "value": extra}]
        yield Attempt(name, "PATCH", _kept(stage, ground), change, patch="json")


def selectors(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 4."""
    spec = {"nodeSelector": {NODE_LABEL: ground.other}}
    home = (("spec", "nodeSelector", NODE_LABEL), ground.pool.name)
    expression = {"key": NODE_LABEL, "operator": "In", "values": [ground.other]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    # Injection puts it right and quota speaks last.
    yield _gpu("node selector", stage, ground, spec=spec, placed=home, closes=(By.POLICY, By.QUOTA))
    yield _gpu("node affinity", stage, ground, spec={"affinity": affinity})
    yield _outside("node selector outside", stage, spec={"nodeSelector": {NODE_LABEL: ground.pool.name}})


def binding(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 5."""
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": kept_name(ground.pool.name), "namespace": stage.probe},
        "target": {"apiVersion": "v1", "kind": "Node", "name": ground.node or "gpu-node"},
    }
    yield Attempt("binding", "POST", _kept(stage, ground, "binding"), body)
    yield _gpu("own scheduler", stage, ground, spec={"schedulerName": "gpupool-audit"})


def daemonsets(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 6."""
    spec = {"tolerations": [WILDCARD]}
    yield _gpu("in the pool's namespace", stage, ground, spec=spec, who=Who.DAEMONSETS)
    yield _outside("outside", stage, spec=spec, who=Who.DAEMONSETS, resources=(ground.resource,))


def controllers(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 7."""
    spec = {"tolerations": [_tolerates(ground.pool.name), WILDCARD]}
    yield _gpu("in the pool's namespace", stage, ground, spec=spec, who=Who.JOBS)
    yield _outside("outside", stage, who=Who.JOBS, resources=(ground.resource,))


def quota(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 8: more than the whole quota, so that it does not matter what runs."""
    limits = {"limits": {ground.resource: str((ground.hard or 0) + 1)}}
    only = (By.QUOTA,)
    yield _gpu("limits alone", stage, ground, resources=(), container={"resources": limits}, closes=only)
    main = restricted_pod("", "", {})["spec"]["containers"][0]  # type: ignore[index] # JSON
    first = [{**main, "name": "first", "resources": limits}]
    yield _gpu("init container", stage, ground, spec={"initContainers": first}, resources=(), closes=only)


def names(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 9."""
    for stray in STRAYS:
        if stray not in ground.pool.resources:
            yield _plain(stray, stage, ground, resources=(stray,))
    hard = {f"limits.{ground.resource}": "1"}
    body = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "gpupool-audit"},
        "spec": {"hard": hard},
    }
    if ground.namespace != stage.probe:
        yield Attempt("quota", "POST", f"/api/v1/namespaces/{ground.namespace}/resourcequotas", body)


def claims(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 10; a cluster that serves no claims has none to refuse, and the probe namespace none of a pool."""
    if not stage.claims or ground.namespace == stage.probe:
        return
    wanted: tuple[tuple[str, Json, tuple[By, ...]], ...] = (
        ("all devices", {"deviceClassName": "any.example.com", "allocationMode": "All"}, (By.POLICY,)),
        ("adminAccess", {"deviceClassName": "any.example.com", "adminAccess": True}, ADMIN_ACCESS),
        ("device class", {"deviceClassName": "gpu.nvidia.com"}, (By.POLICY,)),
    )
    for name, exactly, closes in wanted:
        spec = {"devices": {"requests": [{"name": "all", "exactly": exactly}]}}
        for kind, body in (("ResourceClaim", spec), ("ResourceClaimTemplate", {"spec": spec})):
            yield Attempt(
                f"{kind}, {name}",
                "POST",
                f"{CLAIMS}/{ground.namespace}/{kind.lower()}s",
                {
                    "apiVersion": "resource.k8s.io/v1",
                    "kind": kind,
                    "metadata": {"name": "audit"},
                    "spec": body,
                },
                closes=closes,
            )


def namespaces(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 11."""
    change = {"metadata": {"labels": {POOL_LABEL: ground.other}}}
    path = f"/api/v1/namespaces/{stage.outside}"
    yield Attempt("joins a pool", "PATCH", path, _labels(ground.pool.name), who=Who.BROAD)
    if ground.namespace != stage.probe:
        path = f"/api/v1/namespaces/{ground.namespace}"
        yield Attempt("changes its pool", "PATCH", path, change, who=Who.BROAD)
        yield Attempt("leaves its pool", "PATCH", path, _labels(None), who=Who.BROAD)


def _labels(pool: str | None) -> Json:
    return {"metadata": {"labels": {POOL_LABEL: pool}}}


def quota_writes(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 12."""
    if ground.namespace == stage.probe:
        return
    path = f"/api/v1/namespaces/{ground.namespace}/resourcequotas/gpupool"
    key = f"requests.{ground.resource}"
    yield Attempt("raises it", "PATCH", path, {"spec": {"hard": {key: "999"}}})
    yield Attempt("raises its status", "PATCH", f"{path}/status", {"status": {"hard": {key: "999"}}})
    yield Attempt("deletes it", "DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions"})


def priorities(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 14."""
    yield _gpu("GPU pod", stage, ground, spec={"priorityClassName": "system-node-critical"})


def privileged(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 15."""
    spec = {"hostPID": True, "volumes": [{"name": "host", "hostPath": {"path": "/dev"}}]}
    container = {"securityContext": {"privileged": True, "allowPrivilegeEscalation": True}}
    closes = (By.POD_SECURITY, By.POLICY)
    yield _plain("privileged pod", stage, ground, spec=spec, container=container, closes=closes)


def environment(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 16."""
    container = {"env": [{"name": DEVICES_ENV, "value": "all"}]}
    yield _plain("pod without GPUs", stage, ground, container=container)


def ephemeral(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 17: on the pod that is kept for this."""
    base = {"name": "debug", "image": "gpupool.invalid/probe", **RESTRICTED_CONTAINER}
    asking = {**base, "resources": {"limits": {ground.resource: "1"}}}
    reaching = {**base, "env": [{"name": DEVICES_ENV, "value": "all"}]}
    for name, container, closes in (("GPU", asking, (By.INVALID,)), ("variable", reaching, (By.POLICY,))):
        change = {"spec": {"ephemeralContainers": [container]}}
        path = _kept(stage, ground, "ephemeralcontainers")
        yield Attempt(name, "PATCH", path, change, closes=closes, patch="strategic-merge")


def node_marks(_: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 18; a pool of no nodes has none to forge."""
    if not ground.node:
        return
    path = f"/api/v1/nodes/{ground.node}"
    change = {"metadata": {"labels": {NODE_LABEL: ground.other}}}
    closes = (By.NODE_RESTRICTION, By.RBAC, By.POLICY)
    yield Attempt("kubelet", "PATCH", path, change, who=Who.KUBELET, name=ground.node, closes=closes)
    for name, label in (("changes the label", ground.other), ("removes the label", None)):
        yield Attempt(name, "PATCH", path, {"metadata": {"labels": {NODE_LABEL: label}}}, who=Who.BROAD)
    forged = {"status": {"allocatable": {ground.resource: "999"}}}
    yield Attempt("adds GPUs", "PATCH", f"{path}/status", forged, who=Who.BROAD)


def without_pool(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 21."""
    yield _outside("GPU pod", stage, resources=(ground.resource,))


def cpu_pods(stage: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 22; a pool may allow it."""
    if ground.pool.cpu_pods:
        return
    for name, part in placed(ground).items():
        yield _plain(name, stage, ground, spec={name: part})


def statuses(_: Stage, ground: Ground) -> Iterable[Attempt]:
    """Row 24."""
    base = "/apis/gpupool.dev/v1alpha1"
    grant = {"status": {"granted": {ground.resource: 999}}}
    yield Attempt("GpuPool", "PATCH", f"{base}/gpupools/{ground.pool.name}/status", grant)
    if ground.request:
        path = f"{base}/namespaces/{ground.namespace}/capacityrequests/{ground.request}/status"
        yield Attempt("CapacityRequest", "PATCH", path, {"status": {"granted": 999}})

"""Pods of the probe namespace that prove the outsider policies, and the one that is kept there for audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpupool.applier.policies.outsider_policies import DEVICES, NO_POOL, PODS, OutsiderSpec
from gpupool.applier.policies.outsider_rules import DEVICES_ENV
from gpupool.applier.policies.probe import RESTRICTED, RESTRICTED_CONTAINER, ProbePod
from gpupool.applier.policies.spec import PROBE_LABEL, owner_reference
from gpupool.model.marks import MANAGED, NODE_LABEL, POOL_LABEL, TAINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpupool.model.outsiders import OutsiderPool
    from gpupool.model.pool import Pool

Json = dict[str, object]
GATE = "gpupool.dev/never-runs"
IMAGE = "gpupool.invalid/probe"


def outsider_probes(spec: OutsiderSpec) -> list[ProbePod]:
    """A pod that must pass, one for each way in from outside, and two a pool's own CPU pods could try."""
    pool = next(p for p in spec.asked.pools if p.counts)
    reaching = {"env": [{"name": DEVICES_ENV, "value": "all"}]}
    pods = [
        _attempt(spec, "outsider", 0, NO_POOL),
        *(_attempt(spec, f"outsider-{n}", row, NO_POOL, s) for n, row, s in _ways_in(pool)),
        *(
            # Each of them: policies that stand for a moment still may know only some.
            _attempt(spec, f"outsider-gpu-{i}" if i else "outsider-gpu", 21, NO_POOL, resources=(resource,))
            for i, resource in enumerate(spec.asked.counting)
        ),
        _attempt(spec, "device-env", 16, pool.name, container=reaching, policy=DEVICES),
    ]
    if not pool.cpu_pods:
        own = {"tolerations": [_toleration(value=pool.name)]}
        pods.append(_attempt(spec, "cpu-pod-tolerates", 22, pool.name, own))
    return pods


def _ways_in(pool: OutsiderPool) -> Iterable[tuple[str, int, Json]]:
    expression = {"key": NODE_LABEL, "operator": "In", "values": [pool.name]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    yield "node-name", 1, {"nodeName": "gpupool-probe"}
    yield "wildcard", 2, {"tolerations": [{"operator": "Exists"}]}
    yield "exists", 2, {"tolerations": [_toleration(operator="Exists")]}
    yield "tolerates", 2, {"tolerations": [_toleration(value=pool.name)]}
    yield "selector", 4, {"nodeSelector": {NODE_LABEL: pool.name}}
    yield "affinity", 4, {"affinity": affinity}


def _toleration(**fields: str) -> dict[str, str]:
    return {"key": TAINT, "effect": "NoSchedule", **fields}


def _attempt(
    spec: OutsiderSpec,
    name: str,
    row: int,
    plays: str,
    placement: Mapping[str, object] | None = None,
    *,
    resources: Iterable[str] = (),
    container: Mapping[str, object] | None = None,
    policy: str = PODS,
) -> ProbePod:
    manifest = restricted_pod(
        spec.probe_namespace,
        f"probe-{name}",
        {PROBE_LABEL: plays},
        resources=resources,
        placement=placement,
        container=container,
    )
    return ProbePod(name, row, manifest, expect_denied=row > 0, policy=policy)


def restricted_pod(
    namespace: str,
    name: str,
    labels: Mapping[str, str],
    *,
    resources: Iterable[str] = (),
    placement: Mapping[str, object] | None = None,
    container: Mapping[str, object] | None = None,
) -> Json:
    """A pod that keeps the `restricted` standard and asks for one of each resource."""
    limits = dict.fromkeys(resources, "1")
    main = {"name": "probe", "image": IMAGE, "resources": {"limits": limits, "requests": limits}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {**MANAGED, **labels}},
        "spec": {
            **RESTRICTED,
            "containers": [{**main, **RESTRICTED_CONTAINER, **(container or {})}],
            **(placement or {}),
        },
    }


def kept_name(pool: str) -> str:
    """Name of the pod that is kept for a pool."""
    return f"kept-for-{pool}"


def kept_pod(namespace: str, pool: Pool) -> Json:
    """A well-placed GPU pod of the pool that never runs: it waits at a gate that nobody opens.

    `gpupool audit` tries on it, as dry runs, what people may do to pods that exist. It goes with its pool.
    """
    placement = {
        "nodeSelector": {NODE_LABEL: pool.name},
        "tolerations": [_toleration(operator="Equal", value=pool.name)],
        "schedulingGates": [{"name": GATE}],
        "terminationGracePeriodSeconds": 0,
    }
    labels = {PROBE_LABEL: pool.name, POOL_LABEL: pool.name}
    name = kept_name(pool.name)
    body = restricted_pod(namespace, name, labels, resources=pool.resources, placement=placement)
    reference = owner_reference(pool.name, pool.uid)
    metadata = {"name": name, "namespace": namespace, "labels": {**MANAGED, **labels}}
    return {**body, "metadata": {**metadata, "ownerReferences": [reference]}}

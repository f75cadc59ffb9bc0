"""Pods that prove the policies deny: created as a dry run in the probe namespace, never stored.

They keep the `restricted` Pod Security Standard, so that nothing but our policy has a reason to refuse them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from gpupool.applier.policies.spec import PROBE_INJECT_LABEL, PROBE_LABEL, PoolPolicySpec, policy_name
from gpupool.applier.policies.validate import PODS
from gpupool.model.marks import MANAGED, NODE_LABEL, TAINT

if TYPE_CHECKING:
    from collections.abc import Mapping

_OTHER_POOLS = ("another-pool", "yet-another-pool")
RESTRICTED: dict[str, object] = {
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
}
RESTRICTED_CONTAINER: dict[str, object] = {
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
_STRAY = "nvidia.com/mig-0g.0gb"
"""A GPU that nobody governs, so that no other policy of ours has a reason to refuse it first."""


@dataclass(frozen=True, slots=True)
class ProbePod:
    """One pod to create as a dry run.

    Attributes:
        name: what it tries, also the pod's name.
        row: row of the threat table it stands for; 0 for the good pod.
        manifest: the Pod, for `POST .../pods?dryRun=All`.
        expect_denied: True if the API server must answer 403 naming `policy`.
        policy: name of the ValidatingAdmissionPolicy that judges it.
    """

    name: str
    row: int
    manifest: dict[str, object]
    expect_denied: bool
    policy: str


def probe_pods(spec: PoolPolicySpec) -> list[ProbePod]:
    """The good pod first, one for each bypass that a policy must stop, one that injection must place."""
    good_selector = {NODE_LABEL: spec.pool}
    good_toleration = _toleration(operator="Equal", value=spec.pool)
    other = next(name for name in _OTHER_POOLS if name != spec.pool)
    attempts: list[tuple[str, int, dict[str, object]]] = [
        ("well-placed", 0, {}),
        ("node-name", 1, {"nodeName": "gpupool-probe"}),
        ("wildcard-toleration", 2, {"tolerations": [{"operator": "Exists"}]}),
        ("exists-on-pool-key", 2, {"tolerations": [_toleration(operator="Exists")]}),
        (
            "another-pools-value",
            2,
            {"tolerations": [good_toleration, _toleration(operator="Equal", value=other)]},
        ),
        ("another-pools-selector", 4, {"nodeSelector": {NODE_LABEL: other}}),
        ("no-selector", 4, {"nodeSelector": {}}),
        ("another-pools-affinity", 4, {"affinity": _affinity(other)}),
    ]
    placed: dict[str, object] = {"nodeSelector": good_selector, "tolerations": [good_toleration]}
    pods = [
        _probe(spec, name, row, {**placed, **change}, spec.resources[0]) for name, row, change in attempts
    ]
    if spec.mutate:
        bare = _probe(spec, "left-to-injection", 0, {}, spec.resources[0])
        pods.append(replace(bare, manifest=_labelled(bare.manifest, {PROBE_INJECT_LABEL: "true"})))
    # Without the pool's selector, which the outsiders' policy would refuse to a pod without governed GPUs.
    pods.append(_probe(spec, "ungoverned-gpu", 9, {}, _STRAY))
    return pods


def _probe(
    spec: PoolPolicySpec, name: str, row: int, placement: Mapping[str, object], resource: str
) -> ProbePod:
    container = {
        "name": "probe",
        "image": "gpupool.invalid/probe",
        "resources": {"limits": {resource: "1"}, "requests": {resource: "1"}},
        **RESTRICTED_CONTAINER,
    }
    manifest: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"probe-{name}",
            "namespace": spec.probe_namespace,
            "labels": {**MANAGED, PROBE_LABEL: spec.pool},
        },
        "spec": {
            **RESTRICTED,
            "containers": [container],
            **placement,
        },
    }
    return ProbePod(name, row, manifest, expect_denied=row > 0, policy=policy_name(spec.pool, PODS))


def _labelled(manifest: Mapping[str, object], labels: Mapping[str, str]) -> dict[str, object]:
    meta = cast("Mapping[str, Mapping[str, str]]", manifest["metadata"])
    return {**manifest, "metadata": {**meta, "labels": {**meta["labels"], **labels}}}


def _toleration(**fields: str) -> dict[str, str]:
    return {"key": TAINT, "effect": "NoSchedule", **fields}


def _affinity(pool: str) -> dict[str, object]:
    expression = {"key": NODE_LABEL, "operator": "In", "values": [pool]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}

"""Where a pool's policies act: bindings and the namespaces they select."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpupool.applier.policies.spec import NAME_LABEL, PROBE_LABEL, PoolPolicySpec, metadata, policy_name
from gpupool.model.marks import POOL_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

API = "admissionregistration.k8s.io/v1"


def enforced_namespaces(spec: PoolPolicySpec) -> dict[str, object]:
    """The namespaces that carry the pool's label, without the exempt ones."""
    selector: dict[str, object] = {"matchLabels": {POOL_LABEL: spec.pool}}
    if spec.exempt_namespaces:
        selector["matchExpressions"] = [
            {"key": NAME_LABEL, "operator": "NotIn", "values": sorted(set(spec.exempt_namespaces))}
        ]
    return {"namespaceSelector": selector}


def recommended_namespaces(spec: PoolPolicySpec) -> dict[str, object]:
    """The namespaces that are warned, by name: Recommend writes no label."""
    named = {"key": NAME_LABEL, "operator": "In", "values": list(spec.recommended)}
    return {"namespaceSelector": {"matchExpressions": [named]}}


def binding(
    spec: PoolPolicySpec, part: str, suffix: str, actions: Sequence[str], resources: Mapping[str, object]
) -> dict[str, object]:
    """Bind the policy `part` to the namespaces that `resources` selects."""
    return {
        "apiVersion": API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata(spec, f"{part}-{suffix}" if suffix else part),
        "spec": {
            "policyName": policy_name(spec.pool, part),
            "validationActions": list(actions),
            "matchResources": dict(resources),
        },
    }


def probed_pods(spec: PoolPolicySpec, labels: Mapping[str, str] | None = None) -> dict[str, object]:
    """The pool's own pods of the probe namespace: each pool judges only those that name it."""
    named = {"key": NAME_LABEL, "operator": "In", "values": [spec.probe_namespace]}
    return {
        "namespaceSelector": {"matchExpressions": [named]},
        "objectSelector": {"matchLabels": {PROBE_LABEL: spec.pool, **(labels or {})}},
    }


def probe_binding(spec: PoolPolicySpec, part: str) -> dict[str, object]:
    """Deny in the probe namespace too."""
    return binding(spec, part, "probe", ["Deny"], probed_pods(spec))

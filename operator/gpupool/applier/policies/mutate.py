"""MutatingAdmissionPolicy of a pool: writes the selector and the toleration a GPU pod needs.

A convenience. The validating policy is the guarantee, so a mutation that fails is ignored (law 10) and the
pod is then told what to add.
"""

from __future__ import annotations

from gpupool.applier.policies.bindings import API, enforced_namespaces, probed_pods
from gpupool.applier.policies.expressions import exempt_conditions, governed, literal, requests
from gpupool.applier.policies.spec import PROBE_INJECT_LABEL, PoolPolicySpec, metadata, policy_name
from gpupool.model.marks import NODE_LABEL, TAINT

INJECT, INJECT_PROBE = "inject", "inject-probe"


def inject_policies(spec: PoolPolicySpec) -> list[dict[str, object]]:
    """The mutating policy and its bindings; none where mutation is not served or nothing is enforced.

    The second binding mutates one pod of the probe namespace, which proves that injection works before any
    namespace is judged: the two kinds of policy take effect at different moments after they are written.
    """
    if not (spec.mutate and (spec.enforce or spec.rehearse)):
        return []
    return [
        _policy(spec),
        *([_binding(spec, INJECT, enforced_namespaces(spec))] if spec.enforce else []),
        _binding(spec, INJECT_PROBE, probed_pods(spec, {PROBE_INJECT_LABEL: "true"})),
    ]


def _policy(spec: PoolPolicySpec) -> dict[str, object]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    asks = {
        "name": "asks-for-a-governed-gpu",
        "expression": requests("object.spec", governed(spec.resources)),
    }
    return {
        "apiVersion": API,
        "kind": "MutatingAdmissionPolicy",
        "metadata": metadata(spec, INJECT),
        "spec": {
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [*exempt_conditions(spec.break_glass_group), asks],
            "mutations": [
                {"patchType": "JSONPatch", "jsonPatch": {"expression": _selector_patch(spec)}},
                {"patchType": "JSONPatch", "jsonPatch": {"expression": _toleration_patch(spec)}},
            ],
        },
    }


def _selector_patch(spec: PoolPolicySpec) -> str:
    """Set our key of the node selector; other keys stay, another pool's value is replaced."""
    key = f'"/spec/nodeSelector/" + jsonpatch.escapeKey({literal(NODE_LABEL)})'
    empty = '[JSONPatch{op: "add", path: "/spec/nodeSelector", value: {}}]'
    return (
        f"(has(object.spec.nodeSelector) ? [] : {empty}) + "
        f'[JSONPatch{{op: "add", path: {key}, value: {literal(spec.pool)}}}]'
    )


def _toleration_patch(spec: PoolPolicySpec) -> str:
    """Append the pool's toleration unless it stands already."""
    key, pool = literal(TAINT), literal(spec.pool)
    entry = f'Object.spec.tolerations{{key: {key}, operator: "Equal", value: {pool}, effect: "NoSchedule"}}'
    # A toleration without an effect stands for every effect.
    effect = "t.?effect.orValue('NoSchedule') == 'NoSchedule'"
    own = f"t.?key.orValue('') == {key} && t.?value.orValue('') == {pool} && {effect}"
    empty = '[JSONPatch{op: "add", path: "/spec/tolerations", value: []}]'
    return (
        f"(has(object.spec.tolerations) ? [] : {empty}) + "
        f"(object.spec.?tolerations.orValue([]).exists(t, {own}) ? [] : "
        f'[JSONPatch{{op: "add", path: "/spec/tolerations/-", value: {entry}}}])'
    )


def _binding(spec: PoolPolicySpec, part: str, where: dict[str, object]) -> dict[str, object]:
    return {
        "apiVersion": API,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": metadata(spec, part),
        "spec": {"policyName": policy_name(spec.pool, INJECT), "matchResources": where},
    }

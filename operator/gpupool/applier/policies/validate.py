"""ValidatingAdmissionPolicies of a pool and their bindings.

One policy judges pods and is the guarantee (Deny, under Enforce). Its twin for Recommend leaves out what
mutation would repair, and warns. The other two warn about the pod templates of workloads, so that
`kubectl apply` tells a person what the pods would be told later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpupool.applier.policies import rules
from gpupool.applier.policies.bindings import (
    binding,
    enforced_namespaces,
    probe_binding,
    probed_pods,
    recommended_namespaces,
)
from gpupool.applier.policies.expressions import any_gpu, exempt_conditions, requests
from gpupool.applier.policies.frame import (
    NEW_TEMPLATE,
    PLACEMENT_CHANGED,
    POD_WRITES,
    SELECTOR,
    TEMPLATE_CHANGED,
    TEMPLATE_SPEC,
    TEMPLATE_WRITES,
    TERMS,
    policy,
)
from gpupool.applier.policies.spec import PoolPolicySpec, metadata, policy_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpupool.applier.policies.rules import Rule

PODS, PODS_RECOMMEND = "pods", "pods-recommend"
ENFORCE = "enforce"
TEMPLATES, TEMPLATES_RECOMMEND = "templates", "templates-recommend"

POD_VARIABLES = {
    "spec": "object.spec",
    "created": "request.operation == 'CREATE'",
    "allTolerations": "object.spec.?tolerations.orValue([])",
    "oldTolerations": "variables.created ? [] : oldObject.spec.?tolerations.orValue([])",
    "tolerations": "variables.allTolerations.filter(t, !(t in variables.oldTolerations))",
    "selector": f"object.spec.{SELECTOR}",
    "oldSelector": f"variables.created ? '' : oldObject.spec.{SELECTOR}",
    "oldTerms": f"variables.created ? [] : oldObject.spec.{TERMS}",
    "terms": f"object.spec.{TERMS}.filter(term, !(term in variables.oldTerms))",
}

# A template is judged whole and only when it changed, so there is no "before" to compare with.
TEMPLATE_VARIABLES = {
    "spec": TEMPLATE_SPEC,
    "created": "true",
    "allTolerations": "variables.spec.?tolerations.orValue([])",
    "tolerations": "variables.allTolerations",
    "selector": f"variables.spec.{SELECTOR}",
    "oldSelector": "''",
    "terms": f"variables.spec.{TERMS}",
}


def enforcing_binding(pool: str) -> str:
    """Name of the binding by which a pool's namespaces are judged."""
    return policy_name(pool, f"{PODS}-{ENFORCE}")


def pod_policies(spec: PoolPolicySpec) -> list[dict[str, object]]:
    """The policies that judge pods, with the bindings of the stages in use."""
    objects: list[dict[str, object]] = []
    if spec.enforce or spec.rehearse:
        kept = [*_common_rules(spec), rules.own_selector(spec)]
        objects.append(_pod_policy(spec, PODS, kept))
        if spec.enforce:
            objects.append(binding(spec, PODS, ENFORCE, ["Deny", "Audit"], enforced_namespaces(spec)))
        # Last: where a probe is denied, the API server has seen the binding before it too.
        objects.append(probe_binding(spec, PODS))
    if spec.recommended:
        objects += [
            _pod_policy(spec, PODS_RECOMMEND, _recommended_rules(spec)),
            binding(spec, PODS_RECOMMEND, "", ["Warn", "Audit"], recommended_namespaces(spec)),
            binding(spec, PODS_RECOMMEND, "probe", ["Warn", "Audit"], probed_pods(spec)),
        ]
    return objects


def template_policies(spec: PoolPolicySpec) -> list[dict[str, object]]:
    """The policies that warn about pod templates, with the bindings of the stages in use."""
    objects: list[dict[str, object]] = []
    if spec.enforce:
        placed = [rules.own_selector(spec), rules.own_toleration_present(spec)]
        if spec.mutate:
            placed = [_for_daemonsets(rule) for rule in placed]
        objects += [
            _template_policy(spec, TEMPLATES, [*_common_rules(spec), *placed]),
            binding(spec, TEMPLATES, "", ["Warn", "Audit"], enforced_namespaces(spec)),
        ]
    if spec.recommended:
        objects += [
            _template_policy(spec, TEMPLATES_RECOMMEND, _recommended_rules(spec)),
            binding(spec, TEMPLATES_RECOMMEND, "", ["Warn", "Audit"], recommended_namespaces(spec)),
        ]
    return objects


def _common_rules(spec: PoolPolicySpec) -> list[Rule]:
    """What no mutation repairs, the gravest first: the API server says the first one that fails."""
    return [
        rules.no_node_name(spec),
        rules.no_wildcard(spec),
        rules.own_toleration(spec),
        rules.governed_resources(spec),
        rules.own_affinity(spec),
        rules.known_priority(spec),
        *([rules.known_scheduler(spec)] if spec.schedulers else []),
    ]


def _recommended_rules(spec: PoolPolicySpec) -> list[Rule]:
    """What Enforce would deny after mutation; nobody is sent to a label that no node carries yet."""
    selector = [] if spec.mutate or not spec.nodes_labelled else [rules.own_selector(spec)]
    return [*_common_rules(spec), *selector]


def _for_daemonsets(rule: Rule) -> Rule:
    """Ask it of DaemonSets alone: their controller picks nodes by the template, before any mutation."""
    return {**rule, "expression": f"request.kind.kind != 'DaemonSet' || {rule['expression']}"}


def _pod_policy(spec: PoolPolicySpec, part: str, validations: Sequence[Rule]) -> dict[str, object]:
    asks = {"name": "asks-for-a-gpu", "expression": requests("object.spec", any_gpu(spec.resources))}
    return policy(
        metadata(spec, part),
        resource_rules=POD_WRITES,
        conditions=[*exempt_conditions(spec.break_glass_group), PLACEMENT_CHANGED, asks],
        variables=POD_VARIABLES,
        validations=validations,
    )


def _template_policy(spec: PoolPolicySpec, part: str, validations: Sequence[Rule]) -> dict[str, object]:
    asking = requests(f"{NEW_TEMPLATE}.value().spec", any_gpu(spec.resources))
    asks = {"name": "asks-for-a-gpu", "expression": f"{NEW_TEMPLATE}.hasValue() && {asking}"}
    return policy(
        metadata(spec, part),
        resource_rules=TEMPLATE_WRITES,
        conditions=[*exempt_conditions(spec.break_glass_group), *TEMPLATE_CHANGED, asks],
        variables=TEMPLATE_VARIABLES,
        validations=validations,
    )

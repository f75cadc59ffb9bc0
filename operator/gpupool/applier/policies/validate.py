"""ValidatingAdmissionPolicies of a pool and their bindings.

One policy judges pods and is the guarantee (Deny, under Enforce). Its twin for Recommend leaves out what
mutation would repair, and warns. The other two warn about the pod templates of workloads, so that
`kubectl apply` tells a person what the pods would be told later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpupool.applier.policies import rules
from gpupool.applier.policies.bindings import (
    API,
    binding,
    enforced_namespaces,
    probe_binding,
    recommended_namespaces,
)
from gpupool.applier.policies.expressions import any_gpu, exempt_conditions, literal, requests
from gpupool.applier.policies.spec import (
    NODE_LABEL,
    PoolPolicySpec,
    metadata,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpupool.applier.policies.rules import Rule

PODS, PODS_RECOMMEND = "pods", "pods-recommend"
TEMPLATES, TEMPLATES_RECOMMEND = "templates", "templates-recommend"

_SELECTOR = f"?nodeSelector[?{literal(NODE_LABEL)}].orValue('')"
_TERMS = (
    "?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution.?nodeSelectorTerms.orValue([])"
)
_FIELDS = ("tolerations", "nodeSelector", "affinity")

POD_VARIABLES = {
    "spec": "object.spec",
    "created": "request.operation == 'CREATE'",
    "allTolerations": "object.spec.?tolerations.orValue([])",
    "oldTolerations": "variables.created ? [] : oldObject.spec.?tolerations.orValue([])",
    "tolerations": "variables.allTolerations.filter(t, !(t in variables.oldTolerations))",
    "selector": f"object.spec.{_SELECTOR}",
    "oldSelector": f"variables.created ? '' : oldObject.spec.{_SELECTOR}",
    "oldTerms": f"variables.created ? [] : oldObject.spec.{_TERMS}",
    "terms": f"object.spec.{_TERMS}.filter(term, !(term in variables.oldTerms))",
}

# A template is judged whole and only when it changed, so there is no "before" to compare with.
# `dyn` because the policy reads seven kinds, whose types differ.
TEMPLATE_VARIABLES = {
    "spec": "request.kind.kind == 'CronJob' ? dyn(object).spec.jobTemplate.spec.template.spec"
    " : dyn(object).spec.template.spec",
    "created": "true",
    "allTolerations": "variables.spec.?tolerations.orValue([])",
    "tolerations": "variables.allTolerations",
    "selector": f"variables.spec.{_SELECTOR}",
    "oldSelector": "''",
    "terms": f"variables.spec.{_TERMS}",
}

_POD_RULES = [
    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods"]}
]
_TEMPLATE_RULES = [
    {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": kinds}
    for group, kinds in (
        ("apps", ["deployments", "replicasets", "statefulsets", "daemonsets"]),
        ("batch", ["jobs", "cronjobs"]),
        ("", ["replicationcontrollers"]),
    )
]


def pod_policies(spec: PoolPolicySpec) -> list[dict[str, object]]:
    """The policies that judge pods, with the bindings of the stages in use."""
    objects: list[dict[str, object]] = []
    if spec.enforce:
        kept = [*_common_rules(spec), rules.own_selector(spec)]
        objects += [
            _pod_policy(spec, PODS, kept),
            binding(spec, PODS, "enforce", ["Deny", "Audit"], enforced_namespaces(spec)),
            probe_binding(spec, PODS),
        ]
    if spec.recommended:
        objects += [
            _pod_policy(spec, PODS_RECOMMEND, _recommended_rules(spec)),
            binding(spec, PODS_RECOMMEND, "", ["Warn", "Audit"], recommended_namespaces(spec)),
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
    ]


def _recommended_rules(spec: PoolPolicySpec) -> list[Rule]:
    """What Enforce would deny after mutation; nobody is sent to a label that no node carries yet."""
    selector = [] if spec.mutate or not spec.nodes_labelled else [rules.own_selector(spec)]
    return [*_common_rules(spec), *selector]


def _for_daemonsets(rule: Rule) -> Rule:
    """Ask it of DaemonSets alone: their controller picks nodes by the template, before any mutation."""
    return {**rule, "expression": f"request.kind.kind != 'DaemonSet' || {rule['expression']}"}


def _pod_policy(spec: PoolPolicySpec, part: str, validations: Sequence[Rule]) -> dict[str, object]:
    changed = " || ".join(f"object.spec.?{f} != oldObject.spec.?{f}" for f in _FIELDS)
    # An update that leaves placement alone passes: Jobs lose their tracking finalizers, old pods get deleted.
    conditions = [
        {"name": "placement-changed", "expression": f"request.operation == 'CREATE' || {changed}"},
        {"name": "asks-for-a-gpu", "expression": requests("object.spec", any_gpu(spec))},
    ]
    return _policy(
        spec,
        part,
        resource_rules=_POD_RULES,
        conditions=conditions,
        variables=POD_VARIABLES,
        validations=validations,
    )


def _template_policy(spec: PoolPolicySpec, part: str, validations: Sequence[Rule]) -> dict[str, object]:
    new, old = _template("object"), _template("oldObject")
    owners = "dyn(object).metadata.?ownerReferences.orValue([])"
    conditions = [
        # What a controller made from a template (a Deployment's ReplicaSet) was judged there.
        {"name": "written-by-a-person", "expression": f"!{owners}.exists(o, o.?controller.orValue(false))"},
        {"name": "template-changed", "expression": f"request.operation == 'CREATE' || {new} != {old}"},
        {
            "name": "asks-for-a-gpu",
            "expression": f"{new}.hasValue() && {requests(f'{new}.value().spec', any_gpu(spec))}",
        },
    ]
    return _policy(
        spec,
        part,
        resource_rules=_TEMPLATE_RULES,
        conditions=conditions,
        variables=TEMPLATE_VARIABLES,
        validations=validations,
    )


def _template(obj: str) -> str:
    """CEL path of the pod template of `obj`, as an optional value: a ReplicationController may have none."""
    inside = f"dyn({obj}).spec.jobTemplate.spec.?template"
    return f"(request.kind.kind == 'CronJob' ? {inside} : dyn({obj}).spec.?template)"


def _policy(
    spec: PoolPolicySpec,
    part: str,
    *,
    resource_rules: Sequence[Mapping[str, object]],
    conditions: Sequence[Mapping[str, str]],
    variables: Mapping[str, str],
    validations: Sequence[Rule],
) -> dict[str, object]:
    return {
        "apiVersion": API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata(spec, part),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [dict(r) for r in resource_rules]},
            "matchConditions": [*exempt_conditions(spec), *(dict(c) for c in conditions)],
            "variables": [{"name": n, "expression": e} for n, e in variables.items()],
            "validations": [dict(v) for v in validations],
        },
    }

"""The frame every validating policy has: what it looks at, when, and how it is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpupool.applier.policies.bindings import API
from gpupool.applier.policies.expressions import literal
from gpupool.model.marks import NODE_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Paths below a pod spec, as optional CEL values.
SELECTOR = f"?nodeSelector[?{literal(NODE_LABEL)}].orValue('')"
TERMS = (
    "?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution.?nodeSelectorTerms.orValue([])"
)

# An update that leaves placement alone passes: Jobs lose their tracking finalizers, old pods get deleted.
_FIELDS = ("tolerations", "nodeSelector", "affinity")
_CHANGED = " || ".join(f"object.spec.?{f} != oldObject.spec.?{f}" for f in _FIELDS)
PLACEMENT_CHANGED = {
    "name": "placement-changed",
    "expression": f"request.operation == 'CREATE' || {_CHANGED}",
}


def _template(obj: str) -> str:
    """CEL path of the pod template of `obj`, as an optional value: a ReplicationController may have none.

    `dyn` because a policy reads seven kinds, whose types differ.
    """
    inside = f"dyn({obj}).spec.jobTemplate.spec.?template"
    return f"(request.kind.kind == 'CronJob' ? {inside} : dyn({obj}).spec.?template)"


NEW_TEMPLATE = _template("object")
TEMPLATE_SPEC = (
    "request.kind.kind == 'CronJob' ? dyn(object).spec.jobTemplate.spec.template.spec"
    " : dyn(object).spec.template.spec"
)
_OWNERS = "dyn(object).metadata.?ownerReferences.orValue([])"
TEMPLATE_CHANGED = (
    # What a controller made from a template (a Deployment's ReplicaSet) was judged there.
    {"name": "written-by-a-person", "expression": f"!{_OWNERS}.exists(o, o.?controller.orValue(false))"},
    {
        "name": "template-changed",
        "expression": f"request.operation == 'CREATE' || {NEW_TEMPLATE} != {_template('oldObject')}",
    },
)


def writes(group: str, resources: Sequence[str], operations: Sequence[str] = ("CREATE", "UPDATE")) -> Json:
    """A resource rule: these writes of these kinds."""
    kinds = {"apiGroups": [group], "apiVersions": ["v1"], "resources": list(resources)}
    return {**kinds, "operations": list(operations)}


Json = dict[str, object]
POD_WRITES = (writes("", ["pods"]),)
TEMPLATE_WRITES = (
    writes("apps", ["deployments", "replicasets", "statefulsets", "daemonsets"]),
    writes("batch", ["jobs", "cronjobs"]),
    writes("", ["replicationcontrollers"]),
)


def policy(
    metadata: Mapping[str, object],
    *,
    resource_rules: Sequence[Mapping[str, object]],
    conditions: Sequence[Mapping[str, str]],
    variables: Mapping[str, str],
    validations: Sequence[Mapping[str, str]],
) -> Json:
    """A ValidatingAdmissionPolicy."""
    return {
        "apiVersion": API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": dict(metadata),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [dict(r) for r in resource_rules]},
            "matchConditions": [dict(c) for c in conditions],
            "variables": [{"name": n, "expression": e} for n, e in variables.items()],
            "validations": [dict(v) for v in validations],
        },
    }

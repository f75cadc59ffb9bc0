"""The rules a GPU pod of a pool keeps; the same text judges pods and warns about pod templates.

Each expression reads these CEL variables (dynamic types, never null):
    spec          the pod spec
    created       bool, nothing of the pod existed before
    tolerations   list, the tolerations that were not there before
    selector      string, the node selector's value for the node label, '' if absent
    oldSelector   string, the same before the change
    terms         list, the required node affinity terms that were not there before
"""

from __future__ import annotations

from gpupool.applier.policies.expressions import (
    any_gpu,
    containers,
    governed,
    literal,
    literals,
    two_lines,
)
from gpupool.applier.policies.spec import PoolPolicySpec
from gpupool.model.marks import NODE_LABEL, TAINT

Rule = dict[str, str]


def rule(expression: str, message: str, detail: str) -> Rule:
    """A validation that denies with 403.

    Args:
        expression: CEL, true if the pod keeps the rule.
        message: said if `detail` cannot be evaluated.
        detail: CEL string that names the field, its value and the fix.
    """
    return {"expression": expression, "message": message, "messageExpression": detail, "reason": "Forbidden"}


def no_node_name(spec: PoolPolicySpec) -> Rule:
    """The scheduler places GPU pods: `nodeName` would ignore taints and selectors."""
    say = f"GPU pods of pool {spec.pool} are placed by the scheduler; remove spec.nodeName"
    return rule(
        "!variables.created || variables.spec.?nodeName.orValue('') == ''",
        f"spec.nodeName is set: {say}",
        f"'spec.nodeName is \"' + variables.spec.nodeName + '\": ' + {literal(say)}",
    )


def no_wildcard(spec: PoolPolicySpec) -> Rule:
    """An empty key tolerates every taint, other pools' included."""
    say = (
        "spec.tolerations has an entry without a key, which tolerates every taint: "
        f"name the keys; a pod of pool {spec.pool} needs only key {TAINT} with value {spec.pool}"
    )
    return rule("variables.tolerations.all(t, t.?key.orValue('') != '')", say, literal(say))


def own_toleration(spec: PoolPolicySpec) -> Rule:
    """Our taint key may be tolerated only with the pool's own value."""
    pool = literal(spec.pool)
    own = f"t.?operator.orValue('') in ['', 'Equal'] && t.?value.orValue('') == {pool}"
    foreign = f"t.?key.orValue('') == {literal(TAINT)} && !({own})"
    fix = f"; namespaces of pool {spec.pool} tolerate it with operator Equal and value {spec.pool} only"
    found = f"variables.tolerations.filter(t, {foreign})[0]"
    return rule(
        f"!variables.tolerations.exists(t, {foreign})",
        f"spec.tolerations has another value for key {TAINT}{fix}",
        f"'spec.tolerations has key {TAINT} with operator ' + {found}.?operator.orValue('Equal') + "
        f"' and value \"' + {found}.?value.orValue('') + '\"' + {literal(fix)}",
    )


def own_selector(spec: PoolPolicySpec) -> Rule:
    """The pod selects the pool's nodes. A pod that predates the policy keeps what it had."""
    pool = literal(spec.pool)
    add = literal(
        f": GPU pods of this namespace run only on nodes of pool {spec.pool}; set {two_lines(spec.pool)}"
    )
    kept = "!variables.created && variables.selector == variables.oldSelector"
    return rule(
        f"variables.selector == {pool} || ({kept})",
        f"spec.nodeSelector does not select pool {spec.pool}; set {two_lines(spec.pool)}",
        f"'spec.nodeSelector[\"{NODE_LABEL}\"] is ' + "
        f"(variables.selector == '' ? 'missing' : '\"' + variables.selector + '\"') + {add}",
    )


def own_affinity(spec: PoolPolicySpec) -> Rule:
    """Required node affinity may name our label only in a way that admits the pool."""
    listed = f"{literal(spec.pool)} in e.?values.orValue([])"
    asked = f"e.operator == 'Exists' || (e.operator == 'In' && {listed})"
    admits = f"{asked} || (e.operator == 'NotIn' && !({listed}))"
    say = (
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution excludes "
        f"{NODE_LABEL}={spec.pool}: remove that expression, the node selector places pods of pool {spec.pool}"
    )
    return rule(
        "variables.terms.all(term, term.?matchExpressions.orValue([]).all(e, "
        f"e.key != {literal(NODE_LABEL)} || {admits}))",
        say,
        literal(say),
    )


def governed_resources(spec: PoolPolicySpec) -> Rule:
    """A GPU is asked for under a name that the pool's quota counts."""
    names = " + ".join(f"c.?resources.?{part}.orValue({{}}).map(r, r)" for part in ("limits", "requests"))
    stray = f"({any_gpu(spec.resources)}) && !({governed(spec.resources)})"
    use = f", which pool {spec.pool} does not govern: ask for {' or '.join(spec.resources)}"
    found = f"{containers('variables.spec')}.filter(c, ({names}).exists(r, {stray}))[0]"
    return rule(
        f"!variables.created || {containers('variables.spec')}.all(c, !({names}).exists(r, {stray}))",
        f"a container asks for a GPU resource that pool {spec.pool} does not govern",
        f"'container \"' + {found}.name + '\" asks for ' + "
        f"({names.replace('c.', f'{found}.')}).filter(r, {stray})[0] + {literal(use)}",
    )


def known_scheduler(spec: PoolPolicySpec) -> Rule:
    """Another scheduler knows nothing of the pool's taint, and may preempt by rules of its own."""
    say = f"pods of pool {spec.pool} may name {' or '.join(spec.schedulers)} (spec.isolation.schedulerNames)"
    name = "variables.spec.?schedulerName.orValue('')"
    return rule(
        f"!variables.created || {name} in {literals(['', *spec.schedulers])}",
        f"spec.schedulerName is not allowed: {say}",
        f"'spec.schedulerName is \"' + {name} + '\": ' + {literal(say)}",
    )


def known_priority(spec: PoolPolicySpec) -> Rule:
    """A higher priority preempts the pods of others, whatever they were granted."""
    name = "variables.spec.?priorityClassName.orValue('')"
    allowed = f"{name} in {literals(['', *spec.priority_classes])}"
    say = f"pods of pool {spec.pool} may name {' or '.join(spec.priority_classes)}"
    if not spec.priority_classes:
        allowed = f"!{name}.startsWith('system-')"
        say = f"pods of pool {spec.pool} may not name a PriorityClass of the system"
    say += " (spec.isolation.priorityClassNames)"
    return rule(
        f"!variables.created || {allowed}",
        f"spec.priorityClassName is not allowed: {say}",
        f"'spec.priorityClassName is \"' + {name} + '\": ' + {literal(say)}",
    )


def own_toleration_present(spec: PoolPolicySpec) -> Rule:
    """Advice for templates: without the toleration the pods stay Pending on tainted nodes."""
    own = f"t.?key.orValue('') == {literal(TAINT)}"
    say = (
        f"spec.tolerations does not tolerate the taint of pool {spec.pool}, the pods may stay Pending; "
        f"set {two_lines(spec.pool)}"
    )
    return rule(f"variables.allTolerations.exists(t, {own})", say, literal(say))

"""The rules for pods outside the pools' own policies; the same text judges pods and warns about templates.

CEL variables (dynamic types, never null):
    spec          the pod spec
    created       bool, nothing of the pod existed before
    label         string, the pool that the namespace's label names, '' if none
    home          string, the pool the namespace belongs to, by label or by a share that is not enforced yet
    governed      list, resources of that pool
    own           bool, the pod asks for one of them
    passes        bool, these rules do not look at it: its pool's policy does, or a DaemonSet made it
    may           bool, the pod may name the pool of its namespace
    tolerations   list, those that were not there before
    selector      string, the node selector's value for our label where it was not there before, '' if none
    terms         list, node affinity terms, required or preferred, that were not there before
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpupool.applier.policies.expressions import any_gpu, containers, literal, literals, requests
from gpupool.applier.policies.frame import SELECTOR, TEMPLATE_SPEC, TERMS
from gpupool.applier.policies.rules import Rule, rule
from gpupool.applier.policies.spec import PROBE_LABEL
from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpupool.model.outsiders import SetOutsiders

_PREFERRED = (
    "?affinity.?nodeAffinity.?preferredDuringSchedulingIgnoredDuringExecution.orValue([])"
    ".map(p, p.preference)"
)
_EXEMPT = "or list the namespace in the chart value exemptNamespaces"
_DAEMONSETS = "system:serviceaccount:kube-system:daemon-set-controller"
_CONTROLLERS = "system:kube-controller-manager"  # where the controllers share one identity
DEVICES_ENV = "NVIDIA_VISIBLE_DEVICES"


def _map(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{literal(k)}: {v}" for k, v in pairs) + "}"


def _belonging(asked: SetOutsiders, probe_namespace: str) -> dict[str, str]:
    """Which pool the object's namespace belongs to. In the probe namespace a pod says whose it plays."""
    played = f"object.metadata.?labels[?{literal(PROBE_LABEL)}].orValue('')"
    marked = f"namespaceObject.metadata.?labels[?{literal(POOL_LABEL)}].orValue('')"
    homes = _map((n, literal(p)) for n, p in sorted(asked.homes.items()))
    resources = _map((p.name, literals(p.resources)) for p in asked.pools)
    return {
        "label": f"namespaceObject.metadata.name == {literal(probe_namespace)} ? {played} : {marked}",
        "homes": homes if asked.homes else "{'': ''}",
        "home": "variables.label != '' ? variables.label"
        " : variables.homes[?namespaceObject.metadata.name].orValue('')",
        "resources": resources,
        "governed": "variables.resources[?variables.home].orValue([])",
        "own": requests("variables.spec", "r in variables.governed"),
    }


def _passing(daemon: str, counting: Iterable[str]) -> dict[str, str]:
    # DaemonSets bring drivers and telemetry; they may tolerate what they want, and may not hold GPUs.
    harmless = (
        f"variables.spec.?nodeName.orValue('') == '' && !{requests('variables.spec', _foreign(counting))}"
    )
    return {
        "daemon": f"({daemon}) && {harmless}",
        # The label is there only where the pool's own policy is bound.
        "passes": "variables.daemon || (variables.label != '' && variables.own)",
    }


def _foreign(counting: Iterable[str]) -> str:
    return f"r in {literals(counting)}"


def _may(asked: SetOutsiders) -> dict[str, str]:
    allowing = literals(p.name for p in asked.pools if p.cpu_pods)
    return {"may": f"variables.own || (variables.home != '' && variables.home in {allowing})"}


def pod_variables(asked: SetOutsiders, probe_namespace: str) -> dict[str, str]:
    """Of a pod that is created, or whose placement changes."""
    user = "request.userInfo.username"
    owners = "object.metadata.?ownerReferences.orValue([])"
    made = f"{owners}.exists(o, o.kind == 'DaemonSet' && o.?controller.orValue(false))"
    daemon = f"{user} == {literal(_DAEMONSETS)} || ({user} == {literal(_CONTROLLERS)} && {made})"
    old = f"oldObject.spec.{SELECTOR}"
    return {
        "spec": "object.spec",
        "created": "request.operation == 'CREATE'",
        **_belonging(asked, probe_namespace),
        **_passing(daemon, asked.counting),
        **_may(asked),
        "oldTolerations": "variables.created ? [] : oldObject.spec.?tolerations.orValue([])",
        "tolerations": "object.spec.?tolerations.orValue([]).filter(t, !(t in variables.oldTolerations))",
        "wanted": f"object.spec.{SELECTOR}",
        "selector": f"!variables.created && variables.wanted == {old} ? '' : variables.wanted",
        "oldTerms": f"variables.created ? [] : oldObject.spec.{TERMS} + oldObject.spec.{_PREFERRED}",
        "terms": f"(object.spec.{TERMS} + object.spec.{_PREFERRED}).filter(t, !(t in variables.oldTerms))",
    }


def template_variables(asked: SetOutsiders, probe_namespace: str) -> dict[str, str]:
    """Of a pod template, which is judged whole; a ReplicationController may have none."""
    none = "request.kind.kind != 'CronJob' && !dyn(object).spec.?template.hasValue()"
    return {
        "spec": f"{none} ? dyn({{'containers': []}}) : ({TEMPLATE_SPEC})",
        "created": "true",
        **_belonging(asked, probe_namespace),
        **_passing("request.kind.kind == 'DaemonSet'", asked.counting),
        **_may(asked),
        "tolerations": "variables.spec.?tolerations.orValue([])",
        "selector": f"variables.spec.{SELECTOR}",
        "terms": f"variables.spec.{TERMS} + variables.spec.{_PREFERRED}",
    }


def device_variables(asked: SetOutsiders, probe_namespace: str) -> dict[str, str]:
    """Of a pod that is created, or gets an ephemeral container."""
    every = sorted({r for p in asked.pools for r in p.resources})
    added = (
        "object.spec.?ephemeralContainers.orValue([])"
        ".filter(c, !oldObject.spec.?ephemeralContainers.orValue([]).exists(o, o.name == c.name))"
    )
    belonging = _belonging(asked, probe_namespace)
    return {
        "spec": "object.spec",
        "created": "request.operation == 'CREATE'",
        **{name: belonging[name] for name in ("label", "resources")},
        "judged": "variables.label in variables.resources",
        "asks": requests("object.spec", any_gpu(every)),
        # Where a pod asks for GPUs the device plugin sets it; an ephemeral container asks for none.
        "reaching": f"variables.created ? (variables.asks ? [] : {containers('object.spec')}"
        f".filter(c, {_reaches()}).map(c, c.name)) : {added}.filter(c, {_reaches()}).map(c, c.name)",
    }


def _reaches() -> str:
    """Whether container `c` is given devices by the variable; a value from elsewhere cannot be seen."""
    harmless = "e.?value.orValue('') in ['', 'void', 'none'] && !has(e.valueFrom)"
    return f"c.?env.orValue([]).exists(e, e.name == {literal(DEVICES_ENV)} && !({harmless}))"


def devices() -> list[Rule]:
    """Without asking for a GPU a pod of a pool's namespace gets none, whatever the node's runtime offers."""
    say = f"env {DEVICES_ENV} gives a container GPUs that nobody granted: ask for GPUs, or set it to void"
    return [
        rule(
            "!variables.judged || variables.reaching.size() == 0",
            say,
            f"'container \"' + variables.reaching[0] + '\": ' + {literal(say)}",
        )
    ]


def placement(asked: SetOutsiders) -> list[Rule]:
    """The gravest first: the API server says the first one that fails."""
    return [
        _no_node_name(),
        _no_wildcard(),
        _no_pool_taint(),
        _no_pool_nodes(),
        _no_pool_terms(),
        _no_pool_gpus(asked),
    ]


def _unless_passing(expression: str, message: str, detail: str = "") -> Rule:
    return rule(f"variables.passes || ({expression})", message, detail or literal(message))


def _no_node_name() -> Rule:
    say = f"the scheduler places pods, nodeName ignores GPU pools' taints; remove spec.nodeName, {_EXEMPT}"
    return _unless_passing(
        "!variables.created || variables.spec.?nodeName.orValue('') == ''",
        f"spec.nodeName is set: {say}",
        f"'spec.nodeName is \"' + variables.spec.nodeName + '\": ' + {literal(say)}",
    )


def _no_wildcard() -> Rule:
    # Other effects than NoSchedule open no pool.
    opens = "t.?key.orValue('') == '' && t.?effect.orValue('') in ['', 'NoSchedule']"
    return _unless_passing(
        f"!variables.tolerations.exists(t, {opens})",
        "spec.tolerations has an entry without a key, which tolerates the taint of every GPU pool: "
        f"name the keys, {_EXEMPT}",
    )


def _no_pool_taint() -> Rule:
    own = "t.?operator.orValue('') in ['', 'Equal'] && t.?value.orValue('') == variables.home"
    return _unless_passing(
        f"!variables.tolerations.exists(t, t.?key.orValue('') == {literal(TAINT)} "
        f"&& !(variables.may && {own}))",
        f"spec.tolerations has key {TAINT}, which is for GPU pods of a pool's own namespaces: "
        f"remove it, ask for a GPU, {_EXEMPT}",
    )


def _no_pool_nodes() -> Rule:
    return _unless_passing(
        "variables.selector == '' || (variables.may && variables.selector == variables.home)",
        f"spec.nodeSelector has key {NODE_LABEL}, which is for GPU pods of a pool's own namespaces: "
        f"remove it, ask for a GPU, {_EXEMPT}",
    )


def _no_pool_terms() -> Rule:
    away = "e.operator in ['NotIn', 'DoesNotExist']"
    own = "variables.may && e.operator == 'In' && e.?values.orValue([]).all(v, v == variables.home)"
    return _unless_passing(
        "variables.terms.all(term, term.?matchExpressions.orValue([]).all(e, "
        f"e.key != {literal(NODE_LABEL)} || {away} || ({own})))",
        f"spec.affinity.nodeAffinity names {NODE_LABEL}, which is for GPU pods of a pool's own namespaces: "
        f"remove it, ask for a GPU, {_EXEMPT}",
    )


def _no_pool_gpus(asked: SetOutsiders) -> Rule:
    counting = asked.counting
    stray = f"{_foreign(counting)} && !(r in variables.governed)"
    names = " and ".join(p.name for p in asked.pools if p.counts)
    # A namespace of a share that is not enforced keeps its GPUs.
    kept = "variables.home != '' && variables.label == ''"
    return _unless_passing(
        f"!variables.created || ({kept}) || !{requests('variables.spec', stray)}",
        f"GPUs under the names {', '.join(counting)} are given by pool {names}, "
        f"and no share of it lists this namespace: ask for one, {_EXEMPT}",
    )

"""Policies for the whole cluster: nobody walks into a pool from outside, nobody takes devices unasked.

They know every pool. What a pool's own policy judges (GPU pods of its namespaces) they leave to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpupool.applier.policies import outsider_rules as rules
from gpupool.applier.policies.bindings import API
from gpupool.applier.policies.expressions import exempt_conditions
from gpupool.applier.policies.frame import (
    PLACEMENT_CHANGED,
    POD_WRITES,
    TEMPLATE_CHANGED,
    TEMPLATE_WRITES,
    policy,
    writes,
)
from gpupool.applier.policies.spec import NAME_LABEL, PROBE_LABEL, owner_reference
from gpupool.model.marks import MANAGED, POOL_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpupool.model.outsiders import SetOutsiders

Json = dict[str, object]

PODS, TEMPLATES, DEVICES = "gpupool-outsiders", "gpupool-outsiders-at-apply", "gpupool-devices"
NO_POOL = ""
"""The value of the pool label that these objects carry: they belong to no pool."""


@dataclass(frozen=True, slots=True)
class OutsiderSpec:
    """All that these policies are made of. `exempt_namespaces` gain kube-system, whatever is configured."""

    asked: SetOutsiders
    exempt_namespaces: tuple[str, ...] = ()
    break_glass_group: str = ""
    probe_namespace: str = "gpupool-probe"

    @property
    def exempt(self) -> tuple[str, ...]:
        """Namespaces no policy looks at, sorted."""
        return tuple(sorted({*self.exempt_namespaces, "kube-system"}))


def outsider_policies(spec: OutsiderSpec) -> list[Json]:
    """All objects, policies before their bindings; the server collects them with the last pool."""
    actions = ["Deny", "Audit"] if spec.asked.deny else ["Warn", "Audit"]
    return [
        _policy(
            spec,
            PODS,
            resource_rules=POD_WRITES,
            conditions=[PLACEMENT_CHANGED],
            variables=rules.pod_variables(spec.asked, spec.probe_namespace),
            validations=rules.placement(spec.asked),
        ),
        _policy(
            spec,
            DEVICES,
            resource_rules=[writes("", ["pods"], ["CREATE"]), writes("", ["pods/ephemeralcontainers"])],
            conditions=[],
            variables=rules.device_variables(spec.asked, spec.probe_namespace),
            validations=rules.devices(),
        ),
        _policy(
            spec,
            TEMPLATES,
            resource_rules=TEMPLATE_WRITES,
            conditions=TEMPLATE_CHANGED,
            variables=rules.template_variables(spec.asked, spec.probe_namespace),
            validations=rules.placement(spec.asked),
        ),
        _binding(spec, PODS, "", actions, _everywhere(spec)),
        _binding(spec, DEVICES, "", actions, _everywhere(spec)),
        _binding(spec, TEMPLATES, "", ["Warn", "Audit"], _everywhere(spec)),
        _binding(spec, PODS, "probe", ["Deny"], _probes(spec)),
        _binding(spec, DEVICES, "probe", ["Deny"], _probes(spec)),
    ]


def _everywhere(spec: OutsiderSpec) -> Json:
    selects = {"key": NAME_LABEL, "operator": "NotIn", "values": list(spec.exempt)}
    return {"namespaceSelector": {"matchExpressions": [selects]}}


def _probes(spec: OutsiderSpec) -> Json:
    """The operator's own attempts, which are denied also where everybody else is only warned."""
    selects = {"key": NAME_LABEL, "operator": "In", "values": [spec.probe_namespace]}
    marked = {"key": PROBE_LABEL, "operator": "Exists"}
    return {
        "namespaceSelector": {"matchExpressions": [selects]},
        "objectSelector": {"matchExpressions": [marked]},
    }


def _metadata(spec: OutsiderSpec, name: str) -> Json:
    owners = [owner_reference(p.name, p.uid) for p in spec.asked.pools if p.counts]
    return {"name": name, "labels": {**MANAGED, POOL_LABEL: NO_POOL}, "ownerReferences": owners}


def _policy(
    spec: OutsiderSpec,
    name: str,
    *,
    resource_rules: Sequence[Mapping[str, object]],
    conditions: Sequence[Mapping[str, str]],
    variables: Mapping[str, str],
    validations: Sequence[Mapping[str, str]],
) -> Json:
    return policy(
        _metadata(spec, name),
        resource_rules=resource_rules,
        conditions=[*exempt_conditions(spec.break_glass_group), *conditions],
        variables=variables,
        validations=validations,
    )


def _binding(
    spec: OutsiderSpec, name: str, suffix: str, actions: Sequence[str], resources: Mapping[str, object]
) -> Json:
    return {
        "apiVersion": API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": _metadata(spec, f"{name}-{suffix}" if suffix else name),
        "spec": {
            "policyName": name,
            "validationActions": list(actions),
            "matchResources": dict(resources),
        },
    }

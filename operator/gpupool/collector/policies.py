"""Admission policies of ours and their bindings: what the operator writes, and the guards of the chart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpupool.kube import resources as kinds
from gpupool.kube.resources import Json
from gpupool.model.chartguards import ChartGuards, GuardBinding
from gpupool.model.marks import POOL_LABEL, managed


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """One of our policy objects as it stands; the chart's carry no pool, bindings name their policy."""

    kind: str
    name: str
    pool: str | None
    version: str
    denies: bool = False
    policy: str = ""


def policy_facts(kind: str) -> Callable[[Json], PolicyFacts]:
    """How an object of one kind of policies or bindings is read."""

    def project(raw: Json) -> PolicyFacts:
        meta, spec = raw["metadata"], raw.get("spec", {})
        labels = meta.get("labels", {})
        return PolicyFacts(
            kind=kind,
            name=meta["name"],
            pool=labels.get(POOL_LABEL) if managed(labels) else None,
            version=meta["resourceVersion"],
            denies="Deny" in spec.get("validationActions", ()),
            policy=spec.get("policyName", ""),
        )

    return project


def chart_guards(installed: tuple[str, ...], facts: Iterable[PolicyFacts]) -> ChartGuards:
    """What stands of the guards that the chart installs.

    Args:
        installed: names of their bindings.
        facts: all policy objects of ours.
    """
    found = [f for f in facts if f.pool is None]
    return ChartGuards(
        installed=installed,
        policies=frozenset(f.name for f in found if f.kind == kinds.VALIDATING_POLICIES.kind),
        bindings={
            f.name: GuardBinding(f.policy, f.denies)
            for f in found
            if f.kind == kinds.VALIDATING_BINDINGS.kind
        },
    )

"""Admission policies of a pool as plain objects: pure builders, nothing here talks to a cluster."""

from __future__ import annotations

from gpupool.applier.policies.mutate import inject_policies
from gpupool.applier.policies.probe import ProbePod, probe_pods
from gpupool.applier.policies.spec import PoolPolicySpec
from gpupool.applier.policies.validate import enforcing_binding, pod_policies, template_policies

__all__ = [
    "PoolPolicySpec",
    "ProbePod",
    "enforcing_binding",
    "pool_policies",
    "probe_pods",
]


def pool_policies(spec: PoolPolicySpec) -> list[dict[str, object]]:
    """All admission objects of the pool, policies before their bindings; empty when only observed.

    Same spec, same objects, byte for byte. An object that is no longer in the list is to be deleted.
    """
    return [*pod_policies(spec), *template_policies(spec), *inject_policies(spec)]

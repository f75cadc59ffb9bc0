"""What the API server's answers to rehearsed pods say of our policies.

The server has no machine-readable cause for them; the names of the policies in its sentences are ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from gpupool.applier.policies import outsider_policies
from gpupool.applier.policies.spec import PoolPolicySpec, policy_name
from gpupool.applier.policies.validate import PODS, PODS_RECOMMEND

LATER = ("admission webhook ", "exceeded quota: ", "failed quota: ")
"""Refusals of plugins that are asked only when all policies have let a pod in."""
LONGEST = 500


OUTSIDERS = (outsider_policies.PODS, outsider_policies.DEVICES)
"""The policies that judge every pod, also those of a pool's namespaces."""


def refusal(policies: Iterable[str], message: str) -> str | None:
    """What a 403 says for one of the policies: its sentence, empty if all let the pod in, None if unknown."""
    if any(f"ValidatingAdmissionPolicy '{name}'" in message for name in policies):
        return message.partition(" denied request: ")[2][:LONGEST] or message[:LONGEST]
    return "" if any(sign in message for sign in LATER) else None


def denying(pool: str) -> tuple[str, ...]:
    """Names of the policies that may refuse a pod of a pool's namespaces."""
    return (policy_name(pool, PODS), *OUTSIDERS)


def warning(spec: PoolPolicySpec, text: str) -> str:
    """What a Warning header says for the pool's policy of Recommend; empty where another one speaks."""
    sign = f"ValidatingAdmissionPolicy '{policy_name(spec.pool, PODS_RECOMMEND)}'"
    _, found, rest = text.replace('\\"', '"').partition(sign)
    return rest.partition(": ")[2].removesuffix('"')[:LONGEST] if found else ""

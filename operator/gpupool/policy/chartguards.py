"""Which guards of the chart are open. Helm owns them: they are looked at and told, and never written."""

from __future__ import annotations

from gpupool.model.chartguards import ChartGuards

PROBE = "-probe"
"""Ending of a guard's second binding, by which it can be tried in the probe namespace."""


def opened(guards: ChartGuards) -> tuple[str, ...]:
    """Guards that do not stand as the chart installs them, each with what is wrong."""
    found = ((name, _wrong(guards, name)) for name in guards.installed)
    return tuple(f"{name} ({wrong})" for name, wrong in found if wrong)


def _wrong(guards: ChartGuards, name: str) -> str:
    binding = guards.bindings.get(name)
    if binding is None:
        return "its binding is missing"
    if not binding.denies:
        return "its binding does not deny"
    if name not in {binding.policy, f"{binding.policy}{PROBE}"}:
        return f"its binding names policy {binding.policy}"
    return "" if binding.policy in guards.policies else "its policy is missing"

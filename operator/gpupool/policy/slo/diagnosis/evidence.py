"""Signals against their limits, as evidence that can be shown."""

from __future__ import annotations

from gpupool.model.diagnosis import Evidence
from gpupool.policy.slo.diagnosis.thresholds import Limit

Found = tuple[Evidence, ...]
"""Signals that agree; empty where they do not."""


def over(signal: str, value: float | None, limit: Limit | float) -> Evidence | None:
    """A signal above its limit; None where it is not, or not known."""
    bound = limit.value if isinstance(limit, Limit) else limit
    return Evidence(signal, value, f"> {bound:g}") if value is not None and value > bound else None


def under(signal: str, value: float | None, limit: Limit | float) -> Evidence | None:
    """A signal below its limit; None where it is not, or not known."""
    bound = limit.value if isinstance(limit, Limit) else limit
    return Evidence(signal, value, f"< {bound:g}") if value is not None and value < bound else None


def agreeing(*signals: Evidence | None) -> Found:
    """All of them, where all speak; nothing where one does not."""
    spoken = tuple(s for s in signals if s is not None)
    return spoken if len(spoken) == len(signals) else ()


def also(found: Found, *signals: Evidence | None) -> Found:
    """More that speaks for what was found."""
    return (*found, *(s for s in signals if s is not None)) if found else ()


def some(least: int, *signals: Evidence | None) -> Found:
    """Those that speak, where so many do."""
    spoken = tuple(s for s in signals if s is not None)
    return spoken if len(spoken) >= least else ()

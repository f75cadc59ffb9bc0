"""The number that a created HPA scales on: how many replicas an endpoint needs now."""

from __future__ import annotations

from typing import Final

from gpupool.model.steering import Decision, Pace

METRIC: Final = "gpupool_required_replicas"
"""Its name in external.metrics.k8s.io."""
NAMESPACE, SLO = "namespace", "slo"
"""Labels of a value: whose it is."""


def required(decision: Decision) -> int | None:
    """The value of the metric; None while it is not known how the users fare: then an HPA holds."""
    return None if decision.pace is Pace.HOLD else decision.needed

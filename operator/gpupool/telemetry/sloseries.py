"""From a look at all endpoints to their series. Pure: the same look, the same series."""

from typing import Final

from gpupool.model.economics import Economics
from gpupool.model.slo import Objective
from gpupool.planner.endpoints import ObjectiveFound, SloPlan
from gpupool.telemetry import catalog
from gpupool.telemetry.poolseries import Series, put

NONE: Final = ""
"""Label of an objective without a threshold."""


def slo_series(plan: SloPlan) -> Series:
    """Every series that speaks about an InferenceSLO."""
    series: Series = {}
    for status in plan.statuses:
        if (found := status.findings.diagnosis) is not None:
            names = (found.cause.value, found.confidence.value, found.replicas_help.value)
            put(series, catalog.SLO_DIAGNOSIS, (status.key.namespace, status.key.name, *names), 1)
        if status.economics is not None:
            _economics(series, (status.key.namespace, status.key.name), status.economics)
        for each in status.objectives:
            labels = (status.key.namespace, status.key.name, *_names(each.objective))
            _objective(series, labels, each, judged=each.budget.events >= status.min_events)
    return series


def _economics(series: Series, labels: tuple[str, str], found: Economics) -> None:
    put(series, catalog.SLO_GPU_HOURS, (*labels, found.resource), found.gpu_hours)
    put(series, catalog.SLO_TOKENS, (*labels, "all"), found.per_hour)
    put(series, catalog.SLO_TOKENS, (*labels, "at_slo"), found.per_hour_at_slo)
    put(series, catalog.SLO_COST, (*labels, found.currency), found.cost)
    put(series, catalog.SLO_TOKEN_COST, (*labels, found.currency), found.per_million)
    put(series, catalog.SLO_JOULES, labels, found.joules)


def _names(objective: Objective) -> tuple[str, str]:
    limit = NONE if objective.threshold is None else f"{objective.threshold:g}"
    return objective.sli.value, limit


def _objective(series: Series, labels: tuple[str, ...], found: ObjectiveFound, *, judged: bool) -> None:
    budget = found.budget
    put(series, catalog.SLO_ATTAINMENT, labels, budget.attainment)
    put(series, catalog.SLO_BUDGET, labels, budget.remaining)
    put(series, catalog.SLO_COVERAGE, labels, budget.coverage)
    put(series, catalog.SLO_DATA, (*labels, found.reading.state.value), 1)
    for burn in budget.burns if judged else ():
        put(series, catalog.SLO_BURNING, (*labels, f"{burn.alarm.long:.0f}"), float(burn.burning))

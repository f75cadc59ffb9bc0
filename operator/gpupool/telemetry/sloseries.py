"""From a look at all endpoints to their series. Pure: the same look, the same series."""

from typing import Final

from gpupool.model.economics import Economics
from gpupool.model.slo import Objective
from gpupool.planner.endpoints import ObjectiveFound, SloPlan, SloStatus
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
        key = (status.key.namespace, status.key.name)
        if status.decision is not None:
            put(series, catalog.SLO_REQUIRED, key, status.decision.needed)
        if status.economics is not None:
            _economics(series, key, status.economics)
        _rollout(series, status)
        _effects(series, status)
        for gpu, trait in status.findings.drifting:
            labels = (*key, gpu, trait.name)
            put(series, catalog.SLO_DRIFT, labels, trait.recent / trait.base if trait.base else None)
        for each in status.objectives:
            labels = (status.key.namespace, status.key.name, *_names(each.objective))
            _objective(series, labels, each, judged=each.budget.events >= status.min_events)
    return series


def _effects(series: Series, status: SloStatus) -> None:
    for effect in status.findings.effects:  # the newest last
        forecast = effect.forecast
        if effect.real is not None:
            labels = (status.key.namespace, status.key.name, effect.kind, forecast.measure.value)
            put(series, catalog.SLO_EFFECT, (*labels, "before"), forecast.before)
            put(series, catalog.SLO_EFFECT, (*labels, "predicted"), forecast.predicted)
            put(series, catalog.SLO_EFFECT, (*labels, "real"), effect.real)


def _rollout(series: Series, status: SloStatus) -> None:
    found = status.guarded
    if found is None or found.memory.verdict is None or found.memory.candidate is None:
        return
    labels = (status.key.namespace, status.key.name, found.memory.candidate.name)
    put(series, catalog.SLO_ROLLOUT, (*labels, found.memory.verdict.value), 1)
    for pair in found.watched.comparisons:
        put(series, catalog.SLO_ROLLOUT_BURN, (*labels, pair.new.what), pair.burn)


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

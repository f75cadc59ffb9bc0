"""Series of InferenceSLOs: what is unknown is absent, and few events burn nothing."""

from dataclasses import replace

import pytest

from gpupool.model.economics import Holding, Ledger, Stretch
from gpupool.model.effects import Effect, Forecast, Lever, Measure
from gpupool.model.slo import Endpoint, Objective, Reading, Sli, SloSnapshot, SloState
from gpupool.model.steering import Decision
from gpupool.planner.endpoints import plan_endpoints
from gpupool.telemetry import catalog
from gpupool.telemetry.metrics import Metrics
from gpupool.telemetry.sloseries import slo_series
from support.builders import GPU, NOW
from support.rollouts import NEW, OLD, a_release
from unit.planner.test_endpoints import a_slo, ok

LABELS = ("chat-prod", "chat", "ttft", "0.5")


def test_every_number_of_an_objective_is_a_series() -> None:
    slo = a_slo()
    endpoint = Endpoint((ok(500, 1000),), "vLLM", 1, 1)
    series = slo_series(plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), {slo.key: endpoint})))
    assert series[catalog.SLO_ATTAINMENT] == {LABELS: 50.0}
    assert series[catalog.SLO_BUDGET][LABELS] < -4000
    assert series[catalog.SLO_DATA] == {(*LABELS, "OK"): 1.0}
    assert series[catalog.SLO_BURNING][*LABELS, "3360"] == 1.0
    assert 0 < series[catalog.SLO_COVERAGE][LABELS] < 1


def test_what_the_objectives_need_is_a_series_once_it_is_decided() -> None:
    slo = a_slo()
    endpoint = Endpoint((ok(500, 1000),), "vLLM", 1, 1)
    plan = plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), {slo.key: endpoint}))
    assert catalog.SLO_REQUIRED not in slo_series(plan)
    decision = Decision(2, 4, "GrantLimits", "At least 2.", needed=6)
    decided = replace(plan, statuses=(replace(plan.statuses[0], decision=decision),))
    assert slo_series(decided)[catalog.SLO_REQUIRED] == {("chat-prod", "chat"): 6}


def test_a_rollout_is_shown_with_what_it_would_burn() -> None:
    slo = a_slo()
    seen = {OLD: (ok(500, 500),) * 2, NEW: (ok(400, 500),) * 2}
    endpoint = Endpoint((ok(1000, 1000),), "vLLM", 3, 3, revisions=seen)
    snapshot = SloSnapshot(NOW, 15.0, (slo,), {slo.key: endpoint}, releases={slo.key: a_release()})
    series = slo_series(plan_endpoints(snapshot))
    assert series[catalog.SLO_ROLLOUT] == {("chat-prod", "chat", NEW, "Bad"): 1.0}
    burn = series[catalog.SLO_ROLLOUT_BURN]
    assert burn["chat-prod", "chat", NEW, "ttft <= 0.5s"] == pytest.approx(20.0)


def test_what_advice_brought_is_three_numbers_and_the_newest_counts() -> None:
    forecast = Forecast(Measure.ITL, 33.0, 22.0, Lever.RECIPE, recipe="r1")
    effects = tuple(Effect("Quantization", forecast, 0.0, 1.0, real, 2.0) for real in (30.0, 24.0))
    slo = a_slo(effects=(*effects, Effect("Routing", forecast, 0.0)))
    series = slo_series(plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), {slo.key: Endpoint((ok(1, 1),))})))
    labels = ("chat-prod", "chat", "Quantization", "ms between tokens")
    assert series[catalog.SLO_EFFECT] == {
        (*labels, "before"): 33.0,
        (*labels, "predicted"): 22.0,
        (*labels, "real"): 24.0,
    }


def test_economics_are_series_as_far_as_they_are_known() -> None:
    slo = a_slo(
        ledger=Ledger((Stretch(NOW.timestamp() - 3600, held=7200, told=7200, tokens=4e6, good=2e6),), GPU)
    )
    priced = Holding(GPU, 2, {GPU: 2.5}, "USD")
    series = slo_series(plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), holdings={slo.key: priced})))
    key = ("chat-prod", "chat")
    assert series[catalog.SLO_GPU_HOURS] == {(*key, GPU): 2.0}
    assert series[catalog.SLO_TOKENS] == {(*key, "all"): 2e6, (*key, "at_slo"): 1e6}
    assert series[catalog.SLO_COST] == {(*key, "USD"): 5.0}
    assert series[catalog.SLO_TOKEN_COST] == {(*key, "USD"): 1.25}
    assert catalog.SLO_JOULES not in series
    free = slo_series(plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), holdings={slo.key: Holding(GPU, 2)})))
    assert catalog.SLO_COST not in free
    assert catalog.SLO_GPU_HOURS not in slo_series(plan_endpoints(SloSnapshot(NOW, 15.0, (slo,))))


def test_few_events_burn_nothing_and_none_are_no_number() -> None:
    slo = a_slo(objectives=(replace(a_slo().objectives[0]), Objective(Sli.AVAILABILITY, 99)))
    endpoint = Endpoint((ok(1, 2), Reading(SloState.UNSUPPORTED)), "vLLM", 1, 1)
    plan = plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), {slo.key: endpoint}))
    series = slo_series(plan)
    assert catalog.SLO_BURNING not in series
    assert list(series[catalog.SLO_ATTAINMENT]) == [LABELS]
    assert ("chat-prod", "chat", "availability", "", "Unsupported") in series[catalog.SLO_DATA]
    metrics = Metrics()
    metrics.publish_endpoints(plan)
    assert b'gpupool_slo_attainment_percent{namespace="chat-prod",slo="chat",sli="ttft"' in metrics.render()

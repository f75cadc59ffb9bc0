"""Series of InferenceSLOs: what is unknown is absent, and few events burn nothing."""

from dataclasses import replace

from gpupool.model.economics import Holding, Ledger, Stretch
from gpupool.model.slo import Endpoint, Objective, Reading, Sli, SloSnapshot, SloState
from gpupool.planner.endpoints import plan_endpoints
from gpupool.telemetry import catalog
from gpupool.telemetry.metrics import Metrics
from gpupool.telemetry.sloseries import slo_series
from support.builders import GPU, NOW
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

"""An engine without an adapter: what its owner names is asked for, judged, diagnosed and told."""

import pytest

from gpupool.collector.engines import custom
from gpupool.collector.engines.judge import Workload, judge
from gpupool.collector.engines.meter import Counter, PodName
from gpupool.collector.engines.names import HTTP
from gpupool.collector.engines.questions import questions
from gpupool.collector.engines.reader import _thresholds
from gpupool.collector.engines.sight import Sight
from gpupool.collector.engines.signals import Births, Shown, signals
from gpupool.collector.engines.subject import Subject
from gpupool.collector.engines.windows import window_questions
from gpupool.model.metrics import Metrics, Resolved
from gpupool.model.signals import Engine
from gpupool.model.slo import Objective, Sli, SloState
from unit.planner.test_endpoints import a_slo

POD = PodName("chat-prod", "a")
FULL = Metrics(
    running="my_running",
    waiting="my_waiting",
    kv="my_kv",
    ttft="my_ttft_ms",
    tpot="my_tpot_ms",
    e2e="my_e2e_ms",
    queue="my_queue_ms",
    succeeded="my_ok_total",
    failed="my_failed_total",
    prompt_tokens="my_prompt_total",
    output_tokens="my_output_total",
    unit=1e-3,
)
BARE = Metrics(running="my_running")
SIGHT = Sight(
    seconds=60.0,
    buckets={POD: {Counter("my_ttft_ms_bucket", "500"): 90.0, Counter("my_ttft_ms_bucket", "+Inf"): 100.0}},
    counts={
        POD: {
            Counter("my_ok_total"): 95.0,
            Counter("my_failed_total"): 5.0,
            Counter("my_output_total"): 6000.0,
        }
    },
    shown={POD: frozenset({"my_ttft_ms_bucket"})},
    loads={POD: {"my_running": 3.0, "my_waiting": 1.0}},
    ages={POD: 1.0},
    up={POD: True},
)


def judged(objective: Objective, metrics: Metrics = FULL) -> tuple[SloState, float, float, str]:
    found = judge(objective, Workload((POD,), engine=custom.CUSTOM, metrics=metrics), SIGHT)
    return found.state, found.good, found.total, found.message


def test_latency_availability_and_throughput_by_names_of_ones_own() -> None:
    assert judged(Objective(Sli.TTFT, 99, 0.5))[:3] == (SloState.OK, 90, 100)
    assert judged(Objective(Sli.AVAILABILITY, 99))[:3] == (SloState.OK, 95, 100)
    assert judged(Objective(Sli.THROUGHPUT, 99, tokens_per_second=100))[:3] == (SloState.OK, 1, 1)
    assert judged(Objective(Sli.THROUGHPUT, 99, tokens_per_second=101))[:3] == (SloState.OK, 0, 1)


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (Objective(Sli.TTFT, 99, 0.5), "spec.metrics names no histogram of ttft: add it."),
        (
            Objective(Sli.THROUGHPUT, 99, tokens_per_second=1),
            "spec.metrics names no outputTokens and waiting: add it.",
        ),
    ],
)
def test_what_is_not_named_is_unsupported_and_says_what_to_add(objective: Objective, text: str) -> None:
    assert judged(objective, BARE) == (SloState.UNSUPPORTED, 0, 0, text)


def test_what_nobody_shows_is_missing_by_the_name_that_was_looked_for() -> None:
    state, _, _, text = judged(Objective(Sli.E2E, 99, 1.0))
    assert (state, text) == (SloState.MISSING, "No pod exports my_e2e_ms.")
    unseen = judge(
        Objective(Sli.TTFT, 99, 0.5),
        Workload((POD,), engine=custom.CUSTOM, metrics=Metrics("other_running")),
        Sight(seconds=60.0, up={POD: True}),
    )
    assert unseen.message == "No pod exports other_running: is spec.metrics.running right?"


def test_availability_needs_both_counters_or_the_http_layer() -> None:
    assert custom.sources(FULL)[0].good == ("my_ok_total",)
    assert custom.sources(BARE) == (HTTP,)
    assert judged(Objective(Sli.AVAILABILITY, 99), BARE)[0] is SloState.UNSUPPORTED


def test_all_names_are_asked_for_and_only_once() -> None:
    asked = questions(["chat-prod"], [500.0], custom.more([FULL, BARE]))
    assert "my_ttft_ms_bucket" in asked.buckets
    assert "my_e2e_ms_bucket" in asked.shown
    assert "my_failed_total" in asked.counts
    assert all(name in asked.loads for name in ("my_running", "my_waiting", "my_kv"))
    assert asked.ages.count("my_running") == 1
    assert "my_running" in asked.broken
    windows = window_questions(["chat-prod"], 300, [custom.adapter(FULL)], custom.more([FULL]).histograms)
    assert "my_kv" in windows.gauges
    assert "my_ttft_ms_sum" in windows.rates
    assert "my_ttft_ms_bucket" in windows.shapes
    assert "my_" not in questions(["chat-prod"], [500.0]).buckets


def test_thresholds_are_asked_in_the_unit_of_the_map() -> None:
    objective = (Objective(Sli.TTFT, 99, 0.5),)
    assert 500.0 in _thresholds([Subject(a_slo(objectives=objective, metrics=FULL))])


def test_the_diagnosis_sees_what_is_named() -> None:
    words = {
        "my_running": 3.0,
        "my_running/most": 8.0,
        "my_kv": 0.5,
        "my_ok_total": 2.0,
        "my_failed_total": 0.1,
        "my_prompt_total": 2000.0,
        "my_ttft_ms_sum": 600.0,
        "my_ttft_ms_count": 2.0,
    }
    buckets = {"my_ttft_ms": {500.0: 1.0, float("inf"): 2.0}}
    shown = Shown({POD: words}, {POD: buckets}, {}, {})
    subject = Subject(a_slo(metrics=FULL), ready=("a",))
    found = signals(subject, custom.CUSTOM, Births(), shown, 300)
    engine = found.pods[0].engine
    assert (engine.running, engine.running_most, engine.kv, engine.requests) == (3.0, 8.0, 0.5, 2.0)
    assert (engine.aborted, engine.prompt, engine.ttft) == (0.1, 1000.0, 0.3)
    assert found.ttft.rates[0] == (0.5, 1.0)
    bare = signals(Subject(a_slo(metrics=BARE), ready=("a",)), custom.CUSTOM, Births(), shown, 300)
    assert bare.pods[0].engine == Engine(running=3.0, running_most=8.0)


def test_what_was_resolved_is_told() -> None:
    found = {r.of: r for r in custom.resolved(FULL, [POD, PodName("chat-prod", "b")], SIGHT)}
    assert found["running"] == Resolved("running", "my_running", seen=True)
    assert [of for of, r in found.items() if not r.seen] == ["kv", "tpot", "e2e", "queue", "prompt_tokens"]

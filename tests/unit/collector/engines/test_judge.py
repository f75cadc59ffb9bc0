"""The table of data states: what is known of an objective, from what a reading shows."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gpupool.collector.engines.judge import Workload, judge, unmatched
from gpupool.collector.engines.meter import Counter, PodName
from gpupool.collector.engines.names import AVAILABILITY, ENGINES
from gpupool.collector.engines.sight import Sight
from gpupool.model.slo import Objective, Sli, SloState

A, B, GONE = (PodName("ns", name) for name in ("a", "b", "gone"))
TTFT = Objective(Sli.TTFT, 99, 0.5)
NAME = "vllm:time_to_first_token_seconds"
VLLM = ENGINES["vLLM"]
PODS = Workload((A, B), engine="vLLM")


def buckets(good: float, total: float, *, name: str = NAME, le: str = "0.5") -> Mapping[Counter, float]:
    return {Counter(f"{name}_bucket", le): good, Counter(f"{name}_bucket", "+Inf"): total}


def seen(**more: object) -> Sight:
    """Two pods, seen a second ago, with nine of ten requests good each."""
    found = Sight(
        seconds=15.0,
        buckets={A: buckets(9, 10), B: buckets(9, 10)},
        loads={pod: {VLLM.running: 2.0, VLLM.waiting: 0.0} for pod in (A, B)},
        ages={A: 1.0, B: 1.0},
        up={A: True, B: True},
        intervals={A: 15.0, B: 15.0},
    )
    seen_now = replace(found, **more)  # type: ignore[arg-type]
    shown = {pod: frozenset(c.metric for c in own) for pod, own in seen_now.buckets.items()}
    return replace(seen_now, shown=shown)


def test_good_and_all_requests_of_all_pods_are_summed() -> None:
    found = judge(TTFT, PODS, seen())
    assert (found.state, found.good, found.total, found.seconds) == (SloState.OK, 18, 20, 15)
    assert (found.metric, found.bucket) == (NAME, "0.5")


def test_what_pods_did_last_that_are_gone_counts() -> None:
    workload = replace(PODS, gone=(GONE,))
    sight = seen()
    found = judge(TTFT, workload, replace(sight, buckets={**sight.buckets, GONE: buckets(1, 4)}))
    assert (found.good, found.total) == (19, 24)


@pytest.mark.parametrize(("spelt", "threshold"), [("1.0", 1.0), ("1", 1.0), ("0.25", 0.25), ("2.5", 2.5)])
def test_a_bound_is_compared_as_a_number(spelt: str, threshold: float) -> None:
    sight = seen(buckets={pod: buckets(3, 4, le=spelt) for pod in (A, B)})
    found = judge(replace(TTFT, threshold=threshold), PODS, sight)
    assert (found.state, found.good, found.bucket) == (SloState.OK, 6, spelt)


def test_a_threshold_between_two_bounds_is_never_interpolated() -> None:
    sight = seen(buckets={pod: {Counter(f"{NAME}_bucket", "+Inf"): 10.0} for pod in (A, B)})
    objective = replace(TTFT, threshold=0.6)
    asked = unmatched(objective, PODS, sight)
    assert asked is not None
    assert asked.name == NAME
    found = judge(objective, replace(PODS, bounds={NAME: (0.25, 0.5, 0.75, 1.0)}), sight)
    assert found.state is SloState.INVALID
    assert found.message.startswith("NotABucketBound: 0.6s is no bucket bound")
    assert "the nearest are 0.5s and 0.75s" in found.message
    assert "not known yet" in judge(objective, PODS, sight).message


def test_a_bound_that_only_some_pods_have_is_named_with_the_others() -> None:
    sight = seen(buckets={A: buckets(9, 10), B: {Counter(f"{NAME}_bucket", "+Inf"): 10.0}})
    found = judge(TTFT, PODS, sight)
    assert found.state is SloState.INVALID
    assert "not on b, which run another version" in found.message
    assert unmatched(TTFT, PODS, seen()) is None


def test_an_old_name_answers_where_the_new_one_is_not_exported() -> None:
    old = "vllm:time_per_output_token_seconds"
    sight = seen(buckets={pod: buckets(9, 10, name=old, le="0.05") for pod in (A, B)})
    found = judge(Objective(Sli.ITL, 95, 0.05), PODS, sight)
    assert (found.state, found.metric) == (SloState.OK, old)


def test_milliseconds_are_read_as_seconds() -> None:
    name, triton = "nv_inference_first_response_histogram_ms", ENGINES["Triton"]
    sight = seen(
        buckets={pod: buckets(9, 10, name=name, le="500.0") for pod in (A, B)},
        loads={pod: {triton.running: 1.0} for pod in (A, B)},
    )
    found = judge(TTFT, replace(PODS, engine="Triton"), sight)
    assert (found.state, found.good, found.bucket) == (SloState.OK, 18, "500.0")


NO_BUCKETS: dict[PodName, Mapping[Counter, float]] = {A: {}, B: {}}
IDLE = {pod: {VLLM.running: 0.0, VLLM.waiting: 0.0} for pod in (A, B)}


@pytest.mark.parametrize(
    ("workload", "sight", "state", "words"),
    [
        (Workload(()), seen(), SloState.NO_TRAFFIC, "no pods"),
        (Workload((), (A,), engine="vLLM"), seen(), SloState.MISSING, "No pod of the workload is Ready"),
        (PODS, seen(up={}), SloState.MISSING, "PodMonitor"),
        (PODS, seen(up={A: False, B: False}), SloState.MISSING, "targets of a, b are down"),
        (PODS, seen(broken=frozenset({B})), SloState.INVALID, "b shows NaN"),
        (replace(PODS, engine=""), seen(), SloState.MISSING, "no engine that is known"),
        (PODS, seen(ages={}), SloState.MISSING, "No pod exports vllm:num_requests_running"),
        (PODS, seen(ages={A: 70.0, B: 50.0}), SloState.STALE, "over 30s old"),
        (PODS, seen(ages={A: 1.0}), SloState.PARTIAL, "1 of 2 Ready pods are not seen: b."),
        (PODS, seen(buckets=NO_BUCKETS), SloState.MISSING, f"No pod exports {NAME}."),
        (PODS, seen(buckets=NO_BUCKETS, loads=IDLE), SloState.NO_TRAFFIC, ""),
        (PODS, seen(buckets={p: buckets(0, 0) for p in (A, B)}, loads=IDLE), SloState.NO_TRAFFIC, ""),
        (PODS, seen(buckets={p: buckets(0, 0) for p in (A, B)}), SloState.OK, ""),
        (PODS, seen(buckets={p: buckets(9, 3) for p in (A, B)}), SloState.INVALID, "More requests"),
        (replace(PODS, engine="TGI"), seen(), SloState.UNSUPPORTED, "TGI exports no histogram of ttft"),
        (
            replace(PODS, engine="Triton"),
            seen(buckets=NO_BUCKETS, loads={p: {"nv_inference_pending_request_count": 1.0} for p in (A, B)}),
            SloState.MISSING,
            "histogram_latencies=true",
        ),
    ],
)
def test_every_state_has_its_sign(workload: Workload, sight: Sight, state: SloState, words: str) -> None:
    found = judge(TTFT, workload, sight)
    assert found.state is state
    assert words in found.message
    if state not in {SloState.OK, SloState.PARTIAL}:
        assert (found.good, found.total) == (0, 0)


def test_what_is_scraped_at_an_unknown_pace_counts_as_seen() -> None:
    assert judge(TTFT, PODS, seen(intervals={}, ages={A: 200.0, B: 1.0})).state is SloState.OK


HTTP = {Counter("http_requests_total", s): n for s, n in (("2xx", 95.0), ("4xx", 3.0), ("5xx", 2.0))}


@pytest.mark.parametrize(
    ("events", "state", "good", "total"),
    [
        (HTTP, SloState.OK, 98, 100),
        ({Counter("tgi_request_success"): 9.0, Counter("tgi_request_failure"): 1.0}, SloState.OK, 9, 10),
        ({Counter("nv_inference_request_failure"): 0.0}, SloState.NO_TRAFFIC, 0, 0),
        ({}, SloState.UNSUPPORTED, 0, 0),
    ],
)
def test_availability_needs_a_source(
    events: Mapping[Counter, float], state: SloState, good: float, total: float
) -> None:
    found = judge(Objective(Sli.AVAILABILITY, 99.9), PODS, seen(counts={A: events, B: {}}))
    assert (found.state, found.good, found.total) == (state, good, total)
    assert len(AVAILABILITY) == 3


@pytest.mark.parametrize(
    ("tokens", "waiting", "good"), [(15_000, 4.0, 0.25), (14_000, 4.0, 0.0), (10, 0.0, 0.25)]
)
def test_a_minute_is_good_when_enough_was_written_or_nobody_waited(
    tokens: float, waiting: float, good: float
) -> None:
    sight = seen(
        counts={A: {Counter("vllm:generation_tokens_total"): tokens}},
        loads={A: {VLLM.running: 1.0, VLLM.waiting: waiting}, B: {}},
    )
    found = judge(Objective(Sli.THROUGHPUT, 95, tokens_per_second=1000), PODS, sight)
    assert (found.state, found.good, found.total) == (SloState.OK, good, 0.25)


def test_throughput_needs_a_before_and_a_counter_of_tokens() -> None:
    objective = Objective(Sli.THROUGHPUT, 95, tokens_per_second=1000)
    assert judge(objective, PODS, seen(seconds=0.0)).total == 0
    sight = seen(loads={p: {"nv_inference_pending_request_count": 1.0} for p in (A, B)})
    assert judge(objective, replace(PODS, engine="Triton"), sight).state is SloState.UNSUPPORTED


def test_the_engine_is_the_one_that_most_pods_export() -> None:
    sight = seen(loads={A: {VLLM.running: 1.0}, B: {VLLM.running: 0.0}, GONE: {"num_requests_running": 1.0}})
    assert sight.engine((A, B, GONE)) == "vLLM"
    assert sight.engine((GONE,)) == "NIM"
    assert not seen(loads={}).engine((A,))

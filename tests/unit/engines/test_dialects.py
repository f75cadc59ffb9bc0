"""Every engine serves its own names, types, labels and bounds."""

import re
from itertools import pairwise
from typing import Any

import pytest

from support.engines import Rig, live_engine

TTFT = ".001 .005 .01 .02 .04 .06 .08 .1 .25 .5 .75 1 2.5 5 7.5 10 20 40 80 160 640 2560"
BETWEEN = ".01 .025 .05 .075 .1 .15 .2 .3 .4 .5 .75 1 2.5 5 7.5 10 20 40 80"
REQUEST = ".3 .5 .8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680"
SGLANG_TTFT = ".1 .2 .4 .6 .8 1 2 4 6 8 10 20 40 60 80 100 200 400"

VLLM = {
    "gauge": """num_requests_running num_requests_waiting num_requests_waiting_by_reason kv_cache_usage_perc
        engine_sleep_state lora_requests_info cache_config_info""",
    "counter": """prompt_tokens prompt_tokens_by_source prompt_tokens_cached generation_tokens request_success
        num_preemptions prefix_cache_queries prefix_cache_hits external_prefix_cache_queries
        external_prefix_cache_hits mm_cache_queries mm_cache_hits corrupted_requests""",
    "histogram": """time_to_first_token_seconds inter_token_latency_seconds
        request_time_per_output_token_seconds e2e_request_latency_seconds
        request_queue_time_seconds request_inference_time_seconds
        request_prefill_time_seconds request_decode_time_seconds request_prompt_tokens
        request_generation_tokens request_max_num_generation_tokens request_params_max_tokens
        request_params_n request_prefill_kv_computed_tokens request_num_preemptions iteration_tokens_total""",
}
SGLANG = {
    "gauge": """num_running_reqs num_queue_reqs num_used_tokens token_usage max_total_num_tokens
        cache_hit_rate gen_throughput utilization max_running_requests_under_SLO engine_startup_time
        engine_load_weights_time num_retracted_reqs num_paused_reqs cache_config_info""",
    "counter": """num_retracted_requests prompt_tokens generation_tokens cached_tokens num_requests
        num_aborted_requests gpu_execution_seconds""",
    "histogram": """time_to_first_token_seconds inter_token_latency_seconds e2e_request_latency_seconds
        queue_time_seconds per_stage_req_latency_seconds""",
}
TGI = {
    "gauge": "queue_size batch_current_size batch_current_max_tokens",
    "counter": "request_count request_success request_failure batch_inference_count batch_inference_success",
    "histogram": """request_duration request_queue_duration request_inference_duration
        request_validation_duration request_mean_time_per_token_duration request_generated_tokens
        request_input_length request_max_new_tokens request_skipped_tokens batch_inference_duration
        batch_forward_duration batch_decode_duration""",
}
TRITON = {
    "gauge": """nv_inference_pending_request_count nv_trt_llm_request_metrics
        nv_trt_llm_kv_cache_block_metrics nv_gpu_utilization""",
    "counter": """nv_inference_request_success nv_inference_request_failure nv_inference_count
        nv_inference_exec_count nv_inference_request_duration_us nv_inference_queue_duration_us
        nv_inference_compute_input_duration_us nv_inference_compute_infer_duration_us
        nv_inference_compute_output_duration_us""",
    "histogram": "",
}
NIM = {
    "gauge": "gpu_cache_usage_perc num_requests_running num_requests_waiting num_request_max",
    "counter": "prompt_tokens generation_tokens request_finish",
    "histogram": """time_to_first_token_seconds time_per_output_token_seconds e2e_request_latency_seconds
        request_prompt_tokens request_generation_tokens""",
}


def rig(**given: Any) -> Rig:
    made = Rig(live_engine("a", **{"load": 5, **given}))
    made.run(60)
    return made


def kinds(made: Rig) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"gauge": set(), "counter": set(), "histogram": set()}
    for family in made.families("a").values():
        found[family.type].add(family.name)
    return found


def bounds(made: Rig, name: str) -> list[str]:
    return [s.labels["le"] for s in made.families("a")[name].samples if s.name.endswith("_bucket")]


def numbers(text: str) -> list[float]:
    return [float(one) for one in text.split()]


@pytest.mark.parametrize(
    ("engine", "prefix", "names"),
    [
        ("vllm", "vllm:", VLLM),
        ("sglang", "sglang:", SGLANG),
        ("tgi", "tgi_", TGI),
        ("triton", "", TRITON),
        ("nim", "", NIM),
    ],
)
def test_the_names_and_their_types_are_the_engines(engine: str, prefix: str, names: dict[str, str]) -> None:
    wanted = {kind: {f"{prefix}{name}" for name in text.split()} for kind, text in names.items()}
    if engine == "vllm":
        wanted["counter"].add("http_requests")
    assert kinds(rig(engine=engine)) == wanted


@pytest.mark.parametrize(
    ("engine", "name", "expected"),
    [
        ("vllm", "vllm:time_to_first_token_seconds", TTFT),
        ("vllm", "vllm:inter_token_latency_seconds", BETWEEN),
        ("vllm", "vllm:request_time_per_output_token_seconds", BETWEEN),
        ("vllm", "vllm:e2e_request_latency_seconds", REQUEST),
        ("vllm", "vllm:request_queue_time_seconds", REQUEST),
        ("vllm", "vllm:request_prefill_time_seconds", REQUEST),
        ("sglang", "sglang:time_to_first_token_seconds", SGLANG_TTFT),
        ("sglang", "sglang:e2e_request_latency_seconds", f"{SGLANG_TTFT} 800"),
    ],
)
def test_the_bounds_are_the_engines(engine: str, name: str, expected: str) -> None:
    found = bounds(rig(engine=engine), name)
    assert found[-1] == "+Inf"
    assert [float(one) for one in found[:-1]] == numbers(expected)


def test_sglang_has_no_bucket_at_half_a_second_and_begins_between_tokens_at_two_milliseconds() -> None:
    made = rig(engine="sglang")
    assert "0.5" not in bounds(made, "sglang:time_to_first_token_seconds")
    assert bounds(made, "sglang:inter_token_latency_seconds")[0] == "0.002"


def test_tgi_has_no_first_token_and_writes_whole_bounds_without_a_point() -> None:
    made = rig(engine="tgi")
    assert not any("first_token" in name for name in made.families("a"))
    assert "4096" in re.findall(r'tgi_request_generated_tokens_bucket\{le="([^"]+)"\}', made.text("a"))
    ratios = [b / a for a, b in pairwise(map(float, bounds(made, "tgi_request_duration")[:-1]))]
    assert ratios == pytest.approx([1.5] * 34, rel=1e-6)


def test_tritons_latency_histogram_is_there_by_choice_only() -> None:
    name = "nv_inference_first_response_histogram_ms"
    assert name not in rig(engine="triton").families("a")
    made = rig(engine="triton", expose="first-response-histogram")
    assert bounds(made, name) == ["100", "500", "2000", "5000", "+Inf"]
    assert made.value("a", f"{name}_count") > 200


def test_triton_gives_means_from_its_sums() -> None:
    made = rig(engine="triton")
    mean = made.value("a", "nv_inference_request_duration_us") / made.value("a", "nv_inference_count")
    assert 1e6 < mean < 1e7


@pytest.mark.parametrize(
    ("engine", "labels"),
    [
        ("vllm", {"model_name", "engine"}),
        ("sglang", {"model_name", "engine_type", "tp_rank", "pp_rank", "moe_ep_rank"}),
        ("tgi", set()),
        ("triton", {"model", "version"}),
        ("nim", {"model_name"}),
    ],
)
def test_every_series_has_the_engines_labels(engine: str, labels: set[str]) -> None:
    samples = [s for family in rig(engine=engine).families("a").values() for s in family.samples]
    assert all(labels <= sample.labels.keys() for sample in samples)


def test_old_vllm_has_the_old_names_and_bounds_and_not_the_new() -> None:
    made = rig(engine="vllm-0.8")
    names = made.families("a").keys()
    assert {"vllm:gpu_cache_usage_perc", "vllm:time_per_output_token_seconds"} < names
    assert {"vllm:gpu_prefix_cache_hits", "vllm:num_requests_swapped"} < names
    assert not {"vllm:kv_cache_usage_perc", "vllm:inter_token_latency_seconds"} & names
    assert bounds(made, "vllm:time_to_first_token_seconds")[-2:] == ["10.0", "+Inf"]


def test_the_capacity_is_told_in_blocks() -> None:
    (sample,) = rig(kv_tokens=16_000).families("a")["vllm:cache_config_info"].samples
    assert (sample.labels["block_size"], sample.labels["num_gpu_blocks"]) == ("16", "1000")


def test_http_answers_appear_with_the_first_of_their_kind() -> None:
    assert "http_requests" not in rig(load=0).families("a")
    made = rig(fault="ErrorBound")
    assert made.value("a", "http_requests_total", status="2xx") > 100
    assert made.value("a", "http_requests_total", status="5xx") > 10
    assert made.value("a", "vllm:request_success_total", finished_reason="abort") > 10

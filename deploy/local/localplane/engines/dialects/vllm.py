"""vLLM: current names, and those of 0.8 with their bounds (facts: operator's adapters must read both)."""

from dataclasses import replace
from typing import Final

from localplane.engines.families import COUNTER, GAUGE, Dialect, Family, counter, gauge, histogram

TTFT: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
TOKEN: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
    *(5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
REQUEST: Final = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
SIZES: Final = (*(float(m * 10**e) for e in range(5) for m in (1, 2, 5)), 100_000.0)
STEPS: Final = (1.0, *(float(2**n) for n in range(3, 15)))
FEW: Final = (1.0, 2.0, 5.0, 10.0, 20.0)

LABELS: Final = 'model_name="{model}",engine="0"'

FINISHED: Final = Family(
    "vllm:request_success_total",
    COUNTER,
    "Count of successfully processed requests.",
    tuple((f'finished_reason="{reason}"', f"done.{reason}") for reason in ("stop", "length", "abort")),
)
HTTP: Final = tuple(
    Family(
        "http_requests_total",
        COUNTER,
        "Total number of requests by method, status and handler.",
        ((f'handler="/v1/chat/completions",method="POST",status="{status}"', f"http.{status}"),),
        lazy=True,
    )
    for status in ("2xx", "5xx")
)
HTTP_REQUESTS: Final = replace(HTTP[0], rows=tuple(row for family in HTTP for row in family.rows))

_BOTH: Final = (
    gauge("vllm:num_requests_running", "running", "Number of requests in model execution batches."),
    gauge("vllm:num_requests_waiting", "waiting", "Number of requests waiting to be processed."),
    gauge(
        "vllm:lora_requests_info",
        "one",
        "Running stats on lora requests.",
        labels=('max_lora="0",running_lora_adapters="",waiting_lora_adapters=""'),
    ),
    gauge(
        "vllm:cache_config_info",
        "one",
        "Information of the LLMEngine CacheConfig",
        labels=('block_size="16",cache_dtype="auto",gpu_memory_utilization="0.9",num_gpu_blocks="{blocks}"'),
    ),
    counter("vllm:num_preemptions_total", "preempted", "Cumulative number of preemption from the engine."),
    counter("vllm:prompt_tokens_total", "prompt", "Number of prefill tokens processed."),
    counter("vllm:generation_tokens_total", "generation", "Number of generation tokens processed."),
    FINISHED,
    HTTP_REQUESTS,
    histogram("vllm:request_prompt_tokens", "prompt", SIZES, "Number of prefill tokens processed."),
    histogram("vllm:request_generation_tokens", "output", SIZES, "Number of generation tokens processed."),
    histogram("vllm:request_params_n", "one", FEW, "Histogram of the n request parameter."),
    histogram("vllm:iteration_tokens_total", "step.tokens", STEPS, "Tokens per engine step."),
)

VLLM: Final = Dialect(
    labels=LABELS,
    families=(
        *_BOTH,
        Family(
            "vllm:num_requests_waiting_by_reason",
            GAUGE,
            "Number of requests waiting to be processed, by reason.",
            (('reason="capacity"', "waiting.capacity"), ('reason="deferred"', "waiting.deferred")),
        ),
        gauge("vllm:kv_cache_usage_perc", "kv", "KV-cache usage. 1 means 100 percent usage."),
        gauge("vllm:engine_sleep_state", "one", "Engine sleep state; awake = 1.", 'sleep_state="awake"'),
        Family(
            "vllm:prompt_tokens_by_source_total",
            COUNTER,
            "Number of prompt tokens by source.",
            (
                ('source="local_compute"', "prompt.computed"),
                ('source="local_cache_hit"', "prompt.cached"),
            ),
        ),
        counter("vllm:prompt_tokens_cached_total", "prompt.cached", "Number of cached prompt tokens."),
        counter("vllm:prefix_cache_queries_total", "cache.queries", "Prefix cache queries, in tokens."),
        counter("vllm:prefix_cache_hits_total", "cache.hits", "Prefix cache hits, in tokens."),
        counter("vllm:external_prefix_cache_queries_total", "none", "External cache queries, in tokens."),
        counter("vllm:external_prefix_cache_hits_total", "none", "External cache hits, in tokens."),
        counter("vllm:mm_cache_queries_total", "none", "Multi-modal cache queries, in items."),
        counter("vllm:mm_cache_hits_total", "none", "Multi-modal cache hits, in items."),
        counter("vllm:corrupted_requests_total", "none", "Corrupted requests: not-a-number logits."),
        histogram("vllm:time_to_first_token_seconds", "ttft", TTFT, "Time to first token in seconds."),
        histogram("vllm:inter_token_latency_seconds", "itl", TOKEN, "Inter token latency in seconds."),
        histogram("vllm:request_time_per_output_token_seconds", "tpot", TOKEN, "Time per output token."),
        histogram("vllm:e2e_request_latency_seconds", "e2e", REQUEST, "End to end latency in seconds."),
        histogram("vllm:request_queue_time_seconds", "queue", REQUEST, "Time in WAITING phase."),
        histogram("vllm:request_inference_time_seconds", "inference", REQUEST, "Time in RUNNING phase."),
        histogram("vllm:request_prefill_time_seconds", "prefill", REQUEST, "Time in PREFILL phase."),
        histogram("vllm:request_decode_time_seconds", "decode", REQUEST, "Time in DECODE phase."),
        histogram("vllm:request_max_num_generation_tokens", "output", SIZES, "Maximum generated tokens."),
        histogram("vllm:request_params_max_tokens", "output", SIZES, "The max_tokens request parameter."),
        histogram("vllm:request_prefill_kv_computed_tokens", "computed", SIZES, "New KV tokens of prefill."),
        histogram("vllm:request_num_preemptions", "none", FEW, "Preemptions per request."),
    ),
)

_OLD_TTFT, _OLD_TOKEN, _OLD_REQUEST = TTFT[:16], TOKEN[:13], REQUEST[:15]

VLLM_OLD: Final = Dialect(
    labels='model_name="{model}"',
    families=(
        *_BOTH,
        gauge("vllm:num_requests_swapped", "none", "Number of requests swapped to CPU."),
        gauge("vllm:gpu_cache_usage_perc", "kv", "GPU KV-cache usage. 1 means 100 percent usage."),
        gauge("vllm:cpu_cache_usage_perc", "none", "CPU KV-cache usage. 1 means 100 percent usage."),
        counter(
            "vllm:gpu_prefix_cache_queries_total", "cache.queries", "GPU prefix cache queries, in tokens."
        ),
        counter("vllm:gpu_prefix_cache_hits_total", "cache.hits", "GPU prefix cache hits, in tokens."),
        histogram("vllm:time_to_first_token_seconds", "ttft", _OLD_TTFT, "Time to first token in seconds."),
        histogram("vllm:time_per_output_token_seconds", "itl", _OLD_TOKEN, "Time per output token."),
        histogram("vllm:e2e_request_latency_seconds", "e2e", _OLD_REQUEST, "End to end latency in seconds."),
        histogram("vllm:request_queue_time_seconds", "queue", _OLD_REQUEST, "Time in WAITING phase."),
        histogram("vllm:request_inference_time_seconds", "inference", _OLD_REQUEST, "Time in RUNNING phase."),
        histogram("vllm:request_prefill_time_seconds", "prefill", _OLD_REQUEST, "Time in PREFILL phase."),
        histogram("vllm:request_decode_time_seconds", "decode", _OLD_REQUEST, "Time in DECODE phase."),
    ),
)

_OLDER: Final = {TTFT: _OLD_TTFT, TOKEN: _OLD_TOKEN, REQUEST: _OLD_REQUEST}

VLLM_OLD_BUCKETS: Final = replace(
    VLLM,
    families=tuple(replace(f, bounds=_OLDER.get(f.bounds, f.bounds)) for f in VLLM.families),
)
"""Current names with an older release's bounds: what a rollout over releases mixes."""

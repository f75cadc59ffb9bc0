"""SGLang with --enable-metrics."""

from typing import Final

from localplane.engines.families import COUNTER, HISTOGRAM, Dialect, Family, counter, gauge, histogram

TTFT: Final = (
    *(0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0),
    *(20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0),
)
REQUEST: Final = (*TTFT, 800.0)
TOKEN: Final = (
    *(0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04),
    *(0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0),
)
QUEUE: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)

SGLANG: Final = Dialect(
    labels='model_name="{model}",engine_type="unified",tp_rank="0",pp_rank="0",moe_ep_rank="0"',
    families=(
        gauge("sglang:num_running_reqs", "running", "The number of running requests."),
        gauge("sglang:num_queue_reqs", "waiting", "The number of requests in the waiting queue."),
        gauge("sglang:num_used_tokens", "kv.used", "The number of used tokens."),
        gauge("sglang:token_usage", "kv", "The token usage."),
        gauge("sglang:max_total_num_tokens", "kv.tokens", "Maximum total number of tokens in the KV cache."),
        gauge("sglang:cache_hit_rate", "cache.rate", "The prefix cache hit rate."),
        gauge("sglang:gen_throughput", "tokens.rate", "The generation throughput (token/s)."),
        gauge("sglang:utilization", "none", "The utilization."),
        gauge("sglang:max_running_requests_under_SLO", "max.running", "Running requests under SLO."),
        gauge("sglang:engine_startup_time", "none", "The time taken for the engine to start up."),
        gauge("sglang:engine_load_weights_time", "none", "The time taken for the engine to load weights."),
        gauge("sglang:num_retracted_reqs", "none", "The number of retracted requests."),
        gauge("sglang:num_paused_reqs", "none", "The number of paused requests by async weight sync."),
        gauge(
            "sglang:cache_config_info", "one", "Cache configuration.", ('page_size="16",num_pages="{blocks}"')
        ),
        counter("sglang:num_retracted_requests_total", "preempted", "Total number of retracted requests."),
        counter("sglang:prompt_tokens_total", "prompt", "Number of prefill tokens processed."),
        counter("sglang:generation_tokens_total", "generation", "Number of generation tokens processed."),
        counter("sglang:cached_tokens_total", "prompt.cached", "Number of cached prompt tokens."),
        counter("sglang:num_requests_total", "done", "Number of requests processed."),
        counter("sglang:num_aborted_requests_total", "done.abort", "Number of requests aborted."),
        Family(
            "sglang:gpu_execution_seconds_total",
            COUNTER,
            "Total time that GPU is busy executing a workload.",
            (
                ('category="forward_prefill"', "seconds.prefill"),
                ('category="forward_decode"', "seconds.decode"),
            ),
        ),
        histogram("sglang:time_to_first_token_seconds", "ttft", TTFT, "Time to first token in seconds."),
        histogram("sglang:inter_token_latency_seconds", "itl", TOKEN, "Inter-token latency in seconds."),
        histogram("sglang:e2e_request_latency_seconds", "e2e", REQUEST, "End-to-end request latency."),
        histogram("sglang:queue_time_seconds", "queue", QUEUE, "Queueing time in seconds."),
        Family(
            "sglang:per_stage_req_latency_seconds",
            HISTOGRAM,
            "The latency of each stage of requests.",
            (('stage="prefill_forward"', "prefill"), ('stage="decode_forward"', "decode")),
            REQUEST,
        ),
    ),
)

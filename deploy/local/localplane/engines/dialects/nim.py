"""NIM for LLMs: vLLM's figures without a prefix (label and bounds as in the releases that carry vLLM 0.8)."""

from typing import Final

from localplane.engines.dialects.vllm import REQUEST, SIZES, TOKEN, TTFT
from localplane.engines.families import COUNTER, Dialect, Family, counter, gauge, histogram

NIM: Final = Dialect(
    families=(
        gauge("gpu_cache_usage_perc", "kv", "GPU KV-cache usage. 1 means 100 percent usage."),
        gauge("num_requests_running", "running", "Number of requests currently running on GPU."),
        gauge("num_requests_waiting", "waiting", "Number of requests waiting to be processed."),
        gauge("num_request_max", "max.running", "Max number of concurrently running requests."),
        counter("prompt_tokens_total", "prompt", "Number of prefill tokens processed."),
        counter("generation_tokens_total", "generation", "Number of generation tokens processed."),
        Family(
            "request_finish_total",
            COUNTER,
            "Number of finished requests.",
            tuple(
                (f'finished_reason="{reason}"', f"done.{reason}") for reason in ("stop", "length", "abort")
            ),
        ),
        histogram("time_to_first_token_seconds", "ttft", TTFT[:16], "Time to first token in seconds."),
        histogram("time_per_output_token_seconds", "itl", TOKEN[:13], "Time per output token in seconds."),
        histogram("e2e_request_latency_seconds", "e2e", REQUEST[:15], "End to end request latency."),
        histogram("request_prompt_tokens", "prompt", SIZES, "Number of prefill tokens processed."),
        histogram("request_generation_tokens", "output", SIZES, "Number of generation tokens processed."),
    ),
)

"""Triton with TensorRT-LLM: sums of microseconds, from which only means can be had; a histogram by choice."""

from typing import Final

from localplane.engines.families import COUNTER, GAUGE, Dialect, Family, counter, gauge, histogram

FIRST_RESPONSE: Final = "nv_inference_first_response_histogram_ms"
FIRST_RESPONSE_MS: Final = (100.0, 500.0, 2000.0, 5000.0)

_FAILURES: Final = (
    ("REJECTED", "http.5xx"),
    ("CANCELED", "done.abort"),
    ("BACKEND", "none"),
    ("OTHER", "none"),
)

TRITON: Final = Dialect(
    labels='model="{model}",version="1"',
    python=False,
    families=(
        counter("nv_inference_request_success", "done.good", "Number of successful inference requests"),
        Family(
            "nv_inference_request_failure",
            COUNTER,
            "Number of failed inference requests",
            tuple((f'reason="{reason}"', key) for reason, key in _FAILURES),
        ),
        counter("nv_inference_count", "done", "Number of inferences performed"),
        counter("nv_inference_exec_count", "steps", "Number of model executions performed"),
        counter(
            "nv_inference_request_duration_us", "us.request", "Cumulative request duration in microseconds"
        ),
        counter("nv_inference_queue_duration_us", "us.queue", "Cumulative queuing duration in microseconds"),
        counter("nv_inference_compute_input_duration_us", "none", "Cumulative compute input duration"),
        counter(
            "nv_inference_compute_infer_duration_us", "us.infer", "Cumulative compute inference duration"
        ),
        counter("nv_inference_compute_output_duration_us", "none", "Cumulative compute output duration"),
        gauge("nv_inference_pending_request_count", "waiting", "Pending requests of the model"),
        Family(
            "nv_trt_llm_request_metrics",
            GAUGE,
            "TRT LLM request metrics",
            (
                ('request_type="waiting"', "waiting"),
                ('request_type="scheduled"', "running"),
                ('request_type="active"', "busy"),
                ('request_type="max"', "max.running"),
            ),
        ),
        Family(
            "nv_trt_llm_kv_cache_block_metrics",
            GAUGE,
            "TRT LLM KV cache block metrics",
            (
                ('kv_cache_block_type="fraction"', "kv"),
                ('kv_cache_block_type="max"', "kv.blocks"),
                ('kv_cache_block_type="used"', "kv.blocks.used"),
                ('kv_cache_block_type="free"', "kv.blocks.free"),
                ('kv_cache_block_type="tokens_per"', "block"),
            ),
        ),
        gauge("nv_gpu_utilization", "gpu.active", "GPU utilization rate [0.0 - 1.0)"),
        histogram(FIRST_RESPONSE, "ttft.ms", FIRST_RESPONSE_MS, "Time to the first response in ms"),
    ),
)

"""Text Generation Inference: no time to first token, no use of the KV cache; counters without `_total`."""

from typing import Final

from localplane.engines.families import Dialect, counter, gauge, histogram

DURATION: Final = tuple(0.0001 * 1.5**n for n in range(1, 36))
LENGTHS: Final = tuple(40.96 * n for n in range(1, 101))
BATCHES: Final = tuple(float(2**n) for n in range(11))

TGI: Final = Dialect(
    labels="",
    python=False,
    families=(
        gauge("tgi_queue_size", "waiting", "Current number of requests in the queue"),
        gauge("tgi_batch_current_size", "running", "Current batch size"),
        gauge("tgi_batch_current_max_tokens", "batch.tokens", "Maximum tokens of the current batch"),
        counter("tgi_request_count", "asked", "Total number of requests"),
        counter("tgi_request_success", "done.good", "Number of successful requests"),
        counter("tgi_request_failure", "done.abort", "Failed requests", 'err="generation"'),
        counter("tgi_batch_inference_count", "steps", "Inference calls", 'method="decode"'),
        counter("tgi_batch_inference_success", "steps", "Successful inference calls", 'method="decode"'),
        histogram("tgi_request_duration", "e2e", DURATION, "End to end request duration"),
        histogram("tgi_request_queue_duration", "queue", DURATION, "Time in the queue"),
        histogram("tgi_request_inference_duration", "inference", DURATION, "Time of inference"),
        histogram("tgi_request_validation_duration", "validation", DURATION, "Time of validation"),
        histogram("tgi_request_mean_time_per_token_duration", "tpot", DURATION, "Mean time per token"),
        histogram("tgi_request_generated_tokens", "output", LENGTHS, "Generated tokens per request"),
        histogram("tgi_request_input_length", "prompt", LENGTHS, "Input tokens per request"),
        histogram("tgi_request_max_new_tokens", "max", LENGTHS, "Maximum new tokens per request"),
        histogram("tgi_request_skipped_tokens", "none", LENGTHS, "Speculated tokens per request"),
        histogram(
            "tgi_batch_inference_duration", "step.whole", DURATION, "Batch inference", 'method="decode"'
        ),
        histogram("tgi_batch_forward_duration", "step", DURATION, "Batch forward", 'method="decode"'),
        histogram(
            "tgi_batch_decode_duration", "step.rest", DURATION, "Decoding of tokens", 'method="decode"'
        ),
    ),
)

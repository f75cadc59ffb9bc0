"""What each engine calls what is measured (facts/inference.md 3): the names of today, and those before.

What an engine does not tell is absent here, and an objective on it is Unsupported: no latency is made up from
means, and none from interpolated quantiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gpupool.model.slo import Sli

SECONDS: Final = 1.0
MILLISECONDS: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram by the name of its family, and the seconds that one unit of its bounds stands for."""

    name: str
    unit: float = SECONDS


@dataclass(frozen=True, slots=True)
class Ratio:
    """Counters of good and of bad requests; a bad one may be told by a label's first character."""

    good: tuple[str, ...]
    bad: tuple[str, ...]
    label: str = ""
    bad_values: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """The metrics of one engine; several names of one thing are tried in their order, the newest first."""

    running: str
    waiting: str
    latencies: Mapping[Sli, tuple[Histogram, ...]] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    how: Mapping[Sli, str] = field(default_factory=dict)
    """What to switch on for what is not exported by default."""


HTTP: Final = Ratio(("http_requests_total",), ("http_requests_total",), label="status", bad_values="5")
"""Of the HTTP layer before an engine: requests that the engine never saw are in it, told apart by status."""

ENGINES: Final[Mapping[str, Names]] = MappingProxyType(
    {
        "vLLM": Names(
            running="vllm:num_requests_running",
            waiting="vllm:num_requests_waiting",
            latencies={
                Sli.TTFT: (Histogram("vllm:time_to_first_token_seconds"),),
                Sli.ITL: (
                    Histogram("vllm:inter_token_latency_seconds"),
                    Histogram("vllm:time_per_output_token_seconds"),
                ),
                Sli.TPOT: (Histogram("vllm:request_time_per_output_token_seconds"),),
                Sli.E2E: (Histogram("vllm:e2e_request_latency_seconds"),),
                Sli.QUEUE: (Histogram("vllm:request_queue_time_seconds"),),
            },
            tokens=("vllm:generation_tokens_total",),
        ),
        "SGLang": Names(
            running="sglang:num_running_reqs",
            waiting="sglang:num_queue_reqs",
            latencies={
                Sli.TTFT: (Histogram("sglang:time_to_first_token_seconds"),),
                Sli.ITL: (Histogram("sglang:inter_token_latency_seconds"),),
                Sli.E2E: (Histogram("sglang:e2e_request_latency_seconds"),),
                Sli.QUEUE: (Histogram("sglang:queue_time_seconds"),),
            },
            tokens=("sglang:generation_tokens_total",),
        ),
        "TGI": Names(
            running="tgi_batch_current_size",
            waiting="tgi_queue_size",
            latencies={
                Sli.TPOT: (Histogram("tgi_request_mean_time_per_token_duration"),),
                Sli.E2E: (Histogram("tgi_request_duration"),),
                Sli.QUEUE: (Histogram("tgi_request_queue_duration"),),
            },
            tokens=("tgi_request_generated_tokens_sum",),
        ),
        "Triton": Names(
            running="nv_inference_pending_request_count",
            waiting="nv_inference_pending_request_count",
            latencies={Sli.TTFT: (Histogram("nv_inference_first_response_histogram_ms", MILLISECONDS),)},
            how={Sli.TTFT: "start Triton with --metrics-config histogram_latencies=true"},
        ),
        "NIM": Names(
            running="num_requests_running",
            waiting="num_requests_waiting",
            latencies={
                Sli.TTFT: (Histogram("time_to_first_token_seconds"),),
                Sli.ITL: (Histogram("time_per_output_token_seconds"),),
                Sli.TPOT: (Histogram("time_per_output_token_seconds"),),
                Sli.E2E: (Histogram("e2e_request_latency_seconds"),),
            },
            tokens=("generation_tokens_total",),
        ),
    }
)
"""By the name that `spec.engine` gives."""

AVAILABILITY: Final = (
    Ratio(("nv_inference_request_success",), ("nv_inference_request_failure",)),
    Ratio(("tgi_request_success",), ("tgi_request_failure",)),
    HTTP,
)
"""Sources of availability, the first that a pod exports counts."""


def histograms() -> tuple[str, ...]:
    """Families of all engines' histograms."""
    found = (h.name for names in ENGINES.values() for own in names.latencies.values() for h in own)
    return tuple(sorted(set(found)))


def counters() -> tuple[str, ...]:
    """Counters of tokens and of requests."""
    tokens = {name for names in ENGINES.values() for name in names.tokens}
    return tuple(sorted(tokens | {name for r in AVAILABILITY for name in (*r.good, *r.bad)}))


def gauges() -> tuple[str, ...]:
    """Gauges of running and waiting requests: every engine has them from its first moment."""
    return tuple(sorted({name for names in ENGINES.values() for name in (names.running, names.waiting)}))

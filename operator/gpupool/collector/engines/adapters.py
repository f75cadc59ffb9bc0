"""Where each engine tells what is diagnosed (facts/inference.md 3): several names of one thing, newest first.

What an engine does not tell is absent here: the signal is None, and the diagnosis says what it is blind to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from gpupool.collector.engines.names import ENGINES, Histogram, Names
from gpupool.collector.engines.questions import NO_PROBES
from gpupool.model.slo import Sli

MICROSECONDS: Final = 1e-6
MOST: Final = "/most"
"""Added to the word of a gauge where its highest value is meant."""


class Series(NamedTuple):
    """A metric name and more matchers; written as one word where answers name it."""

    name: str
    matcher: str = ""

    @property
    def word(self) -> str:
        """Its name in an answer."""
        return f"{self.name}{{{self.matcher}}}".replace('"', "'") if self.matcher else self.name


class Mean(NamedTuple):
    """Seconds per event: two counters, and the seconds of one unit of the first."""

    sum: Series
    events: Series
    unit: float = 1.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """One engine: gauges, counters and means, by the field of `model.signals.Engine` that they fill."""

    gauges: Mapping[str, tuple[Series, ...]]
    counters: Mapping[str, tuple[Series, ...]]
    means: Mapping[str, tuple[Mean, ...]] = field(default_factory=dict)


def _of(*names: str) -> tuple[Series, ...]:
    return tuple(Series(name) for name in names)


def _mean(*names: str) -> tuple[Mean, ...]:
    return tuple(Mean(Series(f"{name}_sum"), Series(f"{name}_count")) for name in names)


def _aborts(name: str) -> tuple[Series, ...]:
    return (Series(name, 'finished_reason="abort"'),)


HTTP: Final = MappingProxyType(
    {
        "answered": (Series("http_requests_total", NO_PROBES),),
        "refused": (Series("http_requests_total", f'status=~"5.*",{NO_PROBES}'),),
    }
)
_TRT: Final = "nv_trt_llm_request_metrics"

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType(
    {
        "vLLM": Adapter(
            gauges={
                "running": _of("vllm:num_requests_running"),
                "waiting": _of("vllm:num_requests_waiting"),
                "deferred": (Series("vllm:num_requests_waiting_by_reason", 'reason="deferred"'),),
                "kv": _of("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
            },
            counters={
                "preemptions": _of("vllm:num_preemptions_total"),
                "requests": _of("vllm:request_success_total"),
                "aborted": _aborts("vllm:request_success_total"),
                "prompt_tokens": _of("vllm:prompt_tokens_total"),
                "output_tokens": _of("vllm:generation_tokens_total"),
                "looked_up": _of("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
                "known": _of("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
                **HTTP,
            },
            means={
                "ttft": _mean("vllm:time_to_first_token_seconds"),
                "itl": _mean("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
                "queue": _mean("vllm:request_queue_time_seconds"),
            },
        ),
        "SGLang": Adapter(
            gauges={
                "running": _of("sglang:num_running_reqs"),
                "waiting": _of("sglang:num_queue_reqs"),
                "kv": _of("sglang:token_usage"),
            },
            counters={
                "preemptions": _of("sglang:num_retracted_requests_total"),
                "requests": _of("sglang:num_requests_total"),
                "aborted": _of("sglang:num_aborted_requests_total"),
                "prompt_tokens": _of("sglang:prompt_tokens_total"),
                "output_tokens": _of("sglang:generation_tokens_total"),
                "looked_up": _of("sglang:prompt_tokens_total"),
                "known": _of("sglang:cached_tokens_total"),
                **HTTP,
            },
            means={
                "ttft": _mean("sglang:time_to_first_token_seconds"),
                "itl": _mean("sglang:inter_token_latency_seconds"),
                "queue": _mean("sglang:queue_time_seconds"),
            },
        ),
        "TGI": Adapter(
            gauges={"running": _of("tgi_batch_current_size"), "waiting": _of("tgi_queue_size")},
            counters={
                "requests": _of("tgi_request_count"),
                "aborted": _of("tgi_request_failure"),
                "prompt_tokens": _of("tgi_request_input_length_sum"),
                "output_tokens": _of("tgi_request_generated_tokens_sum"),
            },
            means={
                "itl": _mean("tgi_request_mean_time_per_token_duration"),
                "queue": _mean("tgi_request_queue_duration"),
            },
        ),
        "Triton": Adapter(
            gauges={
                "running": (Series(_TRT, 'request_type="scheduled"'),),
                "waiting": (
                    Series(_TRT, 'request_type="waiting"'),
                    Series("nv_inference_pending_request_count"),
                ),
                "kv": (Series("nv_trt_llm_kv_cache_block_metrics", 'kv_cache_block_type="fraction"'),),
            },
            counters={
                "requests": _of("nv_inference_request_success"),
                "aborted": (Series("nv_inference_request_failure", 'reason!="REJECTED"'),),
                "refused": (Series("nv_inference_request_failure", 'reason="REJECTED"'),),
            },
            means={
                "queue": (
                    Mean(
                        Series("nv_inference_queue_duration_us"),
                        Series("nv_inference_request_success"),
                        MICROSECONDS,
                    ),
                ),
            },
        ),
        "NIM": Adapter(
            gauges={
                "running": _of("num_requests_running"),
                "waiting": _of("num_requests_waiting"),
                "kv": _of("gpu_cache_usage_perc"),
            },
            counters={
                "requests": _of("request_finish_total"),
                "aborted": _aborts("request_finish_total"),
                "prompt_tokens": _of("prompt_tokens_total"),
                "output_tokens": _of("generation_tokens_total"),
                **HTTP,
            },
            means={
                "ttft": _mean("time_to_first_token_seconds"),
                "itl": _mean("time_per_output_token_seconds"),
            },
        ),
    }
)
"""By the name that `spec.engine` gives."""


def gauges(more: Iterable[Adapter] = ()) -> tuple[Series, ...]:
    """Gauges of all engines, and of those whose owners gave names."""
    return _distinct(s for a in (*ADAPTERS.values(), *more) for found in a.gauges.values() for s in found)


def most_running(more: Iterable[Adapter] = ()) -> tuple[Series, ...]:
    """Gauges whose highest value is asked for too."""
    return _distinct(s for a in (*ADAPTERS.values(), *more) for s in a.gauges["running"])


def counters(more: Iterable[Adapter] = ()) -> tuple[Series, ...]:
    """Counters of all engines, those of their means included."""
    every = (*ADAPTERS.values(), *more)
    plain = [s for a in every for found in a.counters.values() for s in found]
    means = [m for a in every for found in a.means.values() for m in found]
    return _distinct((*plain, *(m.sum for m in means), *(m.events for m in means)))


def shapes(engine: str, sli: Sli) -> tuple[Histogram, ...]:
    """The histograms in which the form of a latency is seen; a request's mean for want of ITL."""
    return shapes_of(ENGINES[engine], sli)


def shapes_of(names: Names, sli: Sli) -> tuple[Histogram, ...]:
    """The same of any engine's names."""
    latencies = names.latencies
    return latencies.get(sli, ()) or (latencies.get(Sli.TPOT, ()) if sli is Sli.ITL else ())


def all_shapes() -> tuple[str, ...]:
    """Families of all of them."""
    found = (h.name for engine in ENGINES for sli in (Sli.TTFT, Sli.ITL) for h in shapes(engine, sli))
    return tuple(sorted(set(found)))


def _distinct(found: Iterable[Series]) -> tuple[Series, ...]:
    return tuple(dict.fromkeys(found))

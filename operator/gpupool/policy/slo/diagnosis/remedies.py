"""What to do about each cause, the cheapest first, and whether replicas help where nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gpupool.model.diagnosis import Cause, Help


class Remedy(NamedTuple):
    """Whether replicas help, and what to do."""

    replicas: Help
    text: str


REMEDIES: Final[Mapping[Cause, Remedy]] = MappingProxyType(
    {
        Cause.NONE: Remedy(Help.UNKNOWN, ""),
        Cause.NO_TRAFFIC: Remedy(
            Help.NO, "Nobody asks: scale down, or let several quiet models share a node."
        ),
        Cause.QUEUE_BOUND: Remedy(
            Help.PARTLY, "Raise the sequences that run at once (vLLM --max-num-seqs) first; then replicas."
        ),
        Cause.KV_CACHE_BOUND: Remedy(
            Help.PARTLY,
            "Make room first: a higher gpu_memory_utilization, FP8 KV cache, a shorter max_model_len, fewer"
            " sequences at once, more tensor parallelism; then replicas.",
        ),
        Cause.PREFILL_BOUND: Remedy(
            Help.YES,
            "Read less: prefix caching and routing by prefix, shorter prompts; or read faster: tensor"
            " parallelism, FP8, prefill apart from decode; replicas spread the prompts.",
        ),
        Cause.DECODE_BOUND: Remedy(
            Help.YES,
            "Quantize the weights, run fewer sequences at once, speculative decoding, a GPU of faster memory;"
            " replicas make each batch smaller.",
        ),
        Cause.BATCH_TOO_SMALL: Remedy(
            Help.NO, "Fewer replicas carry this load: lower the replicas, or pack models onto one node."
        ),
        Cause.PREFILL_INTERFERENCE: Remedy(
            Help.PARTLY,
            "Smaller chunks of prefill (vLLM --max-num-batched-tokens 2048), or prefill apart from decode.",
        ),
        Cause.INFEASIBLE_AT_BATCH_ONE: Remedy(
            Help.NO,
            "One request alone is too slow: a faster GPU, tensor parallelism, quantization, a smaller model,"
            " or a wider objective. Replicas change nothing.",
        ),
        Cause.ROUTING_SKEW: Remedy(
            Help.NO, "Route by load, and by prefix where it is cached (an endpoint picker), not round robin."
        ),
        Cause.CPU_BOUND: Remedy(
            Help.PARTLY,
            "Give the container more CPU, or no limit; more API servers (vLLM --api-server-count).",
        ),
        Cause.DATA_STARVED: Remedy(
            Help.NO, "Keep the data near: a local cache, faster storage, more loading workers."
        ),
        Cause.NETWORK_BOUND: Remedy(
            Help.NO, "Keep tensor parallelism inside a node (NVLink), and hops between the parts few."
        ),
        Cause.THROTTLED: Remedy(
            Help.PARTLY, "Cool the node, raise the power cap, or move the pod: cordon the node that is named."
        ),
        Cause.GPU_FAULT: Remedy(
            Help.NO, "Drain the node and replace the GPU; delete the pod that is named, so that it moves."
        ),
        Cause.COLD_START: Remedy(
            Help.NO,
            "Wait; later: images and weights near the nodes, a higher floor, an earlier trigger.",
        ),
        Cause.DEFERRED: Remedy(
            Help.NO, "Requests wait for adapters or grammars: raise --max-loras, pin adapters to pods."
        ),
        Cause.ERROR_BOUND: Remedy(Help.NO, "Requests fail: see the pods' logs, roll the last revision back."),
    }
)
"""facts/inference.md 4. Of Unknown nothing is said."""

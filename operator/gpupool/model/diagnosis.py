"""The words of diagnosis: what limits an endpoint, how sure that is, what would help."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gpupool.model.effects import Forecast


class Cause(StrEnum):
    """What limits an endpoint."""

    NONE = "None"
    UNKNOWN = "Unknown"
    NO_TRAFFIC = "NoTraffic"
    QUEUE_BOUND = "QueueBound"
    KV_CACHE_BOUND = "KVCacheBound"
    PREFILL_BOUND = "PrefillBound"
    DECODE_BOUND = "DecodeBound"
    BATCH_TOO_SMALL = "BatchTooSmall"
    PREFILL_INTERFERENCE = "PrefillInterference"
    INFEASIBLE_AT_BATCH_ONE = "InfeasibleAtBatchOne"
    ROUTING_SKEW = "RoutingSkew"
    CPU_BOUND = "CPUBound"
    DATA_STARVED = "DataStarved"
    NETWORK_BOUND = "NetworkBound"
    THROTTLED = "Throttled"
    GPU_FAULT = "GPUFault"
    COLD_START = "ColdStart"
    DEFERRED = "Deferred"
    ERROR_BOUND = "ErrorBound"


class Confidence(StrEnum):
    """How sure a cause is; Medium and High rest on two signals that agree."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class Help(StrEnum):
    """Whether more replicas help."""

    YES = "Yes"
    NO = "No"
    PARTLY = "Partly"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signal, what it shows, and the bound that it is beyond (`> 0.9`)."""

    signal: str
    value: float
    bound: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What limits an endpoint.

    Attributes:
        cause: one of them.
        confidence: how sure it is.
        replicas_help: whether more replicas help.
        evidence: the signals that agree.
        remedy: what to do, the cheapest first.
        blind: what to enable, where a signal that matters is not exported.
    """

    cause: Cause
    confidence: Confidence
    replicas_help: Help = Help.UNKNOWN
    evidence: tuple[Evidence, ...] = ()
    remedy: str = ""
    blind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do, the numbers that speak for it, and what it is expected to bring, also as numbers."""

    kind: str
    because: str
    expect: str
    forecast: Forecast | None = None

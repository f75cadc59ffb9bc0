"""The endpoints of the confusion table: one for each cause that can be put in, and healthy ones."""

from dataclasses import dataclass, field
from typing import Any, Final

from localplane.engines.causes import Fault

Json = dict[str, Any]


def promise(sli: str, threshold: str = "", percent: float = 95) -> Json:
    """An objective."""
    return {"sli": sli, "percent": percent} | ({"threshold": threshold} if threshold else {})


CHAT: Final = (promise("ttft", "500ms"), promise("itl", "50ms"), promise("availability", percent=99))


@dataclass(frozen=True)
class Case:
    """An endpoint: what is put into it, and what may be said of it."""

    wanted: str
    engine: Json = field(default_factory=dict)
    objectives: tuple[Json, ...] = CHAT
    replicas: int = 2

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong with it."""
        return "fault" not in self.engine


def _fault(fault: Fault, *objectives: Json, **more: Any) -> Case:
    return Case(fault.value, {"fault": fault.value, **more}, objectives or CHAT)


def _healthy(*objectives: Json, **engine: Any) -> Case:
    return Case("None", engine, objectives or CHAT)


CASES: Final = {
    **{
        fault.value.lower(): _fault(fault)
        for fault in Fault
        if fault
        not in {
            Fault.PREFILL_INTERFERENCE,
            Fault.COLD_START,
            Fault.THROTTLED,
            Fault.DATA_STARVED,
            Fault.NETWORK_BOUND,
        }
    },
    "prefillinterference": _fault(
        Fault.PREFILL_INTERFERENCE, promise("itl", "50ms", 99), promise("ttft", "2500ms", 90)
    ),
    "coldstart": _fault(Fault.COLD_START, start_after="240s"),
    "throttled": _fault(Fault.THROTTLED, expose="clock-events"),
    "datastarved": _fault(Fault.DATA_STARVED, load=4),
    "networkbound": _fault(Fault.NETWORK_BOUND, load=4),
    "plain": _healthy(load=8),
    "cached": _healthy(load=12, cache_hit=0.7),
    "writer": _healthy(load=3, prompt=300, output=800),
    "short": _healthy(load=16, prompt=200, output=100),
    "wide": _healthy(promise("ttft", "1s", 90), promise("itl", "50ms", 90), load=6, spread=0.9),
    "small": _healthy(load=20, model="llama-8b/1xH100"),
    "h200": _healthy(load=8, model="llama-70b-fp8/4xH200"),
    "busy": _healthy(promise("ttft", "500ms"), promise("itl", "100ms", 90), load=16),
    "old": _healthy(promise("ttft", "500ms"), load=8, engine="vllm-0.8"),
    "sglang": _healthy(promise("ttft", "400ms"), promise("itl", "60ms", 90), load=8, engine="sglang"),
    "triton": _healthy(
        promise("ttft", "500ms", 90), load=8, engine="triton", expose="first-response-histogram"
    ),
    "tgi": _healthy({"sli": "throughput", "percent": 90, "tokensPerSecond": 100}, load=8, engine="tgi"),
    "nim": _healthy(promise("ttft", "500ms"), load=8, engine="nim"),
    "crowded": _healthy(promise("ttft", "500ms"), load=6.4, max_seqs=16),
    "packed": _healthy(promise("ttft", "500ms"), load=3.3, prompt=1000, output=500, kv_tokens=24_000),
    "flooded": _healthy(promise("ttft", "500ms"), load=6.4, max_seqs=16),
}
"""By the name of the Deployment."""

_NO, _PARTLY = frozenset({"No"}), frozenset({"Partly"})
ANSWERS: Final = {
    "None": frozenset({"Unknown", "No"}),
    **dict.fromkeys(
        ("NoTraffic", "ColdStart", "BatchTooSmall", "GPUFault", "ErrorBound", "Deferred", "RoutingSkew"), _NO
    ),
    "InfeasibleAtBatchOne": _NO,
    **dict.fromkeys(("QueueBound", "KVCacheBound", "DecodeBound", "PrefillInterference"), _PARTLY),
    **dict.fromkeys(("CPUBound", "Throttled"), _PARTLY),
    **dict.fromkeys(("DataStarved", "NetworkBound", "PrefillBound"), _NO | _PARTLY),
}
"""What may be said of replicas, by what is put into a case above. None of them is met with a replica more, so
none is a Yes; where load is the reason none is a No. `test_answers.py` asks the simulated engines."""
MAY_BE_UNKNOWN: frozenset[str] = frozenset()
"""Causes that may stay unnamed: none."""

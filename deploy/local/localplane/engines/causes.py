"""What can be wrong with an endpoint, as parameters of the simulation: one row a cause, with its reason.

The rates are requests/s of a whole workload of two pods of the model `llama-70b-fp8/4xH100`; they hold where
a pod names a fault and no load. Nothing here writes a metric: the signatures come out of the simulation.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from localplane.engines.lengths import Mix

PATIENCE: Final = 2_000
"""Requests that wait at a pod before it refuses more (HTTP 503)."""


class Fault(StrEnum):
    """The causes that can be put into an endpoint; spelled as the diagnosis names them."""

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
    NO_TRAFFIC = "NoTraffic"


@dataclass(frozen=True, slots=True)
class Slower:
    """Factors on the four numbers of `Speed`, and on all of them."""

    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    delta: float = 1.0
    all: float = 1.0


@dataclass(frozen=True, slots=True)
class Side:
    """What shows beside the engine while it works.

    Attributes:
        active: part of a step in which the GPU computes, 0 to 1.
        units: what tensor cores and memory do then, as a part of the usual.
        clock: SM clock as a part of the usual.
        event: clock event of DCGM (opt-in), and heat and power at their limits.
        xid: XID of the first pod's GPUs, and their failed row remapping.
        cpu: cores at work, as a part of the limit.
        throttled: part of the CFS periods that were throttled.
        pressure: seconds of a second in which something waits for CPU, input/output, memory.
        reads: bytes/s from disk.
        nic: use of the network link, 0 to 1; drops and NVLink go with it.
    """

    active: float = 1.0
    units: float = 1.0
    clock: float = 1.0
    event: str = ""
    xid: int = 0
    cpu: float = 0.3
    throttled: float = 0.0
    pressure: tuple[float, float, float] = (0.01, 0.002, 0.0)
    reads: float = 1e5
    nic: float = 0.001


@dataclass(frozen=True, slots=True)
class Cause:
    """One row.

    Attributes:
        rate: requests/s of a workload of two pods, where no load is given.
        heard: part of the load that arrives.
        max_seqs: sequences that run at once; 0 leaves the model's.
        kv_tokens: tokens of context that fit; 0 leaves the model's.
        patience: requests waiting at a pod at which clients hold back: a closed loop, so that a queue stays.
        skew: pods get shares 1, 1/2**skew, 1/3**skew ... by name; 0 is least loaded first. The prefix cache
            then knows less the more pods there are.
        deferred: part of the requests that wait for an adapter first, and how many seconds.
        errors: part of the requests that fail, half before the engine (5xx), half in it (abort).
        first_only: only the first pod by name has it.
    """

    why: str
    mix: Mix = field(default_factory=Mix)
    rate: float = 8.0
    heard: float = 1.0
    slower: Slower = Slower()
    max_seqs: int = 0
    kv_tokens: int = 0
    patience: int = PATIENCE
    skew: float = 0.0
    deferred: tuple[float, float] = (0.0, 0.0)
    errors: float = 0.0
    first_only: bool = False
    side: Side = field(default_factory=Side)


HEALTHY: Final = Cause("nothing is wrong")

CAUSES: Final = MappingProxyType(
    {
        Fault.QUEUE_BOUND: Cause(
            "16 sequences of 250 tokens at 12 ms and a prompt of 45 ms each end 4.2 times a second: 6 arrive",
            rate=12.0,
            max_seqs=16,
            patience=40,
        ),
        Fault.KV_CACHE_BOUND: Cause(
            "24,000 tokens hold 19 sequences that grow to 1,500: the next waits, some are put back",
            mix=Mix(prompt=1000, output=500),
            rate=8.0,
            kv_tokens=24_000,
            patience=40,
        ),
        Fault.PREFILL_BOUND: Cause(
            "a prompt of 16,000 tokens takes 0.7 s alone, and one a second comes: they wait for each other",
            mix=Mix(prompt=16_000, output=24, spread=0.35),
            rate=2.1,
        ),
        Fault.DECODE_BOUND: Cause(
            "slow memory: a step of one sequence takes 33 ms, of 140 it takes 69",
            mix=Mix(prompt=200, output=500, spread=0.4),
            rate=8.0,
            slower=Slower(alpha=3, beta=4, gamma=2),
        ),
        Fault.BATCH_TOO_SMALL: Cause(
            "600 tokens at 11 ms, three times in ten seconds: the weights are read for two sequences",
            mix=Mix(prompt=200, output=600, spread=0.3),
            rate=0.6,
        ),
        Fault.PREFILL_INTERFERENCE: Cause(
            "few very long prompts among many short ones: whoever writes meanwhile halts for a whole chunk",
            mix=Mix(prompt=4_000, output=300, spread=1.3),
            rate=3.0,
        ),
        Fault.INFEASIBLE_AT_BATCH_ONE: Cause(
            "66 ms a token and 1.8 s for a prompt with nobody else there",
            mix=Mix(prompt=1000, output=20, spread=0.25),
            rate=0.3,
            slower=Slower(alpha=6, delta=40),
        ),
        Fault.ROUTING_SKEW: Cause(
            "nine of ten requests go to the first pod, which runs 16 at once; the cache is split",
            mix=Mix(cached=0.6),
            rate=12.0,
            max_seqs=16,
            patience=40,
            skew=3.0,
        ),
        Fault.CPU_BOUND: Cause(
            "tokens wait for a tokenizer at its CPU limit: the GPU works 40 % of each step",
            rate=5.0,
            slower=Slower(all=2.5),
            side=Side(active=0.4, cpu=1.0, throttled=0.45, pressure=(0.6, 0.002, 0.0)),
        ),
        Fault.DATA_STARVED: Cause(
            "each step waits for data from disk: the GPU works 30 % of it",
            rate=3.0,
            slower=Slower(all=3.3),
            side=Side(active=0.3, pressure=(0.01, 0.65, 0.0), reads=1.6e9),
        ),
        Fault.NETWORK_BOUND: Cause(
            "a step is mostly an all-reduce over a full link: kernels spin, tensor cores and memory rest",
            rate=3.0,
            slower=Slower(all=3.3),
            side=Side(units=0.3, nic=0.95),
        ),
        Fault.THROTTLED: Cause(
            "70 % of the clock makes every step 1.4 times as long, at the power limit",
            rate=10.0,
            slower=Slower(all=1.4),
            side=Side(clock=0.7, event="sw_thermal"),
        ),
        Fault.GPU_FAULT: Cause(
            "one pod's GPU reports a contained memory error, is slow and loses a third of its requests",
            slower=Slower(all=3.0),
            errors=0.3,
            first_only=True,
            side=Side(xid=94),
        ),
        Fault.COLD_START: Cause(
            "start-after is 120 s unless given; the pods are healthy once they are Ready", rate=8.0
        ),
        Fault.DEFERRED: Cause(
            "a third of the requests waits 6 s for its LoRA adapter, with room for all of them",
            rate=4.0,
            deferred=(0.35, 6.0),
        ),
        Fault.ERROR_BOUND: Cause("a quarter of the requests fails, at no cost to the others", errors=0.25),
        Fault.NO_TRAFFIC: Cause("nobody asks", rate=0.0, heard=0.0),
    }
)

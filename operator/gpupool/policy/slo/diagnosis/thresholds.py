"""Every number that the diagnosis compares with, and where it comes from.

"ours" are starting values without a source; what they were checked against is in designs/0020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """A number, and the reason for it."""

    value: float
    why: str


LEAST_EVENTS: Final = Limit(20, "ours: of fewer requests a share says nothing")
MARGIN: Final = Limit(1.25, "ours: bad events beyond the budget by a quarter, so that noise names no cause")
SIGMAS: Final = Limit(2, "ours: and by two standard deviations of a binomial count")

KV_FULL: Final = Limit(0.9, "vLLM optimization.md: preemptions begin when the cache is full")
KV_ROOM: Final = Limit(0.7, "ours: below, requests do not wait for the cache (GIE and WVA call 0.8 full)")
PREEMPTIONS: Final = Limit(0.01, "vLLM: any preemption is a sign; one in 100 s is above chance")
WAITING: Final = Limit(1, "ours: on average somebody waits at every pod (GIE's queue threshold is 5)")
WAITING_LITTLE: Final = Limit(0.5, "ours: a queue that is mostly empty")
AT_THE_CAP: Final = Limit(0.9, "ours: as many run on average as ever: a cap, not the tide of requests")
QUEUE_SHARE: Final = Limit(0.5, "ours: more than half of the time to the first token is the queue")
DEFERRED_SHARE: Final = Limit(0.5, "ours: most of those that wait do not wait for room")

RUNNING_ALONE: Final = Limit(1.5, "Dynamo PR 11624: a batch of one that is too slow is not cured by replicas")
OFTEN_BAD: Final = Limit(
    0.5, "ours: where half is late, one replica more rarely brings all but the budget in time"
)
ALL_BAD: Final = Limit(0.95, "ours: practically no event is good")
RUNNING_FEW: Final = Limit(4, "ours: the weights are read for so few sequences (roofline)")
GPU_FULL: Final = Limit(0.9, "ours: GR_ENGINE_ACTIVE of a GPU that has no pauses")
RUNNING_MANY: Final = Limit(8, "ours: a batch, in which one more sequence costs everybody")

SKEW: Final = Limit(0.5, "ours: standard deviation over mean of the pods' requests")

GPU_RESTING: Final = Limit(0.6, "ours: GR_ENGINE_ACTIVE of a GPU that somebody else holds up")
GPU_WORKING: Final = Limit(0.5, "ours: below, clocks and heat of a GPU say nothing of its work")
DRAM_BUSY: Final = Limit(0.6, "DCGM guide: DRAM_ACTIVE peaks near 0.8")
DRAM_READS: Final = Limit(0.5, "ours: memory works, without being at its limit")
DRAM_RESTING: Final = Limit(0.35, "ours: half of what decoding shows")
TENSOR_BUSY: Final = Limit(0.4, "DCGM guide: 0.93 is a benchmark's; prefill reaches half of it and more")
TENSOR_LITTLE: Final = Limit(0.3, "roofline: decoding leaves the tensor cores idle")
TENSOR_RESTING: Final = Limit(0.2, "ours: neither prefill nor decode in large batches")

THROTTLED_PERIODS: Final = Limit(0.1, "ours: one CFS period in ten is cut short")
CPU_LIMIT: Final = Limit(0.9, "ours: on average nine tenths of the limit; its peaks are cut short")
CPU_PRESSURE: Final = Limit(0.25, "ours: PSI, something waits for a CPU a quarter of the time (KEP-4205)")
IO_PRESSURE: Final = Limit(0.25, "ours: PSI, something waits for a disk a quarter of the time (KEP-4205)")
DISK_READS: Final = Limit(1e8, "ours: bytes/s that a loaded model does not need any more")
NETWORK: Final = Limit(1e9, "ours: bytes/s; text of an answer is thousandfold less, 25 GbE carries 3e9")
DROPS: Final = Limit(0, "a dropped packet costs a retransmission")

CLOCK: Final = Limit(0.85, "ours: a GPU at work more than 15 % below the clock its model reaches")
HEAT: Final = Limit(80, "ours: °C; NVIDIA's data centre GPUs slow down from 83 to 92")
SLOWER: Final = Limit(1.5, "ours: tokens of a pod against those of its fastest sibling")
ERRORS: Final = Limit(0.05, "ours: part of the requests without an answer")
MORE_ERRORS: Final = Limit(3, "ours: a pod's part of errors against that of the best sibling")

TAIL: Final = Limit(3, "ours: tokens later than three times the fullest bucket were held up")
PROMPT_LONG: Final = Limit(1000, "ours: tokens; a prompt of less is read within a few steps")
PROMPT_HEAVY: Final = Limit(10, "ours: prompt tokens per token written, above which reading dominates")

START_LONGEST: Final = Limit(900, "ours: seconds; WVA measured 2 to 7 minutes until a pod is ready")
START_SLOW: Final = Limit(2, "ours: times the usual start-up (p90), after which it is no cold start")

HARDWARE_XIDS: Final = frozenset({48, 63, 64, 74, 79, 94, 95})
"""NVIDIA's XID catalogue: memory errors, remapping, NVLink, off the bus; others are the application's."""

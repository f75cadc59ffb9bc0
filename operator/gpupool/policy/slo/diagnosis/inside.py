"""Rules about the engine and its GPU: room, batch, prompts, memory bandwidth."""

from __future__ import annotations

from gpupool.model.diagnosis import Evidence
from gpupool.model.signals import share
from gpupool.model.slo import Sli
from gpupool.policy.slo.diagnosis.evidence import Found, agreeing, also, over, under
from gpupool.policy.slo.diagnosis.situation import FIRST, TOKENS, Situation
from gpupool.policy.slo.diagnosis.thresholds import (
    ALL_BAD,
    AT_THE_CAP,
    DRAM_BUSY,
    GPU_RESTING,
    KV_FULL,
    KV_ROOM,
    PREEMPTIONS,
    PROMPT_HEAVY,
    PROMPT_LONG,
    QUEUE_SHARE,
    RUNNING_ALONE,
    RUNNING_MANY,
    TAIL,
    TENSOR_BUSY,
    TENSOR_LITTLE,
    WAITING,
    WAITING_LITTLE,
)


def infeasible(it: Situation) -> Found:
    """A request that is alone in its batch is already too slow."""
    slow = [o for o in it.objectives if o.missed and o.objective.sli in (FIRST | TOKENS) - {Sli.THROUGHPUT}]
    worst = max(slow, key=lambda o: o.bad or 0.0, default=None)
    if worst is None:
        return ()
    return agreeing(
        under("requests running at a pod", it.running, RUNNING_ALONE),
        under("requests waiting at a pod", it.waiting, WAITING_LITTLE),
        over(f"bad events of {worst.objective.sli.value}", worst.bad, ALL_BAD),
    )


def kv_cache_bound(it: Situation) -> Found:
    """The KV cache is full: requests wait for it, or are put back."""
    if not it.missed():
        return ()
    full = agreeing(over("KV cache use", it.kv, KV_FULL))
    return _with(
        full,
        over("preemptions a second", it.signals.sum(lambda p: p.engine.preemptions), PREEMPTIONS),
        over("requests waiting at a pod", it.waiting, WAITING),
    )


def _with(found: Found, *signals: Evidence | None) -> Found:
    """What was found, where something else speaks for it too."""
    more = also(found, *signals)
    return more if len(more) > len(found) else ()


def queue_bound(it: Situation) -> Found:
    """Requests wait for a place in the batch, with room in the KV cache, and tokens come in time.

    The cap is seen where as many run all the time as ever: requests that wait for something else come and go.
    """
    queue = it.queue_share
    if not it.missed(FIRST) or it.missed({Sli.ITL, Sli.TPOT}):
        return ()
    if queue is not None and queue <= QUEUE_SHARE.value:
        return ()
    cap = it.signals.mean(lambda p: share(p.engine.running, p.engine.running_most))
    return also(
        agreeing(
            over("requests waiting at a pod", it.waiting, WAITING),
            under("KV cache use", it.kv, KV_ROOM),
            over("requests running / most that ever ran", cap, AT_THE_CAP),
        ),
        over("part of the time to the first token that is the queue", queue, QUEUE_SHARE),
    )


def prefill_bound(it: Situation) -> Found:
    """First tokens are late, not because requests wait but because prompts take long to read."""
    queue = it.queue_share
    if not it.missed(FIRST) or (queue is not None and queue > QUEUE_SHARE.value):
        return ()
    heavy = share(
        it.signals.sum(lambda p: p.engine.prompt_tokens), it.signals.sum(lambda p: p.engine.output_tokens)
    )
    return agreeing(
        over("PIPE_TENSOR_ACTIVE", it.tensor, TENSOR_BUSY),
        over("prompt tokens per token written", heavy, PROMPT_HEAVY),
        over("prompt tokens of a request", it.signals.mean(lambda p: p.engine.prompt), PROMPT_LONG),
        over("requests running at a pod", it.running, RUNNING_ALONE),
    )


def prefill_interference(it: Situation) -> Found:
    """Most tokens come in time, some much later: prompts are read between them."""
    late = [o for o in it.objectives if o.missed and o.objective.sli in {Sli.ITL, Sli.TPOT}]
    mode = it.signals.itl.mode
    if not late or mode is None or it.missed({Sli.TTFT, Sli.QUEUE}):
        return ()
    limit, budget = late[0].objective.threshold or 0.0, late[0].objective.error_budget
    tail = it.signals.itl.above(TAIL.value * mode)
    return agreeing(
        Evidence("fullest bucket of the time per token", mode, f"<= {limit:g}") if mode <= limit else None,
        over("tokens three times as late", tail, budget / 2),
        over("prompt tokens of a request", it.signals.mean(lambda p: p.engine.prompt), PROMPT_LONG),
        over("GR_ENGINE_ACTIVE", it.active, GPU_RESTING),
        under("requests waiting at a pod", it.waiting, WAITING_LITTLE),
    )


def decode_bound(it: Situation) -> Found:
    """Tokens come late because the memory is read as fast as it can be, for a batch of many."""
    if not it.missed(TOKENS):
        return ()
    return agreeing(
        over("DRAM_ACTIVE", it.dram, DRAM_BUSY),
        under("PIPE_TENSOR_ACTIVE", it.tensor, TENSOR_LITTLE),
        over("requests running at a pod", it.running, RUNNING_MANY),
        under("KV cache use", it.kv, KV_FULL),
        _typical(it),
    )


def _typical(it: Situation) -> Evidence | None:
    """Already the usual token is too late, not only some."""
    limits = [
        o.objective.threshold
        for o in it.objectives
        if o.missed and o.objective.sli in {Sli.ITL, Sli.TPOT} and o.objective.threshold
    ]
    return over(
        "mean time per token", it.signals.mean(lambda p: p.engine.itl), min(limits) if limits else 0.0
    )

"""Rules about what is around the engine: adapters, CPU, disk, network, the way requests are spread."""

from __future__ import annotations

from gpupool.model.signals import share, variation
from gpupool.policy.slo.diagnosis.evidence import Found, agreeing, also, over, some, under
from gpupool.policy.slo.diagnosis.situation import FIRST, Situation
from gpupool.policy.slo.diagnosis.thresholds import (
    CPU_LIMIT,
    CPU_PRESSURE,
    DEFERRED_SHARE,
    DISK_READS,
    DRAM_RESTING,
    DROPS,
    GPU_RESTING,
    IO_PRESSURE,
    KV_ROOM,
    NETWORK,
    SKEW,
    TENSOR_RESTING,
    THROTTLED_PERIODS,
    WAITING,
    WAITING_LITTLE,
)


def deferred(it: Situation) -> Found:
    """Requests wait for an adapter or a grammar, with room for them."""
    if not it.missed(FIRST):
        return ()
    waits = it.signals.sum(lambda p: p.engine.deferred)
    return agreeing(
        over("deferred requests at a pod", it.signals.mean(lambda p: p.engine.deferred), WAITING_LITTLE),
        over(
            "part of the waiting that is deferred",
            share(waits, it.signals.sum(lambda p: p.engine.waiting)),
            DEFERRED_SHARE,
        ),
        under("KV cache use", it.kv, KV_ROOM),
    )


def cpu_bound(it: Situation) -> Found:
    """The GPU rests while requests run, and CPU is what it waits for.

    Throttling and use at the limit are two views of one thing: without a GPU that rests, pressure must agree.
    """
    if not it.missed() or not it.running:
        return ()
    rests = agreeing(under("GR_ENGINE_ACTIVE", it.active, GPU_RESTING))
    held = some(
        1,
        over("CFS periods throttled", it.signals.most(lambda p: p.host.throttled), THROTTLED_PERIODS),
        over("CPU in use / limit", it.signals.most(lambda p: p.at_limit), CPU_LIMIT),
    )
    waits = agreeing(over("CPU pressure", it.signals.most(lambda p: p.host.cpu_pressure), CPU_PRESSURE))
    enough = (held or waits) if rests else (held and waits)
    return (*rests, *held, *waits) if enough else ()


def data_starved(it: Situation) -> Found:
    """The GPU rests while requests run, and a disk is what it waits for."""
    if not it.missed() or not it.running:
        return ()
    return also(
        agreeing(
            under("GR_ENGINE_ACTIVE", it.active, GPU_RESTING),
            over("input/output pressure", it.signals.most(lambda p: p.host.io_pressure), IO_PRESSURE),
        ),
        over("bytes read a second", it.signals.most(lambda p: p.host.reads), DISK_READS),
    )


def network_bound(it: Situation) -> Found:
    """Tensor cores and memory rest while requests run, and the link is full."""
    if not it.missed() or not it.running:
        return ()
    return also(
        agreeing(
            over("network bytes a second", it.signals.most(lambda p: p.host.network), NETWORK),
            under("PIPE_TENSOR_ACTIVE", it.tensor, TENSOR_RESTING),
            under("DRAM_ACTIVE", it.dram, DRAM_RESTING),
        ),
        over("packets dropped a second", it.signals.most(lambda p: p.host.drops), DROPS),
    )


def routing_skew(it: Situation) -> Found:
    """Requests wait at some pods while others have room; a pod that has just come is empty for a while."""
    if not it.missed(FIRST):
        return ()
    new = {s.name for s in it.signals.started if s.ago < it.signals.window}
    pods = [p for p in it.signals.pods if p.name not in new and p.engine.waiting is not None]
    waiting = [p.engine.waiting or 0.0 for p in pods]
    loads = [(p.engine.running or 0.0) + (p.engine.waiting or 0.0) for p in pods]
    return agreeing(
        over("variation of requests over pods", variation(loads), SKEW),
        over("requests waiting at the fullest pod", max(waiting, default=None), WAITING),
        under("requests waiting at the emptiest pod", min(waiting, default=None), WAITING_LITTLE),
    )

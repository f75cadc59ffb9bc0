"""What would bring more than another GPU, with the numbers that speak for it and what may be expected.

The expectations are arithmetic on what was measured, said with its assumption; none is a promise.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

from gpupool.model.diagnosis import Advice, Cause, Diagnosis
from gpupool.model.effects import Forecast, Lever, Measure
from gpupool.model.signals import share
from gpupool.model.slo import Sli
from gpupool.policy.slo.diagnosis.replicas import TRUSTED
from gpupool.policy.slo.diagnosis.situation import Situation
from gpupool.policy.slo.diagnosis.thresholds import DRAM_READS, KV_ROOM, PROMPT_LONG

MOST: Final = 3
"""Pieces of advice that are given."""
CACHE_LITTLE: Final = 0.3
"""Part of prompt tokens known to the cache below which caching is worth a look."""
CACHED: Final = 0.5
"""Hit rate that an expectation assumes."""
PREFILL: Final = frozenset({Cause.PREFILL_BOUND, Cause.PREFILL_INTERFERENCE})
MEMORY: Final = frozenset({Cause.DECODE_BOUND, Cause.INFEASIBLE_AT_BATCH_ONE})

Rule = Callable[[Situation, Cause], Advice | None]


def advise(it: Situation, diagnosis: Diagnosis) -> tuple[Advice, ...]:
    """Advice that fits what limits an endpoint, the most telling first."""
    found = (rule(it, diagnosis.cause) for rule in RULES)
    return tuple(advice for advice in found if advice is not None)[:MOST]


def _batching(it: Situation, cause: Cause) -> Advice | None:
    running, waiting, kv = it.running, it.waiting, it.kv
    if cause is not Cause.QUEUE_BOUND or not running or not waiting or not kv:
        return None
    room = running * KV_ROOM.value / kv
    more = min(running + waiting, room)
    return Advice(
        "Batching",
        f"{waiting:.1f} requests wait at a pod while {running:.1f} run in {100 * kv:.0f} % of the KV cache.",
        f"With at least {ceil(more)} sequences at once (--max-num-seqs) those that wait would run; the cache"
        f" holds up to {room:.0f} at {100 * KV_ROOM.value:.0f} %.",
        Forecast(Measure.RUNNING, running, more, Lever.RECIPE, recipe=it.signals.recipe),
    )


def _kv_cache(it: Situation, cause: Cause) -> Advice | None:
    running, kv = it.running, it.kv
    if cause is not Cause.KV_CACHE_BOUND or not running or not kv:
        return None
    return Advice(
        "KVCache",
        f"{running:.1f} requests fill {100 * kv:.0f} % of the KV cache, {it.waiting or 0.0:.1f} wait there.",
        f"In 8 bit the same memory would hold about {2 * running / kv:.0f} of them.",
        Forecast(Measure.FITS, running / kv, 2 * running / kv, Lever.RECIPE, recipe=it.signals.recipe),
    )


def _routing(it: Situation, cause: Cause) -> Advice | None:
    waiting = it.signals.values(lambda p: p.engine.waiting)
    if cause is not Cause.ROUTING_SKEW:
        return None
    mean = sum(waiting) / len(waiting)
    return Advice(
        "Routing",
        f"{max(waiting):.1f} requests wait at the fullest pod, {min(waiting):.1f} at the emptiest.",
        f"Sent to the least loaded pod, at most {mean:.1f} would wait at each.",
        Forecast(Measure.FULLEST, max(waiting), mean, Lever.SPREAD, level=max(waiting)),
    )


def _prefix_cache(it: Situation, cause: Cause) -> Advice | None:
    prompt = it.signals.mean(lambda p: p.engine.prompt)
    known = it.signals.sum(lambda p: p.engine.known)
    hits = share(known, it.signals.sum(lambda p: p.engine.looked_up))
    ttft = it.signals.mean(lambda p: p.engine.ttft)
    if cause not in PREFILL or prompt is None or prompt < PROMPT_LONG.value or ttft is None:
        return None
    if hits is None or hits > CACHE_LITTLE:
        return None
    then = ttft * (1 - CACHED) / (1 - hits)
    return Advice(
        "PrefixCaching",
        f"Prompts have {prompt:.0f} tokens, {100 * hits:.0f} % of them known to the prefix cache.",
        f"Where {100 * CACHED:.0f} % could be known (shared instructions first, routing by prefix), the first"
        f" token would come after {then:.2f} s in place of {ttft:.2f} s.",
        Forecast(Measure.TTFT, 1e3 * ttft, 1e3 * then, Lever.CACHE_HITS, level=hits),
    )


def _quantization(it: Situation, cause: Cause) -> Advice | None:
    itl, dram = it.signals.mean(lambda p: p.engine.itl), it.dram
    if cause not in MEMORY or itl is None or dram is None or dram < DRAM_READS.value:
        return None
    return Advice(
        "Quantization",
        f"A token takes {1e3 * itl:.0f} ms with the memory busy for {100 * dram:.0f} % of the time.",
        f"Half the bytes (FP8 for 16 bit) would bring it to {1e3 * itl * (1 - dram / 2):.0f} ms at best, and"
        " leave more room for the KV cache.",
        Forecast(Measure.ITL, 1e3 * itl, 1e3 * itl * (1 - dram / 2), Lever.RECIPE, recipe=it.signals.recipe),
    )


def _smaller_model(it: Situation, cause: Cause) -> Advice | None:
    if cause is not Cause.INFEASIBLE_AT_BATCH_ONE:
        return None
    means = {
        Sli.TTFT: it.signals.mean(lambda p: p.engine.ttft),
        Sli.ITL: it.signals.mean(lambda p: p.engine.itl),
    }
    factors = [
        (mean / o.objective.threshold, o.objective.sli, mean, o.objective.threshold)
        for o in it.objectives
        if o.missed and o.objective.threshold and (mean := means.get(o.objective.sli))
    ]
    if not factors:
        return None
    factor, sli, mean, threshold = max(factors)
    return Advice(
        "SmallerModel",
        f"Alone in its batch a request has {sli.value} of {mean:.3g} s; {threshold:g} s are promised.",
        f"A model or GPU at least {factor:.1f} times as fast, or an objective of {mean:.2g} s.",
        Forecast(
            Measure.TTFT if sli is Sli.TTFT else Measure.ITL,
            1e3 * mean,
            1e3 * threshold,
            Lever.RECIPE,
            recipe=it.signals.recipe,
        ),
    )


def _consolidation(it: Situation, cause: Cause) -> Advice | None:
    replicas = len(it.signals.pods)
    if cause not in {Cause.BATCH_TOO_SMALL, Cause.NO_TRAFFIC} or not replicas:
        return None
    running = it.signals.sum(lambda p: p.engine.running) or 0.0
    carried = it.carried(TRUSTED)
    because = f"{running:.1f} requests run on {replicas} replicas."
    if cause is Cause.NO_TRAFFIC:
        return Advice("Consolidation", because, f"At scale zero {replicas} replicas' GPUs would be free.")
    less = _fewer(because, f"One replica less still runs {running / (replicas - 1):.1f}.", it, replicas - 1)
    if carried is None:
        return less
    needed = max(1, ceil((it.load or 0.0) * replicas / carried))
    if needed >= replicas:
        return less
    text = f"A replica was seen to carry {carried:.3g} requests/s: {needed} of {replicas} would do."
    return _fewer(because, text, it, needed)


def _fewer(because: str, expect: str, it: Situation, replicas: int) -> Advice:
    """Fewer replicas that run what all of them do."""
    present, running = len(it.signals.pods), it.signals.sum(lambda p: p.engine.running) or 0.0
    forecast = Forecast(
        Measure.RUNNING, running / present, running / replicas, Lever.REPLICAS, level=float(present)
    )
    return Advice("Consolidation", because, expect, forecast)


RULES: Final[tuple[Rule, ...]] = (
    _batching,
    _kv_cache,
    _routing,
    _prefix_cache,
    _smaller_model,
    _quantization,
    _consolidation,
)

"""The rules in their order; the first that finds agreeing signals names the cause.

What is broken stands before what is scarce, and what is around the engine before what is in it: a GPU that
waits for a disk also has a long queue. A rule that sees less than it needs says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gpupool.model.diagnosis import Cause, Confidence, Diagnosis, Evidence, Help
from gpupool.policy.slo.diagnosis import around, hardware, inside, quiet
from gpupool.policy.slo.diagnosis.blind import blind
from gpupool.policy.slo.diagnosis.evidence import Found
from gpupool.policy.slo.diagnosis.remedies import REMEDIES
from gpupool.policy.slo.diagnosis.replicas import would_help
from gpupool.policy.slo.diagnosis.situation import Situation

Rule = Callable[[Situation], Found]

CHAIN: Final[tuple[tuple[Cause, Rule], ...]] = (
    (Cause.COLD_START, hardware.cold_start),
    (Cause.GPU_FAULT, hardware.gpu_fault),
    (Cause.ERROR_BOUND, hardware.error_bound),
    (Cause.NO_TRAFFIC, quiet.no_traffic),
    (Cause.THROTTLED, hardware.throttled),
    (Cause.DEFERRED, around.deferred),
    (Cause.CPU_BOUND, around.cpu_bound),
    (Cause.DATA_STARVED, around.data_starved),
    (Cause.NETWORK_BOUND, around.network_bound),
    (Cause.INFEASIBLE_AT_BATCH_ONE, inside.infeasible),
    (Cause.ROUTING_SKEW, around.routing_skew),
    (Cause.KV_CACHE_BOUND, inside.kv_cache_bound),
    (Cause.QUEUE_BOUND, inside.queue_bound),
    (Cause.PREFILL_BOUND, inside.prefill_bound),
    (Cause.PREFILL_INTERFERENCE, inside.prefill_interference),
    (Cause.DECODE_BOUND, inside.decode_bound),
    (Cause.BATCH_TOO_SMALL, quiet.batch_too_small),
)
SURE: Final = 3
"""Signals that agree where a cause is called sure."""
AGREE: Final = 2
"""And where it is called likely."""


def diagnose(it: Situation) -> Diagnosis:
    """What limits an endpoint."""
    for cause, rule in CHAIN:
        if found := rule(it):
            return _named(cause, found, it)
    return _nothing(it)


def _named(cause: Cause, found: Found, it: Situation) -> Diagnosis:
    remedy = REMEDIES[cause]
    replicas, why = would_help(cause, remedy.replicas, it)
    confidence = _confidence(len(found))
    missing = () if confidence is Confidence.HIGH else blind(it)
    return Diagnosis(cause, confidence, replicas, (*found, *why), remedy.text, missing)


def _confidence(signals: int) -> Confidence:
    if signals >= SURE:
        return Confidence.HIGH
    return Confidence.MEDIUM if signals >= AGREE else Confidence.LOW


def _nothing(it: Situation) -> Diagnosis:
    """No rule spoke: all is well, or nobody knows."""
    if it.missed():
        missed = tuple(
            Evidence(
                f"bad events of {o.objective.sli.value}", o.bad or 0.0, f"> {o.objective.error_budget:g}"
            )
            for o in it.objectives
            if o.missed
        )
        text = "An objective is missed, and no two signals agree on why."
        replicas, why = would_help(Cause.UNKNOWN, Help.UNKNOWN, it)
        if replicas in {Help.YES, Help.PARTLY}:
            text = f"{text} The load is what a replica more relieves."
        return Diagnosis(Cause.UNKNOWN, Confidence.LOW, replicas, (*missed, *why), text, blind(it))
    if not it.known:
        text = _unseen(it)
        return Diagnosis(Cause.UNKNOWN, Confidence.LOW, Help.UNKNOWN, remedy=text, blind=blind(it))
    judged = any(o.bad is not None for o in it.objectives)
    confidence = Confidence.HIGH if it.whole else Confidence.MEDIUM if judged else Confidence.LOW
    return Diagnosis(Cause.NONE, confidence)


def _unseen(it: Situation) -> str:
    unbound = sum(not s.bound for s in it.signals.starting)
    if unbound:
        return f"{unbound} pods wait for a node: see their Events and the CapacityRequest."
    if it.signals.starting:
        return f"{len(it.signals.starting)} pods do not become Ready: see their logs and Events."
    return "Nothing of the objectives can be measured: see dataState."

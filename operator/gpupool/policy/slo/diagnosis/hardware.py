"""Rules about what is broken or not there yet: they hold whatever the objectives say."""

from __future__ import annotations

from gpupool.model.diagnosis import Evidence
from gpupool.model.signals import PodSignals
from gpupool.model.slo import Sli
from gpupool.policy.slo.diagnosis.evidence import Found, agreeing, also, over, some, under
from gpupool.policy.slo.diagnosis.situation import FIRST, TOKENS, Situation, error_share
from gpupool.policy.slo.diagnosis.thresholds import CLOCK as CLOCK_LIMIT
from gpupool.policy.slo.diagnosis.thresholds import (
    ERRORS,
    GPU_WORKING,
    HARDWARE_XIDS,
    HEAT,
    MORE_ERRORS,
    SLOWER,
    START_LONGEST,
    START_SLOW,
    WAITING,
)


def cold_start(it: Situation) -> Found:
    """Pods that have a node are not Ready yet, no longer than usual, and are missed."""
    ages = [s.seconds for s in it.signals.starting if s.bound]
    if not ages:
        return ()
    usual = it.profile.cold_start.p90 if it.profile else None
    longest = max(START_LONGEST.value, START_SLOW.value * (usual or 0.0))
    found = agreeing(
        over("pods that start", float(len(ages)), 0),
        under("seconds since the youngest was made", min(ages), longest),
    )
    if not it.signals.pods:
        return also(found, Evidence("pods that are Ready", 0, "< 1"))
    return also(found, _missing(it)) if it.missed() else ()


def _missing(it: Situation) -> Evidence:
    return Evidence("objectives missed", float(sum(o.missed for o in it.objectives)), "> 0")


def gpu_fault(it: Situation) -> Found:
    """A GPU tells a hardware error, and its memory could not be mended or its pod does worse than others."""
    for pod in it.signals.pods:
        if pod.gpu.xid not in HARDWARE_XIDS:
            continue
        told = Evidence(f"XID of {pod.name}", float(pod.gpu.xid or 0), "a hardware code")
        remap = Evidence(f"row remap failure of {pod.name}", 1, "> 0") if pod.gpu.remap_failed else None
        agree = some(1, remap, _slower(it, pod), _failing(it, pod))
        if agree:
            return (told, *agree)
    return ()


def _slower(it: Situation, pod: PodSignals) -> Evidence | None:
    """A pod whose tokens take longer than those of the fastest other."""
    others = [p.engine.itl for p in it.signals.pods if p is not pod and p.engine.itl]
    if pod.engine.itl is None or not others:
        return None
    return over(f"time per token of {pod.name} / fastest", pod.engine.itl / min(others), SLOWER)


def _failing(it: Situation, pod: PodSignals) -> Evidence | None:
    """A pod that fails more often than the best other."""
    own = _errors(pod)
    others = [e for p in it.signals.pods if p is not pod and (e := _errors(p)) is not None]
    if own is None or not others:
        return None
    return over(f"part of errors at {pod.name}", own, max(ERRORS.value, MORE_ERRORS.value * min(others)))


def _errors(pod: PodSignals) -> float | None:
    engine = pod.engine
    return error_share(engine.requests, engine.aborted, engine.refused)


def error_bound(it: Situation) -> Found:
    """Requests fail, and not because they wait: those that are answered are answered in time."""
    if it.missed(FIRST | TOKENS) or (it.waiting or 0.0) > WAITING.value:
        return ()
    return also(
        agreeing(over("part of requests without an answer", it.errors, ERRORS)),
        under("requests that wait at a pod", it.waiting, WAITING),
        _in_time(it),
    )


def _in_time(it: Situation) -> Evidence | None:
    """Those that are answered keep their latencies, where one was promised and measured."""
    latencies = (FIRST | TOKENS) - {Sli.THROUGHPUT}
    late = [o.bad for o in it.objectives if o.objective.sli in latencies and o.bad is not None]
    return Evidence("bad events of answers that are late", max(late), "within the budget") if late else None


def throttled(it: Situation) -> Found:
    """A GPU at work runs below its clock, and says why or is hot."""
    if not it.missed():
        return ()
    for pod in it.signals.pods:
        gpu = pod.gpu
        found = agreeing(
            under(f"SM clock of {pod.name} / highest", gpu.clock, CLOCK_LIMIT),
            over(f"GPU activity of {pod.name}", gpu.active, GPU_WORKING),
        )
        slowed = Evidence(f"clock events {'/'.join(gpu.slowed)}", 1, "> 0") if gpu.slowed else None
        hot = over(f"temperature of {pod.name}", gpu.heat, HEAT)
        if found and (agree := some(1, slowed, hot)):
            return (found[0], *agree)
    return ()

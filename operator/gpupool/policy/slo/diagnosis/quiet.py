"""Rules about too little to do."""

from __future__ import annotations

from gpupool.model.diagnosis import Evidence
from gpupool.policy.slo.diagnosis.evidence import Found, agreeing, over, under
from gpupool.policy.slo.diagnosis.situation import Situation
from gpupool.policy.slo.diagnosis.thresholds import DRAM_READS, RUNNING_FEW, TENSOR_LITTLE


def no_traffic(it: Situation) -> Found:
    """The engine is there, and nobody asks it."""
    requests = it.signals.sum(lambda p: p.engine.requests)
    busy = (it.signals.sum(lambda p: p.engine.running), it.signals.sum(lambda p: p.engine.waiting))
    if None in busy or any(busy) or requests:
        return ()
    told = (Evidence("requests running and waiting", 0, "< 1"),)
    return told if requests is None else (*told, Evidence("requests a second", 0, "< 1"))


def batch_too_small(it: Situation) -> Found:
    """All is well for a whole window, and the weights are read for a few: fewer replicas would do."""
    running, window = it.running, it.signals.window
    if it.missed() or not running or any(s.ago < window for s in it.signals.started):
        return ()
    if not it.signals.pods[1:]:
        return ()
    return agreeing(
        under("requests running at a pod", running, RUNNING_FEW),
        over("DRAM_ACTIVE", it.dram, DRAM_READS),
        under("PIPE_TENSOR_ACTIVE", it.tensor, TENSOR_LITTLE),
    )

"""Would one more replica help? From what one is known to carry with the objectives met."""

from __future__ import annotations

from math import ceil
from typing import Final

from gpupool.model.diagnosis import Cause, Evidence, Help
from gpupool.policy.slo.diagnosis.evidence import agreeing, over
from gpupool.policy.slo.diagnosis.situation import FIRST, TOKENS, Situation
from gpupool.policy.slo.diagnosis.thresholds import GPU_FULL, OFTEN_BAD, RUNNING_MANY

TRUSTED: Final = 3
"""Windows from which on a profile decides."""
SURE: Final = 0.9
"""Part of the known load below which load cannot be the reason."""
NEEDS: Final = "replicas that this load needs"
"""The signal that counts them."""
BY_LOAD: Final = frozenset(
    {
        Cause.QUEUE_BOUND,
        Cause.KV_CACHE_BOUND,
        Cause.PREFILL_BOUND,
        Cause.DECODE_BOUND,
        Cause.PREFILL_INTERFERENCE,
        Cause.UNKNOWN,
    }
)
"""Causes that come with load; of all others the table's word holds."""

SUFFERS: Final = {Cause.PREFILL_BOUND: FIRST, Cause.DECODE_BOUND: TOKENS}
"""What is late for a cause that comes with load."""


def would_help(cause: Cause, usual: Help, it: Situation) -> tuple[Help, tuple[Evidence, ...]]:
    """Whether n + 1 replicas would meet the objectives, and the numbers that say so.

    Args:
        cause: what was found.
        usual: what holds of it where nothing is known.
        it: what is seen.
    """
    carried, load, replicas = it.carried(TRUSTED), it.load, len(it.signals.pods)
    if cause not in BY_LOAD:
        return usual, ()
    if carried is None or load is None:
        return _without_profile(cause, usual, it)
    if load <= SURE * carried:
        return Help.NO, (Evidence("requests a second at a pod", load, f"< {carried:.3g} that were met"),)
    needed = ceil((load + _queued(it)) * replicas / carried)
    answer = Help.YES if needed <= replicas + 1 else Help.PARTLY
    return answer, (Evidence(NEEDS, needed, f"> {replicas}"),)


def _queued(it: Situation) -> float:
    """Requests/s beyond those that end, at a pod: who waits now would be served within a window."""
    return (it.waiting or 0.0) / it.signals.window


def _without_profile(cause: Cause, usual: Help, it: Situation) -> tuple[Help, tuple[Evidence, ...]]:
    """A full GPU with a large batch is relieved by any replica; what is late in most cases is by several."""
    if cause in SUFFERS:
        late = [o.bad or 0.0 for o in it.objectives if o.objective.sli in SUFFERS[cause]]
        often = over("bad events of all", max(late, default=0.0), OFTEN_BAD)
        return (Help.PARTLY, (often,)) if often else (usual, ())
    if cause is not Cause.UNKNOWN:
        return usual, ()
    full = agreeing(
        over("GR_ENGINE_ACTIVE", it.active, GPU_FULL),
        over("requests running at a pod", it.running, RUNNING_MANY),
    )
    return (Help.PARTLY, full) if full else (usual, ())

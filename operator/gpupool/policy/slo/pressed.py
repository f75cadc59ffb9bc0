"""One replica more where users miss their objectives and nothing that was learned says how many are needed.

A step a window, so that each has shown what it brings before the next: bad windows teach nothing, and without
a step an endpoint that began with too few, or whose requests grew, would stay with too few for ever.
"""

from __future__ import annotations

from typing import Final

from gpupool.model.diagnosis import Diagnosis, Help
from gpupool.model.steering import Need
from gpupool.policy.slo.diagnosis.situation import Situation
from gpupool.policy.slo.sizing import TUNING

HELPS: Final = frozenset({Help.YES, Help.PARTLY})


def pressed(it: Situation, found: Diagnosis) -> Need | None:
    """Replicas that are needed at least; None where the profile knows better, or more would not help.

    Args:
        it: what is seen.
        found: the diagnosis of it.
    """
    if it.carried(TUNING.learned) is not None or not it.signals.pods or not it.missed():
        return None
    if found.replicas_help not in HELPS:
        return None
    replicas = len(it.signals.pods)
    why = it.doubt or "what a replica carries is not learned yet"
    if it.signals.starting or any(s.ago < it.signals.window for s in it.signals.started):
        return Need(
            replicas, f"objectives are missed, and the newest of {replicas} replicas has just come; {why}"
        )
    return Need(replicas + 1, f"objectives are missed with {replicas} replicas, and one more may help; {why}")

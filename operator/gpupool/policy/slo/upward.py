"""How many replicas at least are needed, from what is known while it is not known how users fare.

Requests that end and a queue are seen without any latency. Both are lower bounds: they may raise the floor,
and never lower it. While pods start, a queue asks for no more of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from gpupool.model.steering import Need
from gpupool.policy.slo.diagnosis.replicas import TRUSTED
from gpupool.policy.slo.diagnosis.situation import Situation
from gpupool.policy.slo.diagnosis.thresholds import WAITING


def upward(it: Situation) -> Need | None:
    """The highest of the lower bounds; None where nothing is known."""
    return max((*_load(it), *_queue(it)), key=lambda need: need.replicas, default=None)


def _load(it: Situation) -> Iterable[Need]:
    carried = it.carried(TRUSTED)
    rates = it.signals.values(lambda p: p.engine.requests)
    if carried is None or not rates:
        return
    total = sum(rates)
    text = f"{total:.3g} requests/s end, a replica was seen to carry {carried:.3g}"
    yield Need(ceil(total / carried), text)


def _queue(it: Situation) -> Iterable[Need]:
    waiting = it.signals.values(lambda p: p.engine.waiting)
    if not waiting or it.signals.starting or min(waiting) < WAITING.value:
        return
    text = f"{min(waiting):.1f} requests or more wait at each of {len(waiting)} replicas"
    yield Need(len(waiting) + 1, text)

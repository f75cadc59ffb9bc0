"""Endpoints that sleep: who may go to none, who wakes, and what is said of it.

A note on the HPA goes first and stays last, so that replicas that are missing by our doing are never
forgotten: noted, then none; replicas, then the note is taken off. Kubernetes pauses an HPA whose workload has
none, so nothing else brings them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Status
from gpupool.model.scalerwrites import Rescale
from gpupool.model.steering import Decision, Scaler, ScalerKind, Target, Wake


class Rest(NamedTuple):
    """What the note shall say (replicas before the sleep; 0 awake), and what is done to the workload."""

    asleep: int
    acts: tuple[Rescale, ...] = ()


def asleep(target: Target | None, scalers: Sequence[Scaler]) -> bool:
    """Whether a workload has no replica by our doing."""
    note = scalers[0].originals if len(scalers) == 1 else None
    return target is not None and not target.replicas and note is not None and note.asleep > 0


def rest(slo: Key, target: Target | None, scaler: Scaler, decision: Decision) -> Rest:
    """Sleep, wake, or neither."""
    noted = 0 if scaler.originals is None else scaler.originals.asleep
    if target is None or scaler.originals is None or scaler.kind is not ScalerKind.HPA:
        return Rest(noted)  # whether a ScaledObject sleeps is its owner's
    if decision.needed == 0 and not noted:  # a workload that has none already is somebody else's doing
        return Rest(target.replicas)
    if decision.needed == 0:
        return Rest(noted, _to(slo, target, 0) if target.replicas else ())
    if noted and not target.replicas:
        return Rest(noted, _to(slo, target, max(1, decision.floor)))
    return Rest(0)


def roused(slo: Key, target: Target | None, scalers: Sequence[Scaler]) -> tuple[Rescale, ...]:
    """Wake a workload whose HPA is not steered: nobody else would."""
    return _to(slo, target, 1) if target is not None and asleep(target, scalers) else ()


def wake_told(wake: Wake) -> Condition:
    """Whether it can be seen that somebody asks."""
    if wake.asked is None:
        text = f"{wake.problem} Until it can be seen whether somebody asks, a replica stays, or comes back."
        return Condition("WakeUp", Status.FALSE, wake.reason, text)
    if wake.asked:
        return Condition("WakeUp", Status.TRUE, "Asked", f"{wake.series} is above 0: somebody asks.")
    return Condition("WakeUp", Status.TRUE, "Quiet", f"{wake.series} is 0: nobody asks.")


def _to(slo: Key, target: Target, replicas: int) -> tuple[Rescale, ...]:
    return (Rescale(target.key, target.ref, target.replicas, replicas, slo),)

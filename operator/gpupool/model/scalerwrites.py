"""What steering writes: to autoscalers, of others and of ours, and to the replicas of workloads."""

from __future__ import annotations

from dataclasses import dataclass

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Limits, Originals, ScalerKind


@dataclass(frozen=True, slots=True)
class Adopt:
    """Write our limits to a scaler, with what is noted on it.

    `force` takes the fields over from others; then it is exactly the version that was seen. `made`: it is one
    that we made.
    """

    slo: Key
    scaler: Key
    uid: str
    version: str
    note: Originals
    force: bool
    made: bool = False
    kind: ScalerKind = ScalerKind.HPA

    @property
    def limits(self) -> Limits:
        """What is written."""
        return self.note.written


@dataclass(frozen=True, slots=True)
class Rescale:
    """Set the replicas of a workload, from none or to none, where they are what was seen."""

    key: Key
    ref: ObjectRef
    before: int
    after: int
    slo: Key | None = None


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Put the limits of a scaler back as its owner had them, and leave no trace; first wake what sleeps."""

    scaler: Key
    uid: str
    limits: Limits
    note: Originals
    wake: Rescale | None = None
    kind: ScalerKind = ScalerKind.HPA


@dataclass(frozen=True, slots=True)
class Make:
    """Make an HPA on our metric for an endpoint; it goes with its InferenceSLO."""

    slo: Key
    uid: str
    scaler: Key
    target: ObjectRef
    note: Originals


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an HPA that we made."""

    scaler: Key
    uid: str


ScalerWrite = Adopt | GiveBack | Make | Remove | Rescale

"""What is different about KEDA: it owns its HPA, can be paused, and may want nothing to run for a while."""

from __future__ import annotations

from gpupool.model.steering import Limits, Scaler, ScalerKind


def in_the_way(scaler: Scaler, *, known: bool) -> tuple[str, str] | None:
    """Why nothing can be written now: reason and message; None where it can.

    What is written is the ScaledObject, never the HPA that KEDA makes of it. A pause of its owner wins.

    Args:
        scaler: what scales the workload.
        known: whether ScaledObjects can be read.
    """
    name = scaler.key.name
    if scaler.paused:
        text = f"{scaler.paused} pauses ScaledObject {name}: nothing is written until it is taken off."
        return "Paused", text
    if not scaler.keda:
        return None
    if not known:
        return "NotKnown", f"ScaledObject {scaler.keda} owns HPA {name}, and cannot be read now."
    return "NoScaledObject", f"ScaledObject {scaler.keda} owns HPA {name}, and is not there: the HPA will go."


def fewest(scaler: Scaler, theirs: Limits, floor: int) -> int:
    """What stands as the fewest replicas, of a floor.

    KEDA goes to 0 where `minReplicaCount` is 0, or to `idleReplicaCount`, which has to be below it. Neither
    is taken from its owner by a floor that asks for no more than the one replica that runs once triggered.

    Args:
        scaler: what scales the workload.
        theirs: its owner's limits.
        floor: that was decided.
    """
    least = max(1, floor)
    if scaler.kind is ScalerKind.HPA:
        return least
    if scaler.idle is not None:
        return max(least, scaler.idle + 1)
    return 0 if theirs.low == 0 and least == 1 else least


def idle_too_high(scaler: Scaler, wanted: Limits) -> str:
    """KEDA refuses an idleReplicaCount that is not below the fewest replicas, and stops; else empty."""
    if wanted.low <= wanted.high:
        return ""
    return (
        f"idleReplicaCount {scaler.idle} of ScaledObject {scaler.key.name} has to be below minReplicaCount,"
        f" and at most {wanted.high} replicas are allowed: lower it below {wanted.high}."
    )


def idles(scaler: Scaler, wanted: Limits) -> str:
    """What is told of replicas that may go below the floor; else empty."""
    if scaler.kind is ScalerKind.HPA or (wanted.low and scaler.idle is None):
        return ""
    return f" While nothing triggers it KEDA keeps {scaler.idle or 0}, as its owner has it."

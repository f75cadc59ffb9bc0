"""Rolling updates: how many pods they need beside those that run, and whether they can begin."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import ceil, floor

from gpupool.model.objects import ObjectRef
from gpupool.model.steering import Target


@dataclass(frozen=True, slots=True)
class Deadlock:
    """A rollout that could not begin: GPUs of a new pod, and how many of them are free."""

    needed: int
    free: int


def surge(target: Target, replicas: int) -> int:
    """Pods that a rolling update may have beyond so many replicas; a percentage is rounded up."""
    return 0 if target.recreate else _resolved(target.surge, replicas, up=True)


def unavailable(target: Target, replicas: int) -> int:
    """Pods that it may miss; a percentage is rounded down, and one of the two is at least 1."""
    if target.recreate:
        return replicas
    found = _resolved(target.unavailable, replicas, up=False)
    return found if found or surge(target, replicas) else 1


def _resolved(text: str, replicas: int, *, up: bool) -> int:
    if not text.endswith("%"):
        return int(text)
    part = int(text.removesuffix("%")) * replicas / 100
    return ceil(part) if up else floor(part)


def loan_name(workload: ObjectRef, resource: str) -> str:
    """Where a loan of surge stands on the quota."""
    return f"{workload}/{resource}"


def affordable(target: Target, pods: int) -> int:
    """The most replicas that fit into so many pods with their surge; one, where one pod fits at all."""
    fits = bisect_right(range(pods + 1), pods, key=lambda n: n + surge(target, n)) - 1
    return max(fits, min(pods, 1))


def deadlock(target: Target, gpus: int, room: int | None) -> Deadlock | None:
    """Whether a rollout that begins now would wait for ever.

    It would where no old pod may go first and no new one fits. While a rollout runs, the pod that it has
    beyond its replicas did fit.

    Args:
        target: the workload.
        gpus: of one pod.
        room: GPUs that a further pod could get now; None where nobody knows.
    """
    if room is None or not target.replicas or unavailable(target, target.replicas):
        return None
    free = max(0, room) + gpus * max(0, target.existing - target.replicas)
    return Deadlock(gpus, free) if free < gpus else None

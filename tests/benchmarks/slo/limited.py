"""A pool that is too small for everybody's peak: who gives way?

Ours: floors in the order of priority; everybody keeps one replica, and who stands higher takes from who
stands lower. The HPA as it is: first come, first served; what is taken comes back when its owner scales down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.slo.fluid import LOW, SYNC, Floats, Ints, Lanes, Outcome, Share, needed
from benchmarks.slo.trace import Counts

PART: Final = 0.6
"""Of the sum of peaks."""
PRIORITIES: Final = ("high", "normal", "low")


@dataclass(frozen=True, slots=True)
class Shortage:
    """Bad requests in percent, by priority, and what was used.

    Attributes:
        policy: and its sharing rule.
        bad: percent of the requests of each priority.
        gpu_hours: a day.
    """

    policy: str
    bad: tuple[float, ...]
    gpu_hours: float


def pool_size(counts: Counts, lanes: Lanes, tenants: int) -> int:
    """Replicas: 60 % of the sum of every tenant's peak, the mean over seeds."""
    peaks = needed(counts, lanes).max(axis=1).reshape(-1, tenants).sum(axis=1)
    return max(tenants * LOW, int(PART * float(peaks.mean())))


def by_priority(pool: int, tenants: int) -> Share:
    """Strict: who stands higher gets all it wants, down to one replica for everybody else."""

    def share(step: int, wanted: Ints, present: Ints) -> Ints:
        del step, present
        more = (wanted - LOW).reshape(-1, tenants)
        got: Ints = _in_order(more, np.full((len(more), 1), pool - tenants * LOW)) + LOW
        return got.reshape(-1)

    return share


def first_come(pool: int, tenants: int) -> Share:
    """Who asks gets what is free; nobody gives anything back. Whose turn is first changes with each round."""

    def share(step: int, wanted: Ints, present: Ints) -> Ints:
        turn = np.roll(np.arange(tenants), -(step // SYNC % tenants))
        kept = np.minimum(wanted, present).reshape(-1, tenants)
        more = np.maximum(wanted - present, 0).reshape(-1, tenants)[:, turn]
        got = np.empty_like(more)
        got[:, turn] = _in_order(more, pool - kept.sum(axis=1, keepdims=True))
        allowed: Ints = kept + got
        return allowed.reshape(-1)

    return share


def shortage(policy: str, outcome: Outcome, tenants: int, days: slice) -> Shortage:
    """Sum up by priority, which follows the rank of the tenant: the first third is high."""
    total, good = (_by_tenant(side, tenants, days) for side in (outcome.total, outcome.good))
    ranks = np.arange(tenants) * len(PRIORITIES) // tenants
    bad = tuple(
        _percent(total[ranks == p] - good[ranks == p], total[ranks == p]) for p in range(len(PRIORITIES))
    )
    seeds = len(outcome.total) // tenants
    length = outcome.gpu_hours[:, days].shape[1]
    return Shortage(policy, bad, float(outcome.gpu_hours[:, days].sum()) / length / seeds)


def _in_order(wanted: Ints, free: Ints) -> Ints:
    """What each gets if the row is served from the left."""
    before = np.cumsum(wanted, axis=1) - wanted
    return np.clip(free - before, 0, wanted)


def _by_tenant(sums: Floats, tenants: int, days: slice) -> Floats:
    found: Floats = sums[:, days].sum(axis=1).reshape(-1, tenants).sum(axis=0)
    return found


def _percent(part: Floats, whole: Floats) -> float:
    return 100 * float(part.sum()) / float(whole.sum()) if whole.sum() else 0.0


def ranks_told(names: Sequence[str]) -> str:
    """Which tenants have which priority."""
    ranks = [n * len(PRIORITIES) // len(names) for n in range(len(names))]
    groups = [[name for name, rank in zip(names, ranks, strict=True) if rank == p] for p in range(3)]
    return "; ".join(f"{p}: {', '.join(g)}" for p, g in zip(PRIORITIES, groups, strict=True))

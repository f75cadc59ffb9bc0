"""What the inference container of an endpoint uses, remembered by the day, and the bounds that follow.

The lower bound is what it needed at its busiest, with the margin of the VPA's own recommender: a
recommendation from quiet days must not starve a GPU. The upper one keeps a leak from taking a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil
from typing import Final

from gpupool.model.diagnosis import Cause, Confidence, Diagnosis
from gpupool.model.quantity import higher, lower
from gpupool.model.resources import BOTH, CPU, MEMORY, Bounds, Use, UseDay
from gpupool.model.signals import ContainerUse, Signals
from gpupool.model.slo import DAY

KEPT: Final = 7
"""Days that count."""
LEARNED: Final = 3
"""Windows that must have been looked at before anything is said."""
MARGIN: Final = 1.15
"""Beyond the highest use: the margin of the VPA's own recommender."""
RAISE: Final = 1.5
"""Times the CPU that a container is held at, where that limits the endpoint."""
ROOM: Final = 2.0
"""Times the lower bound: how far a recommendation may go."""
CPU_STEP: Final = 0.1
MEMORY_STEP: Final = 256 * 2**20
"""Bounds move in steps, so that not every request writes one."""


def learn(use: Use, container: str, signals: Signals, found: Diagnosis | None, now: float) -> Use:
    """What is remembered after one more look.

    Args:
        use: what was remembered; of another container it begins anew.
        container: the inference container.
        signals: what the Ready pods show.
        found: what limits the endpoint.
        now: unix seconds.
    """
    seen = [c for pod in signals.pods for c in pod.containers if c.name == container]
    cpu = max((c.cpu for c in seen if c.cpu is not None), default=None)
    memory = max((c.memory for c in seen if c.memory is not None), default=None)
    if cpu is None or memory is None:
        return use
    if use.container != container:
        use = Use(container, now, now)
    today = UseDay(now // DAY * DAY, cpu, memory, _raised(seen, cpu, found))
    days = [d for d in use.days if d.at > today.at - KEPT * DAY]
    if days and days[-1].at == today.at:
        today = _most(days.pop(), today)
    until = now if use.until - use.since < LEARNED * signals.window else use.until
    return replace(use, until=until, days=(*days, today))


def _raised(seen: Iterable[ContainerUse], cpu: float, found: Diagnosis | None) -> float:
    if found is None or found.cause is not Cause.CPU_BOUND or found.confidence is Confidence.LOW:
        return 0.0
    return RAISE * max((c.limit for c in seen if c.limit is not None), default=cpu)


def _most(one: UseDay, other: UseDay) -> UseDay:
    return UseDay(
        one.at, max(one.cpu, other.cpu), max(one.memory, other.memory), max(one.raised, other.raised)
    )


def learned(use: Use, window: float) -> bool:
    """Whether enough was looked at."""
    return bool(use.days) and use.until - use.since >= LEARNED * window


# ------------------------------------------------------------------ bounds


def bounds(use: Use, resources: Iterable[str] = BOTH) -> Bounds:
    """Between what requests may be.

    Args:
        use: what was used.
        resources: those that a VPA may steer.
    """
    low = {CPU: cores(max(MARGIN * use.cpu, use.raised)), MEMORY: mebibytes(MARGIN * use.memory)}
    high = {
        CPU: cores(ROOM * max(MARGIN * use.cpu, use.raised)),
        MEMORY: mebibytes(ROOM * MARGIN * use.memory),
    }
    steered = [r for r in BOTH if r in set(resources)]
    return Bounds({r: low[r] for r in steered}, {r: high[r] for r in steered}, _why(use))


def _why(use: Use) -> str:
    days = f"{len(use.days)} day{'s' if use.days[1:] else ''}"
    text = (
        f"at most {use.cpu:.2f} cores and {use.memory / 2**20:.0f} MiB in {days}, and {MARGIN - 1:.0%} more;"
        f" up to {ROOM:g} times that"
    )
    if use.raised > MARGIN * use.cpu:
        text += f"; CPU limits the endpoint: {RAISE:g} times what it is held at is {use.raised:.2f} cores"
    return text


def cores(value: float) -> str:
    """CPU as a quantity, the next step above."""
    return f"{max(1, _steps(value, CPU_STEP)) * round(1000 * CPU_STEP)}m"


def mebibytes(value: float) -> str:
    """Memory as a quantity, the next step above."""
    return f"{max(1, _steps(value, MEMORY_STEP)) * (MEMORY_STEP // 2**20)}Mi"


def _steps(value: float, step: float) -> int:
    return ceil(value / step - 1e-9)


def within(found: Bounds, low: Mapping[str, str], high: Mapping[str, str]) -> Bounds:
    """The bounds inside those that their owner set: never above the most, nor below the least.

    Args:
        found: ours.
        low: the owner's least, by resource.
        high: and most.
    """
    lows = {r: lower(higher(text, low.get(r)), high.get(r)) for r, text in found.low.items()}
    highs = {r: higher(lower(text, high.get(r)), lows[r]) for r, text in found.high.items()}
    return replace(found, low=lows, high=highs)

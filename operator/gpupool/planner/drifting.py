"""What is said of an endpoint that behaves otherwise than it was learned: told once, with both numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Notice, Status
from gpupool.model.profile import Profile
from gpupool.model.traits import Trait
from gpupool.policy.slo.drift import drifted, told

TELLING: Final = 600.0
"""Seconds for which what has begun to differ is told by an Event; the Event itself is one."""
DRIFT: Final = "Drift"


def found(profiles: Iterable[Profile], window: float, now: float) -> tuple[tuple[str, Trait], ...]:
    """What differs now, with the GPU model."""
    return tuple((p.gpu, trait) for p in profiles for trait in drifted(p.traits, window, now))


def conditions(differing: Sequence[tuple[str, Trait]]) -> Iterable[Condition]:
    """One condition while anything differs."""
    if differing:
        said = "; ".join(told(trait) for _, trait in differing)
        yield Condition(DRIFT, Status.TRUE, "BehaviourChanged", f"{said[0].upper()}{said[1:]}.")


def notices(key: Key, uid: str, differing: Iterable[tuple[str, Trait]], now: float) -> Iterable[Notice]:
    """An Event for what has just begun to differ."""
    for gpu, trait in differing:
        if now - trait.since <= TELLING:
            on = f" on {gpu}" if gpu else ""
            since = datetime.fromtimestamp(trait.since, UTC)
            text = f"The endpoint behaves otherwise than it was learned{on}: {told(trait)}."
            yield Notice("InferenceSLO", key, uid, f"Drift{_word(trait)}", text, warning=True, since=since)


def _word(trait: Trait) -> str:
    """A trait as the end of a machine reason."""
    return "".join(part.capitalize() for part in trait.name.split(" with ")[0].split())

"""The words of economics: what an endpoint's GPUs cost, and what they wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Holding:
    """GPUs that an endpoint's pods hold now.

    Attributes:
        resource: which; empty where no pod asks for any.
        gpus: of pods that are bound to a node.
        prices: of a GPU for an hour by resource, as the namespace's pool has them.
        currency: of the prices.
    """

    resource: str = ""
    gpus: int = 0
    prices: Mapping[str, float] = field(default_factory=dict)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was counted in a stretch of time that begins at `start` (unix seconds).

    Attributes:
        held: GPU-seconds.
        told: those of them in which the engine told its tokens.
        tokens: written.
        good: of them, in proportion to the events that met the objective which fared worst.
        joules: of the GPUs, where all of them told.
        metered: tokens written then.
    """

    start: float
    held: float = 0.0
    told: float = 0.0
    tokens: float = 0.0
    good: float = 0.0
    joules: float = 0.0
    metered: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Stretches over the window of an InferenceSLO, oldest first, all on GPUs of one resource."""

    parts: tuple[Stretch, ...] = ()
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Economics:
    """What came of it; None where it is not known.

    Attributes:
        since: unix seconds from which on it was counted.
        resource: which GPUs.
        gpu_hours: held.
        per_hour, per_hour_at_slo: tokens of a GPU-hour, all and those that met the objectives.
        cost: of the GPU-hours, at the price as it stands.
        per_million: of so many tokens.
        currency: of both.
        joules: of a token.
    """

    since: float
    resource: str
    gpu_hours: float
    per_hour: float | None = None
    per_hour_at_slo: float | None = None
    cost: float | None = None
    per_million: float | None = None
    currency: str = ""
    joules: float | None = None

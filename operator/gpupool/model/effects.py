"""What advice was expected to bring, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """What an effect is seen in."""

    ITL = "ms between tokens"
    TTFT = "ms to the first token"
    RUNNING = "requests running at a pod"
    FULLEST = "requests waiting at the fullest pod"
    FITS = "requests that the KV cache holds"


class Lever(StrEnum):
    """What is moved by whoever follows an advice."""

    RECIPE = "Recipe"
    """Image, command, arguments or environment of the engine."""
    REPLICAS = "Replicas"
    """Fewer of them."""
    CACHE_HITS = "CacheHits"
    """A larger part of prompt tokens that the prefix cache knows."""
    SPREAD = "Spread"
    """Fewer requests at the fullest pod."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """An expectation as numbers: what is measured, before and then; what has to move, from where."""

    measure: Measure
    before: float
    predicted: float
    lever: Lever
    level: float = 0.0
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """An advice that was given, and what became of it.

    Attributes:
        kind: of the advice.
        forecast: the numbers when it was given last.
        given: unix seconds of that.
        since: when it was followed; 0 where it was not.
        real: what is measured since; None while it is too early.
        at: when that was measured.
    """

    kind: str
    forecast: Forecast
    given: float
    since: float = 0.0
    real: float | None = None
    at: float = 0.0

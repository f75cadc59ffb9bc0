"""What is known of an endpoint on one GPU model, learned while its objectives were met."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from gpupool.model.traits import Trait


@dataclass(frozen=True, slots=True)
class Stat:
    """A number, of how many windows it is, and the newest of them (unix seconds)."""

    value: float
    samples: int
    at: float


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds that the last start-ups took; pods that were Ready by `until` (unix seconds) are counted."""

    seconds: tuple[float, ...] = ()
    until: float = 0.0

    @property
    def p50(self) -> float | None:
        """Half of them took no longer."""
        return self._quantile(0.5)

    @property
    def p90(self) -> float | None:
        """Nine of ten took no longer."""
        return self._quantile(0.9)

    def _quantile(self, part: float) -> float | None:
        """The nearest rank."""
        ordered = sorted(self.seconds)
        return ordered[max(0, ceil(part * len(ordered)) - 1)] if ordered else None


@dataclass(frozen=True, slots=True)
class Shape:
    """Mean tokens of a request: as it was when the profile began, and lately."""

    prompt: float
    output: float
    recent_prompt: float
    recent_output: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One replica on one GPU model.

    Attributes:
        gpu: the model, as DCGM names it; empty where nobody tells.
        recipe: digest of what the engine was started with.
        since: unix seconds at which it began.
        shape: of the requests.
        requests, tokens: the most a second at which the objectives were met.
        batch, kv: the most requests running, and the fullest cache, then.
        memory: MiB in use.
        cache: part of prompt tokens that the prefix cache knew.
        cold_start: from made to Ready.
        first_token: from made to the first look that saw it write, where somebody asked it soon enough.
        missed: what a replica answered when objectives were missed last, and how often that was.
        traits: how requests and answers are; a shape that moved leaves them, or it would be no drift.
    """

    gpu: str
    recipe: str
    since: float
    shape: Shape | None = None
    requests: Stat | None = None
    tokens: Stat | None = None
    batch: Stat | None = None
    kv: Stat | None = None
    memory: Stat | None = None
    cache: Stat | None = None
    missed: Stat | None = None
    cold_start: ColdStart = field(default_factory=ColdStart)
    first_token: ColdStart = field(default_factory=ColdStart)
    traits: tuple[Trait, ...] = ()

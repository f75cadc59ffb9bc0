"""Two revisions side by side: how sure it is that one is worse, at every look and not at one chosen moment.

The part of bad events of each is known between two bounds that hold at all looks together (a confidence
sequence: the mixture of a binomial likelihood over Jeffreys' prior, and Ville's inequality). So one may look
every few seconds, and stop as soon as the bounds say enough, without being wrong more often than is said.

Events are not independent: a long queue makes many late ones in a row. How unevenly bad ones came from look
to look tells by how much too many they are counted: so many fewer are taken for evidence (quasi-binomial).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, lgamma, log
from typing import Final

from gpupool.model.rollout import Tally

CONFIDENCE: Final = 0.99
"""Chance that no bound of a rollout is wrong, at any look and of any objective."""
HARM: Final = 2.0
"""Error budgets that a new revision may burn beyond the old one and be good enough: less takes too long."""
PRIOR: Final = 0.5
LOOKS: Final = 5
"""Looks from which it is known how evenly bad events come."""
STEPS: Final = 50
"""Halvings of an interval: 1e-15."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which the part of bad events lies."""

    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One objective at both revisions; `allowed` is the part of events that may be bad."""

    new: Tally
    old: Tally
    allowed: float
    new_bounds: Bounds
    old_bounds: Bounds

    @property
    def worse(self) -> bool:
        """The new one is worse than was promised, and worse than the old one."""
        return self.new_bounds.low > max(self.allowed, self.old_bounds.high)

    @property
    def fine(self) -> bool:
        """The new one does no harm that the old one does not do."""
        return self.new_bounds.high <= self.enough

    @property
    def enough(self) -> float:
        """Part of bad events up to which the new one is good enough: so much more than the old one has."""
        return (self.old.ratio or 0.0) + HARM * self.allowed

    @property
    def burn(self) -> float:
        """Error budgets that it would use in a window, fully rolled out."""
        return (self.new.ratio or 0.0) / self.allowed

    @property
    def least_burn(self) -> float:
        """And at least that many."""
        return self.new_bounds.low / self.allowed


def compare(new: Tally, old: Tally, allowed: float, objectives: int) -> Comparison:
    """Compare one of so many objectives."""
    risk = (1 - CONFIDENCE) / (2 * objectives)
    return Comparison(new, old, allowed, bounds(new, risk), bounds(old, risk))


def bounds(tally: Tally, risk: float) -> Bounds:
    """Where the part of bad events lies, at all looks together.

    Args:
        tally: what was counted.
        risk: chance that it lies elsewhere at any look.
    """
    if tally.total <= 0:
        return Bounds()
    fewer = dispersion(tally)
    bad, total = tally.bad / fewer, tally.total / fewer
    mode = bad / total
    return Bounds(
        low=_edge(bad, total, risk, inside=mode, outside=0.0),
        high=_edge(bad, total, risk, inside=mode, outside=1.0),
    )


def dispersion(tally: Tally) -> float:
    """How many events count as one: 1 where bad ones come evenly (Pearson's statistic by its degrees)."""
    ratio = tally.ratio
    if ratio is None or not 0 < ratio < 1 or tally.looks < LOOKS:
        return 1.0
    chi = (tally.square - tally.bad * ratio) / (ratio * (1 - ratio))
    return max(1.0, chi / (tally.looks - 1))


def _edge(bad: float, total: float, risk: float, *, inside: float, outside: float) -> float:
    """Where the evidence against a value reaches 1 / risk, between the likeliest and an end."""
    if _evidence(bad, total, outside) < -log(risk):
        return outside
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        if _evidence(bad, total, middle) < -log(risk):
            inside = middle
        else:
            outside = middle
    return outside


def _evidence(bad: float, total: float, value: float) -> float:
    """Logarithm of how much likelier the mixture of all values makes what was seen than this one does."""
    good = total - bad
    if (value <= 0 and bad > 0) or (value >= 1 and good > 0):
        return inf
    mixture = _beta(PRIOR + bad, PRIOR + good) - _beta(PRIOR, PRIOR)
    return mixture - (bad * log(value) if bad else 0.0) - (good * log(1 - value) if good else 0.0)


def _beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)

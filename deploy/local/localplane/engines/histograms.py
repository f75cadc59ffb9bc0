"""Histograms as an engine keeps them: counts per bucket, a sum, and nothing else."""

import math
from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Counts of what was observed, by the smallest bound that is not below it.

    Args:
        bounds: upper bounds in rising order, without +Inf.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0.0] * (len(self.bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: float = 1.0) -> None:
        """Count a value; `times` may be a part of one, where work is looked at in the middle."""
        self._counts[bisect_left(self.bounds, value)] += times
        self._sum += value * times

    @property
    def sum(self) -> float:
        """The sum of all observed values."""
        return self._sum

    @property
    def count(self) -> int:
        """How many whole observations there were."""
        return math.floor(math.fsum(self._counts) + 1e-6)

    def cumulative(self) -> list[int]:
        """Whole observations up to each bound, the last one for +Inf: never falling."""
        total, found = 0.0, []
        for count in self._counts:
            total += count
            found.append(math.floor(total + 1e-6))
        return found

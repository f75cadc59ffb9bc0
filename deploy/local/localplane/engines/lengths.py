"""Requests that arrive: Poisson, with lengths of a lognormal spread, the same again for the same name."""

import math
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gpupool.simulator.replica import Ask

MAX_GAP_SECONDS: Final = 5.0
"""A rate that changes with time is looked at again after at most so long."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What the requests of a workload are like.

    Attributes:
        prompt: mean tokens of a prompt.
        output: mean tokens of an answer.
        spread: sigma of the lognormal of both; 0.5 is that of a chat (the 95th percentile is twice the
            mean), 1.2 has a long document among short questions.
        cached: share of the prompt tokens that the prefix cache knows, 0 to 1.
    """

    prompt: float = 1000.0
    output: float = 250.0
    spread: float = 0.5
    cached: float = 0.0


class Arrivals:
    """A Poisson stream of requests. Time only moves forward.

    Args:
        name: of the workload: the seed.
        rate: requests a second at a time.
    """

    def __init__(self, name: str, rate: Callable[[float], float], time: float = 0.0) -> None:
        self._random = random.Random(zlib.crc32(name.encode()))  # noqa: S311 - to be the same again
        self._rate = rate
        self._time = time
        self._owed = self._random.expovariate(1)
        """Requests that may still be expected before the next one: so its time depends on no look."""

    def until(self, end: float, mix: Mix) -> Iterator[Ask]:
        """The requests up to a time, in their order."""
        while self._time < end:
            rate = self._rate(self._time)
            step = min(end - self._time, MAX_GAP_SECONDS)
            if self._owed > rate * step:
                self._owed -= rate * step
                self._time += step
                continue
            self._time += self._owed / rate
            self._owed = self._random.expovariate(1)
            yield self._ask(self._time, mix)

    def skip(self, time: float) -> None:
        """Nothing arrives until then."""
        self._time = max(self._time, time)

    def chance(self) -> float:
        """A number from 0 to 1 out of the same seed."""
        return self._random.random()

    def _ask(self, at: float, mix: Mix) -> Ask:
        tokens = self._length(mix.prompt, mix.spread)
        cached = min(tokens - 1, round(tokens * mix.cached))
        return Ask(at, tokens - cached, self._length(mix.output, mix.spread), cached)

    def _length(self, mean: float, spread: float) -> int:
        return max(1, round(self._random.lognormvariate(math.log(mean) - spread**2 / 2, spread)))

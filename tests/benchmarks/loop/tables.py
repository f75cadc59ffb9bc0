"""What one replica of the plane makes of the hour's requests: engine 1's tables, by objective."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.slo.attainment import SPEED, TPOT, Table, measured
from gpupool.simulator.replica import Replica, Served
from localplane.engines.lengths import Arrivals, Mix

TTFT: Final = 2.5
"""The bucket bound of vLLM that is next to the 2 s of the benchmark: nothing is interpolated."""
REQUESTS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Tables:
    """Of one mix of requests."""

    ttft: Table
    tpot: Table
    both: Table

    def carried(self, percent: float) -> float:
        """Requests/s of a replica at both objectives."""
        return self.both.rate_at(percent / 100)


def soon(served: Served) -> bool:
    """The first token came soon enough."""
    return served.ttft <= TTFT


def fluent(served: Served) -> bool:
    """The others followed fast enough; one token has no time between tokens."""
    return served.output <= 1 or served.tpot <= TPOT


def tables(mix: Mix, requests: int = REQUESTS) -> Tables:
    """Measure a mix on the plane's plain replica, with arrivals at random."""
    arrivals = Arrivals("tables", lambda _: 1.0)
    tokens = [(ask.prompt, ask.output) for ask in arrivals.until(float(requests), mix)]
    judges: tuple[Callable[[Served], bool], ...] = (soon, fluent, lambda s: soon(s) and fluent(s))
    ttft, tpot, both = (measured(tokens, "loop", lambda: Replica(SPEED), judge) for judge in judges)
    return Tables(ttft, tpot, both)

"""What the plane's replicas make of the hour's requests: engine 1's tables, by objective.

The benchmark has requests come to each replica at random. The plane sends each to the least busy of its
replicas, which lets them run hotter; so there are two sets of tables, and the hour is simulated with both.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.slo.attainment import LOADS, SPEED, TPOT, Table
from gpupool.simulator.replica import Ask, Replica, Served
from localplane.engines.lengths import Arrivals, Mix

TTFT: Final = 2.5
"""The bucket bound of vLLM that is next to the 2 s of the benchmark: nothing is interpolated."""
REQUESTS: Final = 8_000
"""Of each replica, at each load."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Of one mix of requests."""

    ttft: Table
    tpot: Table
    both: Table

    def carried(self, percent: float) -> float:
        """Requests/s of a replica at both objectives."""
        return self.both.rate_at(percent / 100)


@dataclass(frozen=True, slots=True)
class _Load:
    """A load: parts that are good by objective and by both, and what ran on a replica on average."""

    ttft: float
    tpot: float
    both: float
    running: float
    busy: float


def tables(mix: Mix, replicas: int = 1, requests: int = REQUESTS) -> Tables:
    """Measure a mix.

    Args:
        mix: of the requests.
        replicas: that share them, each request going to the least busy one; of one, all come at random.
        requests: of each replica.
    """
    arrivals = Arrivals("tables", lambda _: 1.0)
    tokens = [(ask.prompt, ask.output) for ask in arrivals.until(float(requests * replicas), mix)]
    saturation = len(tokens) / sum(SPEED.load(1, p, a) for p, a in tokens)
    rows = [_measured(tokens, load * saturation, replicas) for load in LOADS]
    prompt, answer = (sum(side) / len(tokens) for side in zip(*tokens, strict=True))
    running, busy = tuple(r.running for r in rows), tuple(r.busy for r in rows)
    parts = ([r.ttft for r in rows], [r.tpot for r in rows], [r.both for r in rows])
    return Tables(*(Table(saturation, prompt, answer, tuple(good), running, busy) for good in parts))


def _measured(tokens: Sequence[tuple[int, int]], rate: float, replicas: int) -> _Load:
    """So many requests/s for each of the replicas."""
    fleet = [Replica(SPEED) for _ in range(replicas)]
    last = 0.0
    for ask in _asks(tokens, rate * replicas):
        for replica in fleet:
            replica.advance(ask.at)
        min(fleet, key=lambda r: r.running + r.waiting).offer(ask)
        last = ask.at
    busy = sum(min(replica.busy, last) for replica in fleet)
    for replica in fleet:
        replica.advance(last + 1e6)
    served = [s for replica in fleet for s in replica.take()[0]]
    seconds, count = last * replicas, len(served)
    return _Load(
        ttft=sum(map(soon, served)) / count,
        tpot=sum(map(fluent, served)) / count,
        both=sum(soon(s) and fluent(s) for s in served) / count,
        running=sum(s.ended - s.admitted for s in served) / seconds,
        busy=busy / seconds,
    )


def _asks(tokens: Sequence[tuple[int, int]], rate: float) -> Iterator[Ask]:
    rng, at = random.Random(f"loop {rate:.3f}"), 0.0  # noqa: S311 - the same again
    for prompt, answer in tokens:
        at += rng.expovariate(rate)
        yield Ask(at, prompt, answer)


def soon(served: Served) -> bool:
    """The first token came soon enough."""
    return served.ttft <= TTFT


def fluent(served: Served) -> bool:
    """The others followed fast enough; one token has no time between tokens."""
    return served.output <= 1 or served.tpot <= TPOT

"""What one replica makes of a tenant's requests at a given load: the table that the fluid engine looks up.

For each of 17 loads engine 1 serves 12,000 requests with the tenant's own lengths, arriving at random. Tables
are kept below `.build/`, under a hash of everything that they come from.
"""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from benchmarks.slo.engine import CHUNK, Chunked, serve
from benchmarks.slo.trace import QUANTILES, Lengths, Mix, Tenant
from gpupool.simulator.replica import SPEEDS, Ask, Served, Speed

MODEL: Final = "llama-70b-fp8/4xH100"
SPEED: Final = SPEEDS[MODEL]
TTFT: Final = 2.0
TPOT: Final = 0.05
LOADS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)
"""Parts of the load from which on the queue grows; close where utilisation rises and attainment falls."""
REQUESTS: Final = 12_000
VERSION: Final = 1
"""Of this module: another one makes other tables."""


@dataclass(frozen=True, slots=True)
class Table:
    """A tenant's requests on one replica.

    Attributes:
        saturation: requests/s from which on the queue grows.
        prompt: mean tokens.
        answer: mean tokens.
        good: part of the requests within both objectives, by load.
        running: mean number of running sequences, by load.
        busy: part of the time with anything running, by load.
    """

    saturation: float
    prompt: float
    answer: float
    good: tuple[float, ...]
    running: tuple[float, ...]
    busy: tuple[float, ...]

    def rate_at(self, objective: float) -> float:
        """The highest requests/s at which a part of the requests is good; less where none can be."""
        wanted = min(objective, 0.995 * self.good[0])
        below = 0
        for index, good in enumerate(self.good):
            if good < wanted:
                before = self.good[index - 1]
                part = (before - wanted) / (before - good)
                load = LOADS[index - 1] + part * (LOADS[index] - LOADS[index - 1])
                return load * self.saturation
            below = index
        return LOADS[below] * self.saturation


def good(served: Served) -> bool:
    """Within both objectives. Time per token: after the first, over all tokens; one token has none."""
    tokens = served.ask.output
    return served.ttft <= TTFT and (tokens == 1 or (served.ended - served.first) / tokens <= TPOT)


def lengths(mixes: Sequence[Mix], count: int, rng: random.Random) -> list[tuple[int, int]]:
    """Prompt and answer tokens of so many requests, drawn from the quantiles."""
    drawn = [(_quantile(m.prompt), _quantile(m.answer)) for m in mixes]
    chosen = rng.choices(drawn, [m.weight for m in mixes], k=count)
    return [(max(1, round(p(rng.random()))), max(1, round(a(rng.random())))) for p, a in chosen]


def table(tenant: Tenant, requests: int = REQUESTS, speed: Speed = SPEED) -> Table:
    """Measure one tenant."""
    rng = random.Random(f"lengths {tenant.name}")  # noqa: S311 - the same again
    tokens = lengths(tenant.mixes, requests, rng)
    saturation = requests / sum(speed.load(1, p, a) for p, a in tokens)
    rows = [_served(tokens, load * saturation, f"{tenant.name} {load}", speed) for load in LOADS]
    prompt, answer = (sum(side) / requests for side in zip(*tokens, strict=True))
    return Table(saturation, prompt, answer, *(tuple(column) for column in zip(*rows, strict=True)))


def cached(tenant: Tenant, folder: Path, requests: int = REQUESTS) -> Table:
    """The tenant's table, from an earlier run where it was made of the same things."""
    made_of = [VERSION, MODEL, asdict(SPEED), CHUNK, TTFT, TPOT, LOADS, requests, tenant.name]
    made_of.append([asdict(mix) for mix in tenant.mixes])
    file = folder / f"{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:24]}.json"
    if file.exists():
        raw = json.loads(file.read_text())
        columns = (tuple(map(float, raw[name])) for name in ("good", "running", "busy"))
        return Table(raw["saturation"], raw["prompt"], raw["answer"], *columns)
    made = table(tenant, requests)
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(made)))
    return made


def _served(
    tokens: Sequence[tuple[int, int]], rate: float, seed: str, speed: Speed
) -> tuple[float, float, float]:
    """Good part, mean running, busy part at one rate."""
    rng = random.Random(seed)  # noqa: S311 - the same again
    asks, at = [], 0.0
    for prompt, answer in tokens:
        at += rng.expovariate(rate)
        asks.append(Ask(at, prompt, answer))
    served, seconds, busy = serve(Chunked(speed), asks)
    if not served:
        return 0.0, 0.0, 0.0
    running = sum(s.ended - s.admitted for s in served) / seconds
    return sum(map(good, served)) / len(asks), running, busy / seconds


def _quantile(found: Lengths) -> Callable[[float], float]:
    """The inverse distribution: straight between quantiles, the last percent bent to the mean."""
    q, places = found.quantiles, [p / 100 for p in QUANTILES]
    body = sum((b - a) * (q[i] + q[i + 1]) / 2 for i, (a, b) in enumerate(pairwise(places[:-1])))
    tail = q[-1] - q[-2]
    part = ((found.mean - body) / (places[-1] - places[-2]) - q[-2]) / tail if tail > 0 else 1.0
    bend = 1 / min(1.0, max(1 / 200, part)) - 1

    def value(at: float) -> float:
        index = next(i for i in range(1, len(places)) if at <= places[i])
        along = (at - places[index - 1]) / (places[index] - places[index - 1])
        if index == len(places) - 1:
            along = along**bend
        return q[index - 1] + along * (q[index] - q[index - 1])

    return value

"""Reads whether somebody asks for endpoints that sleep: one question for all of their series.

A series is a selector of its owner's. Its form was checked when it was applied, so that it cannot leave its
place in the question; what it selects, Prometheus judges. One that it refuses is asked by itself, now and
then.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from gpupool.collector.engines.windows import NAME
from gpupool.collector.prometheus.activity import quoted
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.errors import PrometheusError, PrometheusRefused

PATIENCE: Final = 10.0
"""Seconds that all questions of a reading may take together."""
AGAIN: Final = 60.0
"""Seconds after which a series that was refused is asked again."""
BAD_QUESTION: Final = frozenset({400, 422})
"""HTTP statuses that speak of the question, not of the server."""
NOT_READ, BAD, NONE = "NotRead", "BadSeries", "NoSeries"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a series says: its highest value; None where that is not known, and why."""

    value: float | None = None
    reason: str = ""
    problem: str = ""


class WakeReader:
    """Reads series. Never raises for what Prometheus does.

    Args:
        client: the connection.
        patience: seconds for all questions of one reading.
        monotonic: seconds that never run backwards.
    """

    def __init__(
        self,
        client: PrometheusClient,
        patience: float = PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._patience = patience
        self._monotonic = monotonic
        self._refused: dict[str, tuple[float, Heard]] = {}

    async def read(self, series: Collection[str]) -> Mapping[str, Heard]:
        """The highest value of each series now."""
        now = self._monotonic()
        self._refused = {s: r for s, r in self._refused.items() if s in series and now - r[0] < AGAIN}
        asked = sorted(set(series) - self._refused.keys())
        try:
            async with asyncio.timeout(self._patience):
                found = await self._ask(asked)
        except (PrometheusError, TimeoutError) as error:
            problem = str(error) or f"Prometheus needs more than {self._patience:g}s."
            found = dict.fromkeys(asked, Heard(None, NOT_READ, problem))
        return {s: self._refused[s][1] if s in self._refused else found[s] for s in series}

    async def _ask(self, series: Collection[str]) -> Mapping[str, Heard]:
        """All at once; where that is refused, one by one, to find out which."""
        try:
            return await self._values(series)
        except PrometheusRefused as error:
            if error.status not in BAD_QUESTION:
                raise
            if len(series) == 1:
                (one,) = series
                text = f"Prometheus refuses {one}: {error}"
                self._refused[one] = (self._monotonic(), Heard(None, BAD, text))
                return {}
            found: dict[str, Heard] = {}
            for one in series:
                found |= await self._ask([one])
            return found

    async def _values(self, series: Collection[str]) -> Mapping[str, Heard]:
        if not series:
            return {}
        values = {s.labels.get(NAME, ""): s.value for s in await self._client.query(question(series))}
        absent = "has no value in Prometheus: name a gauge that is there also while no pod runs."
        return {s: Heard(values[s]) if s in values else Heard(None, NONE, f"{s} {absent}") for s in series}


def question(series: Collection[str]) -> str:
    """The highest value of each series, named by itself."""
    return " or ".join(f'label_replace(max({s}), "{NAME}", {_named(s)}, "", "")' for s in series)


def _named(series: str) -> str:
    """A series as the text that a label shall have: a dollar would refer to a group."""
    return quoted(series.replace("$", "$$"))

"""Reads from Prometheus what gpupool sees: its own reader of use, and the operator's own series."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gpupool.collector.prometheus.activity import duration, quoted
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.objects import Pod
from gpupool.model.pool import Pool
from gpupool.telemetry import catalog

LONGEST: Final = 600.0
"""Seconds of one reading at most: raw samples, and many readings for the picture."""


@dataclass(frozen=True, slots=True)
class Measured:
    """GPU-seconds of the world that one team's pods came to.

    Attributes:
        promised: granted by the operator.
        held: on the pool's nodes, as the operator's share series say.
        seen: with a sample of the believed exporter.
        busy: with a sample above 0, as gpupool's reader counts them.
        reported: busy by the efficiency that the operator wrote of the request.
    """

    promised: float = 0.0
    held: float = 0.0
    seen: float = 0.0
    busy: float = 0.0
    reported: float = 0.0

    def __add__(self, other: "Measured") -> "Measured":
        return Measured(
            self.promised + other.promised,
            self.held + other.held,
            self.seen + other.seen,
            self.busy + other.busy,
            self.reported + other.reported,
        )


class Meter:
    """Reads what happened in the last seconds, per team (a team's namespace has its name).

    Args:
        client: the connection to Prometheus.
        pool: whose believed jobs and resources count.
    """

    def __init__(self, client: PrometheusClient, pool: Pool) -> None:
        self._client = client
        self._reader = UsageReader(client)
        self._pool = pool
        self.problem = ""
        """Why the last reading failed."""

    async def read(
        self, pods: list[Pod], now: float, seconds: float, teams: Iterable[str]
    ) -> dict[str, Measured] | None:
        """What each team came to in the `seconds` before `now` (unix time); None without any answer."""
        window = timedelta(seconds=seconds)
        pool = replace(self._pool, reclaim=replace(self._pool.reclaim, window=window))
        usage = await self._reader.read(pool, pods, datetime.fromtimestamp(now, UTC))
        # Nobody's newest sample is fresh while all are in a gap of the trace: the past is read all the same.
        if not usage.pods and usage.problem:
            self.problem = usage.problem
            return None
        found = {team: Measured() for team in teams}
        for use in usage.pods:
            if (team := use.key.namespace) in found:
                found[team] += Measured(seen=use.seen_seconds, busy=use.busy_seconds)
        own = {
            "promised": await self._summed(_share(catalog.SHARE_GRANTED.name, self._pool.name), now, seconds),
            "held": await self._summed(_share(catalog.SHARE_HELD.name, self._pool.name), now, seconds),
            "reported": await self._summed(_reported(self._pool.name), now, seconds),
        }
        return {
            team: replace(found[team], **{name: values.get(team, 0.0) for name, values in own.items()})
            for team in found
        }

    async def scrapes(self, seconds: float) -> tuple[int, int]:
        """Scrapes of the believed jobs in the last seconds, and how many of them failed."""
        job = "|".join(self._pool.jobs)
        over = f"[{duration(seconds)}]"
        tried = await self._client.query(f'sum(count_over_time(up{{job=~"{job}"}}{over}))')
        good = await self._client.query(f'sum(sum_over_time(up{{job=~"{job}"}}{over}))')
        tries = round(sum(sample.value for sample in tried))
        return tries, tries - round(sum(sample.value for sample in good))

    async def _summed(self, expression: str, now: float, seconds: float) -> Mapping[str, float]:
        """Per team: the sum of an expression over the last seconds, in its unit times seconds.

        Read at whole seconds, so that readings that follow each other share no second and leave none out.
        """
        end, begin = int(now), int(now - seconds)
        question = f"sum_over_time(({expression})[{end - begin}s:1s])"
        answers = await self._client.query(question, end)
        return {answer.labels["team"]: answer.value for answer in answers}


def _share(metric: str, pool: str) -> str:
    return f"max by (team) ({metric}{{pool={quoted(pool)}}})"


def _reported(pool: str) -> str:
    """Busy GPUs as the operator's percentages say; a request's namespace is its team here."""
    matcher = f"{{pool={quoted(pool)}}}"
    names = "namespace, exported_namespace, request"
    product = (
        f"max by ({names}) ({catalog.REQUEST_EFFICIENCY.name}{matcher})"
        f" * max by ({names}) ({catalog.REQUEST_GRANTED.name}{matcher}) / 100"
    )
    # Where the scrape renamed the operator's labels, the namespace is in exported_namespace.
    named = f'label_replace({product}, "team", "$1", "namespace", "(.+)")'
    renamed = f'label_replace({named}, "team", "$1", "exported_namespace", "(.+)")'
    return f"sum by (team) ({renamed})"

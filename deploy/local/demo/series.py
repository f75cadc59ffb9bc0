"""GPUs per team over time, as the operator's own series in Prometheus tell it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from demo.stage import Stage
from localplane.kube import Json

STEP: Final = 1.0
"""Seconds between two points; Prometheus scrapes as often."""

KINDS: Final = ("granted", "lent", "held", "busy")


@dataclass(frozen=True, slots=True)
class Team:
    """One team's story in numbers; NaN where nobody was there to tell (the operator was down)."""

    name: str
    pool: str
    seconds: tuple[float, ...]
    """Since the epoch, one every `STEP`."""

    gpus: Mapping[str, tuple[float, ...]]
    """Per kind (granted, lent, held, busy) as many values as `seconds`."""


def read_teams(
    stage: Stage, pools: Mapping[str, str], namespaces: Mapping[str, str], start: float, end: float
) -> list[Team]:
    """The series of every team between two moments.

    Args:
        stage: Where to ask.
        pools: Pool by team.
        namespaces: Namespace by team; before a share names the team, its row is called like this.
        start: Seconds since the epoch.
        end: The same.
    """
    times = _times(start, end)
    tables = {kind: _read(stage, kind, start, end) for kind in KINDS}
    return [
        Team(
            team,
            pool,
            times,
            {kind: _line(tables[kind], pool, (team, namespaces[team]), times) for kind in KINDS},
        )
        for team, pool in pools.items()
    ]


@dataclass(frozen=True, slots=True)
class Lines:
    """Series side by side; NaN where there is none."""

    seconds: tuple[float, ...]
    """Since the epoch, one every `STEP`."""

    values: Mapping[str, tuple[float, ...]]
    """By name, as many as `seconds`."""

    def __getitem__(self, name: str) -> tuple[float, ...]:
        return self.values[name]


def read_lines(stage: Stage, queries: Mapping[str, str], start: float, end: float) -> Lines:
    """One series for each query, between two moments.

    Args:
        stage: Where to ask.
        queries: By name; each finds one series, or the first is taken.
        start: Seconds since the epoch.
        end: The same.
    """
    times = _times(start, end)
    found = {name: stage.prometheus_range(query, start, end, STEP) for name, query in queries.items()}
    tables = {name: _by_step(rows[0], start) if rows else {} for name, rows in found.items()}
    return Lines(
        times,
        {name: tuple(rows.get(i, math.nan) for i in range(len(times))) for name, rows in tables.items()},
    )


def _times(start: float, end: float) -> tuple[float, ...]:
    return tuple(start + STEP * i for i in range(int((end - start) / STEP) + 1))


def _by_step(row: Json, start: float) -> dict[int, float]:
    return {round((at - start) / STEP): float(value) for at, value in row["values"]}


def _read(stage: Stage, kind: str, start: float, end: float) -> dict[tuple[str, str], dict[int, float]]:
    rows = stage.prometheus_range(f"gpupool_share_{kind}_gpus", start, end, STEP)
    return {(row["metric"]["pool"], row["metric"]["team"]): _by_step(row, start) for row in rows}


def _line(
    table: Mapping[tuple[str, str], Mapping[int, float]],
    pool: str,
    names: tuple[str, ...],
    times: tuple[float, ...],
) -> tuple[float, ...]:
    rows = [table.get((pool, name), {}) for name in names]
    return tuple(next((row[i] for row in rows if i in row), math.nan) for i in range(len(times)))

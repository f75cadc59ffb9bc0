"""The plane's hour beside the simulator's: a row each, how far apart they are, and where that comes from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.table import Table as Shown

HOURS: Final = 0.05
POINTS: Final = 1.0
"""How far apart replica-hours (as a part) and attainments may be."""
PLANE: Final = "plane"
SIMULATOR: Final = "simulator"
SPREAD: Final = "simulator, to the least busy"
ONE_BY_ONE: Final = "simulator, request by request"
BY_TABLES: Final = "simulator, profile of the tables"
TENTHS: Final = 10
"""Minutes of a column."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to play the hour.

    Attributes:
        side: the plane, or a simulator.
        ttft, tpot: percent of the requests within the objective.
        replica_hours: starting replicas count.
        changes: of the number of replicas.
        startup_s: from made to Ready.
        carried: requests/s of a replica, as the policy knows it; 0 for one that does not ask.
        replicas: at the end of every minute.
    """

    side: str
    policy: str
    family: str
    tenant: str
    hour: int
    ttft: float
    tpot: float
    replica_hours: float
    changes: int
    startup_s: float
    carried: float
    replicas: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a simulator is from the plane: replica-hours as a part, attainments in points."""

    hours: float
    ttft: float
    tpot: float

    @property
    def close(self) -> bool:
        """Whether it is within what is asked."""
        return abs(self.hours) <= HOURS and max(abs(self.ttft), abs(self.tpot)) <= POINTS

    def __str__(self) -> str:
        return f"{self.hours:+.1%} replica-hours, {self.ttft:+.2f} and {self.tpot:+.2f} points (ttft, tpot)"


def distance(row: Row, beside: Row) -> Distance:
    """From one row to another."""
    hours = row.replica_hours / beside.replica_hours - 1 if beside.replica_hours else 0.0
    return Distance(hours, row.ttft - beside.ttft, row.tpot - beside.tpot)


def verdict(rows: Sequence[Row]) -> tuple[bool, str]:
    """Whether the simulator and the plane agree."""
    found = distance(_named(rows, SIMULATOR), _named(rows, PLANE))
    word = "agree" if found.close else "DO NOT agree"
    return found.close, f"plane and simulator {word} within {HOURS:.0%} and {POINTS:g} point: {found}"


def why(rows: Sequence[Row], lost: float, said: Sequence[float]) -> list[str]:
    """Where they differ, part by part: what one change of the simulator makes of it.

    Args:
        rows: all.
        lost: percent of the plane's requests that no replica answered.
        said: attainments as the operator told them at the hour's end.
    """
    plane, simulator = _named(rows, PLANE), _named(rows, SIMULATOR)
    lines = []
    for row in rows:
        if row.side == SPREAD:
            lines.append(
                "the plane sends a request to the least busy replica, `make bench-slo` to any one at random:"
                f" with tables of the plane's way it would be {distance(row, simulator)}"
            )
        if row.side == ONE_BY_ONE:
            lines.append(
                "the flow knows no single request: request by request it would be"
                f" {distance(row, simulator)}; that is {distance(row, plane)} from the plane"
            )
        if row.side == BY_TABLES:
            lines.append(
                f"the operator learned {simulator.carried:.2f} requests/s of a replica, the tables say"
                f" {row.carried:.2f}: with that it would be {distance(row, simulator)}"
            )
    lines.append(f"no replica answered {lost:.3f} % of the plane's requests; they are in no attainment")
    if said:
        told = " and ".join(f"{value:.2f}" for value in said)
        lines.append(f"the operator's own word on the plane's attainment: {told} % (ttft, tpot)")
    return lines


def _named(rows: Sequence[Row], side: str) -> Row:
    return next(row for row in rows if row.side == side)


def table(rows: Sequence[Row], title: str, caption: str) -> Shown:
    """All rows, with the mean replicas of every ten minutes."""
    shown = Shown(title=title, caption=caption, title_justify="left", caption_justify="left")
    shown.add_column("side")
    for heading in ("replica-hours", "ttft %", "tpot %", "changes", "start-up s"):
        shown.add_column(heading, justify="right")
    shown.add_column(f"replicas, means of {TENTHS} minutes", justify="right")
    for row in rows:
        parts = [row.replicas[n : n + TENTHS] for n in range(0, len(row.replicas), TENTHS)]
        means = "  ".join(f"{sum(part) / len(part):4.1f}" for part in parts)
        cells = (f"{row.replica_hours:.2f}", f"{row.ttft:.2f}", f"{row.tpot:.2f}", str(row.changes))
        shown.add_row(row.side, *cells, f"{row.startup_s:.0f}", means)
    return shown


def save(rows: Sequence[Row], file: Path) -> None:
    """Write the rows as one array of objects."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")

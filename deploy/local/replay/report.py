"""What was measured beside what is true: the table, and whether they agree. Pure."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from replay.player import Played
from replay.recording import HOUR, TEAMS, Recording
from replay.stage import team_name

TOLERANCE: Final = 3.0
"""Percent by which measured busy GPU-hours may differ from the truth."""

ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Row:
    """One team, in GPU-hours of trace time."""

    team: str
    pods: int
    promised: float
    promised_truth: float
    held: float
    held_truth: float
    seen: float
    seen_truth: float
    busy: float
    busy_truth: float
    reported: float

    @property
    def off(self) -> float:
        """Percent by which the measured busy hours differ from the true ones."""
        return percent_off(self.busy, self.busy_truth)


def percent_off(measured: float, true: float) -> float:
    """Difference in percent of the truth; a truth of 0 makes anything else infinitely wrong."""
    if true == 0:
        return 0.0 if measured == 0 else float("inf")
    return 100 * (measured - true) / true


def rows(recording: Recording, played: Played) -> list[Row]:
    """One row per team, and one for all."""
    found = [_row(recording, played, team) for team in recording.teams]
    return [*found, _sum(found)]


def agrees(found: list[Row]) -> bool:
    """Whether the busy hours of every team, and of all, are within the tolerance."""
    return all(abs(row.off) <= TOLERANCE for row in found)


def table(recording: Recording, found: list[Row]) -> Table:
    """The table for a terminal."""
    title = (
        f"GPU-hours of trace time, {recording.length / HOUR:.2f} h of {recording.file.name}; "
        f"team = pod id modulo {TEAMS}, each team asks for as many GPUs as it has pods"
    )
    shown = Table(title=title, title_justify="left")
    for heading in ("team", "pods"):
        shown.add_column(heading)
    for heading in ("promised", "held", "seen", "used (busy)"):
        shown.add_column(heading, justify="right")
        shown.add_column("trace", justify="right", style="dim")
    for heading in ("used: off by", "used / promised", "status says"):
        shown.add_column(heading, justify="right")
    for row in found:
        shown.add_row(*_cells(row), style="bold" if row.team == ALL else None)
    return shown


def footnotes(recording: Recording, played: Played) -> list[str]:
    """How it was measured, and what went wrong on the way."""
    ratio, late = played.speed / recording.step, f"{played.latest:.2f} s"
    sampling = f", so that a scrape a second sees one sample in {ratio:.1f}" if ratio > 1 else ""
    return [
        "promised, held: the operator's series gpupool_share_granted_gpus and gpupool_share_held_gpus;",
        "seen, used: gpupool's own reader of Prometheus, believed samples and those above 0;",
        "status says: used by the efficiency the operator wrote of each request (whole percents);",
        f"trace: samples of the file, {recording.step:g} s each; played at {played.speed:g}x{sampling};",
        f"{played.failed} of {played.scrapes} scrapes failed; the latest change came {late} late",
    ]


def as_json(recording: Recording, played: Played, found: list[Row]) -> dict[str, Any]:
    """The same as a document."""
    return {
        "trace": recording.file.name,
        "hours": recording.length / HOUR,
        "speed": played.speed,
        "agrees": agrees(found),
        "tolerancePercent": TOLERANCE,
        "scrapes": played.scrapes,
        "scrapesFailed": played.failed,
        "latestSeconds": played.latest,
        "rows": [{**asdict(row), "offPercent": row.off} for row in found],
    }


def _row(recording: Recording, played: Played, team: int) -> Row:
    pods, scale = len(recording.of_team(team)), played.speed / HOUR
    measured, true = played.total(team_name(team)), recording.truth(team)
    return Row(
        team=team_name(team),
        pods=pods,
        promised=measured.promised * scale,
        promised_truth=pods * recording.length / HOUR,
        held=measured.held * scale,
        held_truth=true.held / HOUR,
        seen=measured.seen * scale,
        seen_truth=true.seen / HOUR,
        busy=measured.busy * scale,
        busy_truth=true.busy / HOUR,
        reported=measured.reported * scale,
    )


def _sum(found: list[Row]) -> Row:
    parts = [asdict(row) for row in found]
    sums: dict[str, Any] = {name: sum(part[name] for part in parts) for name in parts[0] if name != "team"}
    return Row(team=ALL, **sums)


def _cells(row: Row) -> list[str]:
    colour = "green" if abs(row.off) <= TOLERANCE else "red"
    used = 100 * row.busy / row.promised if row.promised else 0.0
    return [
        row.team,
        str(row.pods),
        f"{row.promised:.1f}",
        f"{row.promised_truth:.1f}",
        f"{row.held:.1f}",
        f"{row.held_truth:.1f}",
        f"{row.seen:.1f}",
        f"{row.seen_truth:.1f}",
        f"{row.busy:.1f}",
        f"{row.busy_truth:.1f}",
        f"[{colour}]{row.off:+.2f} %[/]",
        f"{used:.0f} %",
        f"{row.reported:.1f}",
    ]

"""The picture of the story: granted, held and busy GPUs of each team over time, scenes marked."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from demo.narrator import Mark
from demo.series import Team

GRANTED: Final = "#1b3a6b"
ALLOWANCE: Final = "#c1440e"
HELD: Final = "#9ec5e8"
BUSY: Final = "#2e8b57"
DOWN: Final = "#e4e4e4"
SIZE: Final = (12.0, 11.0)
DPI: Final = 110
ROOM: Final = 0.024
"""Least distance between two scene numbers, as a part of the width."""


def draw(teams: Sequence[Team], marks: Sequence[Mark], file: Path) -> None:
    """Write the picture as PNG.

    Args:
        teams: At least one, all with the same times.
        marks: When the scenes began, the first at the left edge.
        file: Where to write it.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    heights = [max(1.0, _top(team) ** 0.5 / 3) for team in teams]
    panels = figure.subplots(len(teams), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, team in zip(panels, teams, strict=True):
        _panel(panel, team, marks)
    number_scenes(panels[0], marks)
    panels[-1].set_xlabel("seconds since the first scene")
    figure.suptitle(
        "GPUs per team, second by second, from the operator's own series", x=0.07, ha="left", size=14
    )
    figure.legend(handles=_handles(), loc="upper left", ncols=5, frameon=False, bbox_to_anchor=(0.062, 0.967))
    captions(figure, marks)
    figure.subplots_adjust(left=0.07, right=0.98, top=0.885, bottom=0.185, hspace=0.16)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _panel(panel: Axes, team: Team, marks: Sequence[Mark]) -> None:
    start = marks[0].at
    times = [at - start for at in team.seconds]
    granted, lent = team.gpus["granted"], team.gpus["lent"]
    allowance = [g - b if b else math.nan for g, b in zip(granted, lent, strict=True)]
    panel.fill_between(times, team.gpus["held"], step="post", color=HELD, linewidth=0)
    panel.step(times, granted, where="post", color=GRANTED, linewidth=3.4)
    panel.step(times, team.gpus["busy"], where="post", color=BUSY, linewidth=1.6)
    panel.step(times, allowance, where="post", color=ALLOWANCE, linewidth=1.6, linestyle=(0, (3, 1.5)))
    _shade_silence(panel, times, granted)
    panel.set_xlim(times[0], times[-1])
    panel.set_ylim(0, _top(team) * 1.08)
    dress(panel, f"{team.name}  (pool {team.pool})", "GPUs", marks)


def dress(panel: Axes, title: str, unit: str, marks: Sequence[Mark]) -> None:
    """Title, unit, scenes and grid of a panel."""
    for mark in marks[1:]:
        panel.axvline(mark.at - marks[0].at, color="#888888", linewidth=0.7, linestyle=":")
    panel.set_ylabel(unit)
    panel.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=4)
    panel.grid(axis="y", color="#eeeeee", linewidth=0.8)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _top(team: Team) -> float:
    known = [value for values in team.gpus.values() for value in values if not math.isnan(value)]
    return max([8.0, *known])


def _shade_silence(panel: Axes, times: Sequence[float], values: Sequence[float]) -> None:
    """Grey where a series that had begun says nothing: the operator was down."""
    known = [i for i, value in enumerate(values) if not math.isnan(value)]
    for before, after in pairwise(known):
        if after - before > 1:
            panel.axvspan(times[before], times[after], color=DOWN, linewidth=0, zorder=3)


def number_scenes(panel: Axes, marks: Sequence[Mark]) -> None:
    """Numbers above the first panel; where scenes follow closely they move to the right."""
    first, last = panel.get_xlim()
    place = first - ROOM * (last - first)
    for mark in marks:
        place = max(mark.at - marks[0].at, place + ROOM * (last - first))
        panel.annotate(
            str(mark.number),
            (place, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 20),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color="#444444",
        )


def captions(figure: Figure, marks: Sequence[Mark]) -> None:
    """What the numbers stand for, in two columns under the panels."""
    half = -(-len(marks) // 2)
    for column, part in enumerate((marks[:half], marks[half:])):
        text = "\n".join(f"{mark.number:>2}  {mark.title}" for mark in part)
        figure.text(0.07 + 0.47 * column, 0.125, text, va="top", fontsize=9, color="#333333", linespacing=1.5)


def _handles() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=GRANTED, linewidth=3.4, label="granted"),
        Line2D([], [], color=ALLOWANCE, linewidth=1.6, linestyle=(0, (3, 1.5)), label="allowance while lent"),
        Patch(color=HELD, label="held"),
        Line2D([], [], color=BUSY, linewidth=1.6, label="busy"),
        Patch(color=DOWN, label="operator down, no series"),
    ]

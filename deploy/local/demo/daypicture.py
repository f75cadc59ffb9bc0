"""The picture of the second act: load, replicas, attainment and error budget of endpoints over time."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from demo import day
from demo.narrator import Mark
from demo.picture import ALLOWANCE, BUSY, DPI, GRANTED, HELD, captions, dress, number_scenes
from demo.series import Lines

SIZE: Final = (12.0, 10.0)
FIXED: Final = "#8a8a8a"
COLORS: Final[Mapping[str, str]] = {"assist": GRANTED, "fixed": FIXED, "rag": ALLOWANCE, "coder": BUSY}
"""By endpoint."""

LOWEST: Final = -100.0
"""Percent of the error budget down to which is drawn: a broken promise may be far below."""

LEAST: Final = 90.0
"""Percent of good requests from which on is drawn, where all are above it."""


def load_of(endpoint: str) -> str:
    """Name of a line: requests/s that came."""
    return f"{endpoint} load"


def replicas_of(endpoint: str) -> str:
    """Name of a line: replicas on nodes."""
    return f"{endpoint} replicas"


def needed_by(endpoint: str) -> str:
    """Name of a line: replicas that the promise needs, as the operator says."""
    return f"{endpoint} needed"


def attainment_of(endpoint: str) -> str:
    """Name of a line: percent of good requests in the window."""
    return f"{endpoint} attainment"


def budget_of(endpoint: str) -> str:
    """Name of a line: percent of the error budget that is left."""
    return f"{endpoint} budget"


def draw_day(lines: Lines, marks: Sequence[Mark], promised: float, file: Path) -> None:
    """Write the picture as PNG.

    Args:
        lines: Named as the functions above name them.
        marks: When the scenes began, the first at the left edge.
        promised: Percent of good requests that `assist` and `fixed` promise.
        file: Where to write it.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    load, replicas, attainment, budget = figure.subplots(4, 1, sharex=True, height_ratios=(1, 1.3, 1, 1))
    times = [at - marks[0].at for at in lines.seconds]
    _load(load, times, lines)
    _replicas(replicas, times, lines)
    _attainment(attainment, times, lines, promised)
    _budget(budget, times, lines)
    dress(load, "what comes to assist, and to its twin fixed", "requests/s", marks)
    dress(replicas, "replicas", "replicas", marks)
    dress(attainment, "first token in time", "percent", marks)
    dress(budget, "error budget left", "percent", marks)
    for panel in (load, replicas, attainment, budget):
        panel.set_xlim(times[0], times[-1])
        panel.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False, fontsize=9)
    number_scenes(load, marks)
    budget.set_xlabel("seconds since the second act began")
    figure.suptitle(
        f"Endpoints through {day.HOURS} recorded hours, in {day.SECONDS:.0f} seconds",
        x=0.07,
        ha="left",
        size=14,
    )
    captions(figure, marks)
    figure.subplots_adjust(left=0.07, right=0.86, top=0.9, bottom=0.185, hspace=0.24)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _load(panel: Axes, times: Sequence[float], lines: Lines) -> None:
    panel.fill_between(times, lines[load_of("assist")], color=HELD, linewidth=0, label="both")
    panel.set_ylim(0, None)


def _replicas(panel: Axes, times: Sequence[float], lines: Lines) -> None:
    for name in ("fixed", "assist"):
        values = lines[replicas_of(name)]
        panel.step(times, values, where="post", color=COLORS[name], linewidth=3.0, label=name)
    needed = lines[needed_by("assist")]
    panel.step(
        times,
        needed,
        where="post",
        color=ALLOWANCE,
        linewidth=1.4,
        linestyle=(0, (3, 1.5)),
        label="needed",
    )
    panel.set_ylim(0, 1.15 * _highest(needed, *(lines[replicas_of(n)] for n in ("fixed", "assist"))))


def _attainment(panel: Axes, times: Sequence[float], lines: Lines, promised: float) -> None:
    shown = [lines[attainment_of(name)] for name in ("assist", "fixed", "coder")]
    for name, values in zip(("assist", "fixed", "coder"), shown, strict=True):
        panel.plot(times, values, color=COLORS[name], linewidth=1.8, label=name)
    panel.axhline(
        promised, color=ALLOWANCE, linewidth=1.2, linestyle=(0, (3, 1.5)), label="promise to users\nof assist"
    )
    known = [value for values in shown for value in values if not math.isnan(value)]
    panel.set_ylim(min([LEAST, *(math.floor(value) for value in known)]), 100.5)


def _budget(panel: Axes, times: Sequence[float], lines: Lines) -> None:
    for name in ("assist", "fixed", "coder"):
        values = [max(LOWEST, value) for value in lines[budget_of(name)]]
        panel.plot(times, values, color=COLORS[name], linewidth=1.8, label=name)
    panel.axhline(0, color="#888888", linewidth=0.8)
    panel.set_ylim(None, 105)


def _highest(*lines: Sequence[float]) -> float:
    return max([1.0, *(value for line in lines for value in line if not math.isnan(value))])

"""Held and busy GPUs of each team over the trace's hours, measured beside the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from replay.player import Played
from replay.recording import HOUR, Recording
from replay.stage import team_name

HELD: Final = "#9ec5e8"
BUSY: Final = "#2e8b57"
TRUE: Final = "#222222"
PROMISED: Final = "#1b3a6b"
SIZE: Final = (12.0, 3.0)
"""Inches of width, and of height per team."""

DPI: Final = 110


def draw(recording: Recording, played: Played, file: Path) -> None:
    """Write the picture as PNG."""
    teams = recording.teams
    figure = Figure(figsize=(SIZE[0], SIZE[1] * len(teams)), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(teams), 1, sharex=True, squeeze=False)[:, 0]
    for panel, team in zip(panels, teams, strict=True):
        _panel(panel, recording, played, team)
    panels[-1].set_xlabel("hours of the trace")
    figure.suptitle(
        f"{recording.file.name} at {played.speed:g}x: GPUs per team, measured (colour), true (black)",
        x=0.01,
        ha="left",
    )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _panel(panel: Axes, recording: Recording, played: Played, team: int) -> None:
    name, slices = team_name(team), played.slices
    edges = [slices[0].begin / HOUR, *(piece.end / HOUR for piece in slices)]
    scale = [played.speed / (piece.end - piece.begin) for piece in slices]
    truths = [recording.truth(team, piece.begin, piece.end) for piece in slices]
    lengths = [min(piece.end, recording.length) - piece.begin for piece in slices]
    measured = [piece.teams[name] for piece in slices]
    promised = [m.promised * s for m, s in zip(measured, scale, strict=True)]
    held = [m.held * s for m, s in zip(measured, scale, strict=True)]
    busy = [m.busy * s for m, s in zip(measured, scale, strict=True)]
    panel.stairs(held, edges, color=HELD, fill=True, label="held")
    panel.stairs(busy, edges, color=BUSY, fill=True, alpha=0.8, label="busy")
    panel.stairs(promised, edges, color=PROMISED, linewidth=1.4, linestyle=":", label="promised")
    true_held = [t.held / s for t, s in zip(truths, lengths, strict=True)]
    true_busy = [t.busy / s for t, s in zip(truths, lengths, strict=True)]
    _line(panel, edges, true_held, "--", "held, from the trace")
    _line(panel, edges, true_busy, "-", "busy, from the trace")
    panel.set_xlim(edges[0], edges[-1])
    panel.set_ylim(0, 1.08 * max(1.0, *promised))
    panel.set_ylabel("GPUs")
    panel.set_title(name, loc="left", fontsize=11, fontweight="bold")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _line(panel: Axes, edges: Sequence[float], values: Sequence[float], style: str, label: str) -> None:
    panel.stairs(values, edges, color=TRUE, linewidth=1.1, linestyle=style, label=label, baseline=None)

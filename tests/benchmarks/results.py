"""What the benchmarks say: one row per figure, one table, one document."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        part: what was benched.
        what: which number of it.
        value: the number.
        unit: of the value and the baseline.
        baseline: the same without us, or of the smallest size, run beside it; None where there is none.
        against: what the baseline is.
    """

    part: str
    what: str
    value: float
    unit: str
    baseline: float | None = None
    against: str = ""

    @property
    def ratio(self) -> float | None:
        """Value over baseline."""
        return self.value / self.baseline if self.baseline else None


def table(figures: Sequence[Figure]) -> Table:
    """All figures for a terminal."""
    shown = Table(title="gpupool bench: measured, nothing asserted", title_justify="left")
    shown.add_column("part")
    shown.add_column("figure")
    for heading in ("value", "unit", "baseline", "ratio"):
        shown.add_column(heading, justify="left" if heading == "unit" else "right")
    shown.add_column("baseline is")
    last = ""
    for figure in figures:
        if last and figure.part != last:
            shown.add_section()
        shown.add_row(*_cells(figure, first=figure.part != last))
        last = figure.part
    return shown


def save(figures: Sequence[Figure], seconds: float, file: Path) -> None:
    """Write all figures as JSON."""
    rows = [{**asdict(figure), "ratio": figure.ratio} for figure in figures]
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine, "seconds": seconds, "figures": rows}, indent=2) + "\n")


def _cells(figure: Figure, *, first: bool) -> list[str]:
    baseline = "" if figure.baseline is None else _number(figure.baseline)
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}x"
    part = figure.part if first else ""
    return [part, figure.what, _number(figure.value), figure.unit, baseline, ratio, figure.against]


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if value >= 1 else f"{value:.3f}"

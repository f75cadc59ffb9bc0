"""Whether the target is reached, and how far ours is from the first runs of another simulator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from rich.table import Table as Shown

from benchmarks.slo.attainment import Table
from benchmarks.slo.fluid import Lanes, Outcome
from benchmarks.slo.report import Row, by_tenant

OURS: Final = "gpupool"
HPA: Final = "hpa-"
STARTUP: Final = 120
"""Seconds at which the target stands, and at which the first runs were made."""
RATIO: Final = 1.2
ATTAINMENT: Final = 99.0
WORST: Final = 97.0
REFERENCE: Final[Mapping[str, tuple[float, float]]] = {
    "hpa-utilisation-80": (97.3, 8_328),
    "hpa-utilisation-50": (99.1, 15_073),
    "hpa-running-16": (97.2, 3_798),
    "hpa-running-4": (99.2, 6_892),
    "simple-rate": (99.3, 3_849),
    "oracle": (99.9, 2_811),
}
"""First runs of another simulator over all seven days: attainment in percent, GPU-hours a day."""
REFERENCE_FAMILY: Final = "servegen_m-large"
CLOSE_HOURS: Final = 0.10
CLOSE_POINTS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One part of the target.

    Attributes:
        what: is asked.
        value: reached.
        limit: asked.
        most: whether the limit is a most, or a least.
    """

    what: str
    value: float
    limit: float
    most: bool = False

    @property
    def reached(self) -> bool:
        """Whether it is."""
        return self.value <= self.limit if self.most else self.value >= self.limit

    def __str__(self) -> str:
        verb = "reached" if self.reached else "MISSED"
        return (
            f"{self.what} {self.value:.4g} ({'at most' if self.most else 'at least'} {self.limit:g}): {verb}"
        )


def goals(found: Sequence[Row], startup: int = STARTUP) -> tuple[str, list[Goal]]:
    """The target on the days that are held out, or on all there are; nothing without its start-up time."""
    here = [r for r in found if r.startup_s == startup]
    split = next((s for s in ("heldout", "fit") if any(r.split == s for r in here)), "")
    rows = {r.policy: r for r in here if r.split == split}
    if OURS not in rows:
        return split, []
    ours = rows[OURS]
    calmest = min(r.changes_per_hour for name, r in rows.items() if name.startswith(HPA))
    return split, [
        Goal("GPU-hours over the oracle's", ours.oracle_ratio, RATIO, most=True),
        Goal("attainment", ours.attainment, ATTAINMENT),
        Goal("worst tenant", ours.worst_tenant, WORST),
        Goal("changes an hour, beside the calmest HPA", ours.changes_per_hour, calmest, most=True),
    ]


@dataclass(frozen=True, slots=True)
class Compared:
    """A baseline beside the first runs.

    Attributes:
        hours: GPU-hours over those of the first runs, less 1.
        points: of attainment, more than in the first runs.
        why: the assumption that differs; empty where both are close.
    """

    policy: str
    hours: float
    points: float
    why: str


def compared(
    found: Sequence[Row], outcomes: Mapping[str, Outcome], lanes: Lanes, tables: Mapping[str, Table]
) -> list[Compared]:
    """Every baseline of the reference's family and start-up time, all days. `tables`: named by tenant."""
    rows = [
        r
        for r in found
        if (r.family, r.startup_s, r.split) == (REFERENCE_FAMILY, STARTUP, "all") and r.policy in REFERENCE
    ]
    made = []
    for row in rows:
        attainment, hours = REFERENCE[row.policy]
        more, points = row.gpu_hours_per_day / hours - 1, row.attainment - attainment
        close = abs(more) <= CLOSE_HOURS and abs(points) <= CLOSE_POINTS
        sums = by_tenant(outcomes[row.policy], lanes, STARTUP, slice(None))
        made.append(Compared(row.policy, more, points, "" if close else _assumption(sums, tables)))
    return made


def comparison(found: Sequence[Compared]) -> Shown:
    """As a table: what is close, and the assumption behind what is not."""
    title = f"against first runs of another simulator (start-up {STARTUP} s, all days)"
    shown = Shown(title=title, title_justify="left")
    shown.add_column("policy")
    for heading in ("GPU-hours", "attainment, points"):
        shown.add_column(heading, justify="right")
    shown.add_column(f"within {CLOSE_HOURS:.0%} and {CLOSE_POINTS:g} point, or the assumption that differs")
    for row in found:
        shown.add_row(row.policy, f"{row.hours:+.1%}", f"{row.points:+.2f}", row.why or "close")
    return shown


def _assumption(sums: tuple[np.ndarray, np.ndarray], tables: Mapping[str, Table]) -> str:
    """Where most of the bad requests are, and what is assumed of them."""
    good, total = sums
    worst = int(np.argmax(total - good))
    name, its = list(tables.items())[worst]
    lost = 100 * float(total[worst] - good[worst]) / float(total.sum())
    others = 100 * float(good.sum() - good[worst]) / float(total.sum() - total[worst])
    return (
        f"DIFFERS: {lost:.2f} points are tenant {name}, with {its.answer:.0f} tokens an answer; without it"
        f" attainment is {others:.2f} %. Assumed here: near saturation an answer of few tokens absorbs every"
        " prompt that is read meanwhile, and time per token counts that"
    )

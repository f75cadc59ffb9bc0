"""What `make bench-slo` says: a row per policy, start-up time and split; tables, and one document."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.table import Table as Shown

from benchmarks.slo.fluid import Lanes, Outcome
from benchmarks.slo.limited import PRIORITIES, Shortage
from benchmarks.slo.trace import DAY, WINDOW, Trace

FIT_DAYS: Final = 3
SPLITS: Final[Mapping[str, slice]] = {
    "fit": slice(0, FIT_DAYS),
    "heldout": slice(FIT_DAYS, None),
    "all": slice(0, None),
}
NAMES: Final = {"fit": f"1 to {FIT_DAYS} (fit)", "heldout": f"{FIT_DAYS + 1} on (held out)", "all": "all"}


@dataclass(frozen=True, slots=True)
class Row:
    """One policy at one start-up time over one split of the days.

    Attributes:
        attainment: percent of all requests within both objectives.
        worst_tenant: percent of the requests of the tenant that fares worst.
        gpu_hours_per_day: starting replicas count.
        oracle_ratio: GPU-hours over those of the oracle.
        changes_per_hour: of the number of replicas, all tenants together.
    """

    policy: str
    family: str
    startup_s: int
    split: str
    attainment: float
    worst_tenant: float
    gpu_hours_per_day: float
    oracle_ratio: float
    changes_per_hour: float


def rows(trace: Trace, lanes: Lanes, outcomes: Mapping[str, Outcome]) -> list[Row]:
    """Every policy, start-up time and split that has days."""
    found: list[Row] = []
    for startup in sorted({int(s) for s in lanes.startup}):
        for split, days in SPLITS.items():
            if covered(trace, days) > 0:
                oracle = _hours(outcomes["oracle"], lanes, startup, days)
                found += [_row(named, trace, lanes, (startup, split), oracle) for named in outcomes.items()]
    return found


def covered(trace: Trace, days: slice) -> float:
    """Days of a split that have data."""
    return sum(
        1 - sum(1 for gap in trace.gaps if gap * WINDOW // DAY == day) * WINDOW / DAY
        for day in range(trace.days)[days]
    )


def by_tenant(outcome: Outcome, lanes: Lanes, startup: int, days: slice) -> tuple[np.ndarray, np.ndarray]:
    """Good requests and all, by tenant, over all seeds."""
    chosen = lanes.startup == startup
    tenants = int(lanes.tenant.max()) + 1
    sums = [side[chosen][:, days].sum(axis=1) for side in (outcome.good, outcome.total)]
    good, total = (np.bincount(lanes.tenant[chosen], side, tenants) for side in sums)
    return good, total


def _hours(outcome: Outcome, lanes: Lanes, startup: int, days: slice) -> float:
    return float(outcome.gpu_hours[lanes.startup == startup][:, days].sum())


def _row(
    named: tuple[str, Outcome], trace: Trace, lanes: Lanes, place: tuple[int, str], oracle: float
) -> Row:
    name, outcome = named
    startup, split = place
    days = SPLITS[split]
    good, total = by_tenant(outcome, lanes, startup, days)
    part = good[total > 0] / total[total > 0]
    length = covered(trace, days) * (int(lanes.seed.max()) + 1)
    hours = _hours(outcome, lanes, startup, days)
    changes = float(outcome.changes[lanes.startup == startup][:, days].sum())
    return Row(
        name,
        trace.family,
        startup,
        split,
        round(100 * float(good.sum()) / float(total.sum()), 3),
        round(100 * float(part.min()), 3),
        round(hours / length, 1),
        round(hours / oracle, 4),
        round(changes / length / 24, 2),
    )


def save(found: Sequence[Row], file: Path) -> None:
    """Write the rows of the two splits as one array of objects."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(r) for r in found if r.split != "all"], indent=2) + "\n")


def table(found: Sequence[Row], startup: int, told: str) -> Shown:
    """All policies at one start-up time, a section per split."""
    shown = Shown(title=f"start-up {startup} s", caption=told, title_justify="left", caption_justify="left")
    shown.add_column("days")
    shown.add_column("policy")
    for heading in ("attainment %", "worst tenant %", "GPU-hours/day", "vs oracle", "changes/hour"):
        shown.add_column(heading, justify="right")
    last = ""
    for row in found:
        if row.startup_s != startup:
            continue
        if last and row.split != last:
            shown.add_section()
        shown.add_row(
            NAMES[row.split] if row.split != last else "",
            row.policy,
            f"{row.attainment:.2f}",
            f"{row.worst_tenant:.2f}",
            f"{row.gpu_hours_per_day:,.0f}",
            f"{row.oracle_ratio:.3f}x",
            f"{row.changes_per_hour:.1f}",
        )
        last = row.split
    return shown


def shortages(found: Sequence[Shortage], pool: int, told: str) -> Shown:
    """The limited pool: bad requests by priority."""
    title = f"a pool of {pool} replicas, 60 % of the sum of peaks: bad requests in percent"
    shown = Shown(title=title, caption=told, title_justify="left", caption_justify="left")
    shown.add_column("policy")
    for heading in (*PRIORITIES, "GPU-hours/day"):
        shown.add_column(heading, justify="right")
    for row in found:
        shown.add_row(row.policy, *(f"{b:.2f}" for b in row.bad), f"{row.gpu_hours:,.0f}")
    return shown

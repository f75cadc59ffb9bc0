"""`make bench-slo`: replicas for a real week of requests, ours beside the HPA, a simple rule and an oracle.

`python -m benchmarks.slo <folder>` reads `<family>_rates.csv.gz` and `<family>_tokens_6h.csv.gz` there.
Replicas run Llama-3.1-70B fp8 on 4 H100; a request is good with TTFT <= 2 s and 50 ms a token.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.slo import attainment, limited, report, target, trace
from benchmarks.slo.fluid import HIGH, LOW, Outcome, lanes
from benchmarks.slo.policies import KNOWS_WINDOW, OBJECTIVE, POLICIES
from benchmarks.slo.runs import Bench, Run, Setting, merged, together
from gpupool.policy.slo.sizing import TUNING
from localplane.paths import CHECKOUT
from localplane.progress import say, step

FAMILY: Final = "servegen_m-large"
STARTUPS: Final = (30, 120, 300)
WIDTH: Final = 150
HOLDS: Final = (0.0, 0.5, 2.0, 8.0)
"""Hours: the frontier."""
SHORT: Final = (
    ("gpupool", "by priority"),
    ("gpupool", "first come"),
    ("simple-rate", "first come"),
    ("hpa-running-16", "first come"),
    ("hpa-running-4", "first come"),
    ("hpa-utilisation-80", "first come"),
    ("oracle", "by priority"),
)
"""Who is benched in a pool that is too small. No HPA knows of a priority: first come, first served."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all policies, print the tables, write the document."""
    chosen = _arguments(arguments)
    began = time.monotonic()
    try:
        found = prepare(chosen)
    except trace.TraceError as error:
        print(f"bench-slo: {error}", file=sys.stderr)
        return 1
    bench, console = Bench(found, chosen.jobs), _console()
    rows = _unlimited(console, bench, chosen)
    startup = target.STARTUP if target.STARTUP in chosen.startups else chosen.startups[0]
    _limited(console, bench, startup)
    split, goals = target.goals(rows)
    for goal in goals:
        console.print(f"target at {target.STARTUP} s, {report.NAMES[split]}: {goal}", highlight=False)
    if chosen.frontier or not all(goal.reached for goal in goals):
        _frontier(console, bench, startup)
    if chosen.json:
        report.save(rows, chosen.json)
    where = f"; rows: {chosen.json}" if chosen.json else ""
    say(f"bench-slo: {(time.monotonic() - began) / 60:.1f} minutes{where}")
    return 0


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.slo", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the two files of the family")
    parser.add_argument("--family", default=FAMILY)
    parser.add_argument("--json", type=Path, help="where the rows are written")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the arrivals within a window")
    parser.add_argument("--startups", type=int, nargs="+", default=list(STARTUPS), metavar="SECONDS")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--tenants", type=int, default=16)
    parser.add_argument("--requests", type=int, default=attainment.REQUESTS, help="per load of a table")
    parser.add_argument("--frontier", action="store_true", help="show it although the target is reached")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    chosen = parser.parse_args(given)
    chosen.startups = sorted(set(chosen.startups))
    return chosen


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def prepare(chosen: argparse.Namespace) -> Setting:
    """Read the family, measure its tenants, draw the arrivals."""
    with step("trace") as progress:
        found = trace.read(chosen.data, chosen.family, days=chosen.days, tenants=chosen.tenants)
        progress.result = f"{chosen.family}: {len(found.tenants)} tenants, {found.days} days"
    folder = CHECKOUT / ".build" / "bench-slo"
    jobs = [(attainment.cached, (tenant, folder, chosen.requests)) for tenant in found.tenants]
    names = [f"tenant {tenant.name}" for tenant in found.tenants]
    tables = together(f"tables of {len(attainment.LOADS)} loads", jobs, names, chosen.jobs)
    with step("arrivals") as progress:
        counts = trace.counts(found, chosen.seeds)
        progress.result = f"{int(counts.sum()):,} requests in {chosen.seeds} draws"
    return Setting(found, tuple(tables), counts)


def told(found: Setting) -> str:
    """Seed, parameters and hashes: what the numbers under this line rest on."""
    names = " ".join(t.name for t in found.trace.tenants)
    files = ", ".join(f"{name} {value}" for name, value in found.trace.hashes.items())
    tuning = ", ".join(f"{n} {getattr(TUNING, n):g}" for n in TUNING.__slots__)
    return (
        f"{found.trace.family}, tenants {names}; seeds 0 to {len(found.counts) - 1};"
        f" {attainment.MODEL}, TTFT <= {attainment.TTFT:g} s, {attainment.TPOT * 1000:g} ms a token,"
        f" {LOW} to {HIGH} replicas, objective {OBJECTIVE:g} %; sizing: {tuning}; SHA-256: {files}"
    )


def _unlimited(console: Console, bench: Bench, chosen: argparse.Namespace) -> list[report.Row]:
    """The first tables: everybody gets the replicas that are wanted."""
    found, startups = bench.found, chosen.startups
    runs = [Run(policy, s, chosen.seeds) for policy in POLICIES for s in startups]
    played = bench.play("policies", runs)
    size = len(startups)
    outcomes = {name: merged(played[n * size : (n + 1) * size]) for n, name in enumerate(POLICIES)}
    side = lanes(found.tables, chosen.seeds, startups, OBJECTIVE / 100)
    rows = report.rows(found.trace, side, outcomes)
    for startup in startups:
        console.print(report.table(rows, startup, told(found)))
    named = dict(zip((t.name for t in found.trace.tenants), found.tables, strict=True))
    if beside := target.compared(rows, outcomes, side, named):
        console.print(target.comparison(beside))
    return rows


def _limited(console: Console, bench: Bench, startup: int) -> None:
    """The second table: too few replicas for everybody's peak."""
    found, tenants = bench.found, len(bench.found.tables)
    one = lanes(found.tables, 1, (startup,), OBJECTIVE / 100)
    pool = limited.pool_size(found.counts[:1], one, tenants)
    runs = [Run(policy, startup, pool=pool, sharing=sharing) for policy, sharing in SHORT]
    played = bench.play("a small pool", runs)
    days = report.SPLITS["heldout"] if found.trace.days > report.FIT_DAYS else report.SPLITS["fit"]
    shown = [limited.shortage(r.name, o, tenants, days) for r, o in zip(runs, played, strict=True)]
    names = limited.ranks_told([tenant.name for tenant in found.trace.tenants])
    caption = f"seed 0, start-up {startup} s, days {(days.start or 0) + 1} on; {names}"
    console.print(report.shortages(shown, pool, caption))


def _frontier(console: Console, bench: Bench, startup: int) -> None:
    """One parameter of ours, from careless to careful; beside it, one who knows the window at hand."""
    held = {hours: replace(TUNING, peak_hold=hours * 3600) for hours in HOLDS}
    runs = {"oracle": Run("oracle", startup)}
    runs |= {f"gpupool, peaks held {h:g} h": Run("gpupool", startup, tuning=t) for h, t in held.items()}
    runs |= {f"{KNOWS_WINDOW}, held {h:g} h": Run(KNOWS_WINDOW, startup, tuning=t) for h, t in held.items()}
    outcomes: dict[str, Outcome] = dict(zip(runs, bench.play("frontier", list(runs.values())), strict=True))
    side = lanes(bench.found.tables, 1, (startup,), OBJECTIVE / 100)
    rows = report.rows(bench.found.trace, side, outcomes)
    caption = (
        "seed 0; ours: hours that a peak is held for each time the budget is spent over (2 is the rule); "
        f"'{KNOWS_WINDOW}' has every arrival of the recorded 600 s at hand, and of later ones no more than"
        " ours: what it lacks must be bought with idle replicas"
    )
    console.print(report.table(rows, startup, caption))


if __name__ == "__main__":
    sys.exit(main())

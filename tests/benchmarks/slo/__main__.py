"""`make bench-slo`: replicas for a real week of requests, ours beside the HPA, a simple rule and an oracle.

`python -m benchmarks.slo <folder>` reads `<family>_rates.csv.gz` and `<family>_tokens_6h.csv.gz` there.
Replicas run Llama-3.1-70B fp8 on 4 H100; a request is good with TTFT <= 2 s and 50 ms a token.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.slo import attainment, limited, report, trace
from benchmarks.slo.attainment import Table
from benchmarks.slo.fluid import HIGH, LOW, Lanes, Lookup, Outcome, Share, lanes, simulate
from benchmarks.slo.policies import OBJECTIVE, POLICIES, Gpupool, Maker, window_oracle
from benchmarks.slo.trace import Counts, Trace
from gpupool.policy.slo.demand import Tuning
from gpupool.policy.slo.sizing import TUNING
from localplane.paths import CHECKOUT
from localplane.progress import say, step

FAMILY: Final = "servegen_m-large"
STARTUPS: Final = (30, 120, 300)
MAIN: Final = 120
WIDTH: Final = 150
HOLDS: Final = (0.0, 0.5, 2.0, 8.0)
"""Hours: the frontier."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that policies are run on."""

    trace: Trace
    tables: tuple[Table, ...]
    counts: Counts
    lanes: Lanes
    lookup: Lookup

    def at(self, startup: int) -> "Setting":
        """The same with one start-up time and one draw only."""
        side = lanes(self.tables, 1, (startup,), OBJECTIVE / 100)
        return replace(self, lanes=side, counts=self.counts[:1])

    def run(self, name: str, make: Maker, share: Share | None = None) -> Outcome:
        """One policy, with its progress shown."""
        with step(name) as progress:
            outcome = simulate(
                self.lanes,
                self.lookup,
                self.counts,
                self.trace.gaps,
                make(self.counts, self.lanes),
                share=share,
                progress=lambda text: setattr(progress, "detail", text),
            )
            progress.result = f"{float(outcome.good.sum() / outcome.total.sum()):.2%} good"
        return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all policies, print the tables, write the document."""
    parser = argparse.ArgumentParser(prog="benchmarks.slo", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the two files of the family")
    parser.add_argument("--family", default=FAMILY)
    parser.add_argument("--json", type=Path, help="where the rows are written")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the arrivals within a window")
    parser.add_argument("--startups", type=int, nargs="+", default=list(STARTUPS), metavar="SECONDS")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--tenants", type=int, default=16)
    parser.add_argument("--requests", type=int, default=attainment.REQUESTS, help="per load of a table")
    parser.add_argument("--frontier", action="store_true", help="sweep the safety of ours at 120 s too")
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        found = prepare(chosen)
    except trace.TraceError as error:
        print(f"bench-slo: {error}", file=sys.stderr)
        return 1
    outcomes = {name: found.run(name, make) for name, make in POLICIES.items()}
    made = report.rows(found.trace, found.lanes, outcomes)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    for startup in sorted(chosen.startups):
        console.print(report.table(made, startup, told(found)))
    named = dict(zip((t.name for t in found.trace.tenants), found.tables, strict=True))
    for line in report.compared(made, outcomes, found.lanes, named):
        console.print(f"against first runs: {line}", highlight=False)
    one = found.at(MAIN if MAIN in chosen.startups else chosen.startups[0])
    _limited(console, one)
    if chosen.frontier:
        _frontier(console, one)
    if chosen.json:
        report.save(made, chosen.json)
    where = f"; rows: {chosen.json}" if chosen.json else ""
    say(f"bench-slo: {(time.monotonic() - began) / 60:.1f} minutes{where}")
    return 0


def prepare(chosen: argparse.Namespace) -> Setting:
    """Read the family, measure its tenants, draw the arrivals."""
    with step("trace") as progress:
        found = trace.read(chosen.data, chosen.family, days=chosen.days, tenants=chosen.tenants)
        progress.result = f"{chosen.family}: {len(found.tenants)} tenants, {found.days} days"
    tables = []
    with step("attainment tables") as progress:
        for number, tenant in enumerate(found.tenants):
            progress.detail = f"tenant {tenant.name}, {number + 1} of {len(found.tenants)}"
            tables.append(attainment.cached(tenant, CHECKOUT / ".build" / "bench-slo", chosen.requests))
        progress.result = f"{len(tables)} tenants x {len(attainment.LOADS)} loads"
    with step("arrivals") as progress:
        counts = trace.counts(found, chosen.seeds)
        progress.result = f"{int(counts.sum()):,} requests in {chosen.seeds} draws"
    side = lanes(tables, chosen.seeds, chosen.startups, OBJECTIVE / 100)
    return Setting(found, tuple(tables), counts, side, Lookup(tables))


def told(found: Setting) -> str:
    """Seed, parameters and hashes: what the numbers under this line rest on."""
    names = " ".join(t.name for t in found.trace.tenants)
    files = ", ".join(f"{name} {value}" for name, value in found.trace.hashes.items())
    tuning = ", ".join(f"{n} {getattr(TUNING, n):g}" for n in TUNING.__slots__)
    return (
        f"{found.trace.family}, tenants {names}; seeds 0 to {int(found.lanes.seed.max())};"
        f" {attainment.MODEL}, TTFT <= {attainment.TTFT:g} s, {attainment.TPOT * 1000:g} ms a token,"
        f" {LOW} to {HIGH} replicas, objective {OBJECTIVE:g} %; sizing: {tuning}; SHA-256: {files}"
    )


def _limited(console: Console, found: Setting) -> None:
    """The second table: too few replicas for everybody's peak."""
    tenants = len(found.tables)
    pool = limited.pool_size(found.counts, found.lanes, tenants)
    strict, first = limited.by_priority(pool, tenants), limited.first_come(pool, tenants)
    days = report.SPLITS["heldout"] if found.trace.days > report.FIT_DAYS else report.SPLITS["fit"]
    shown = []
    for name, share, rule in (
        ("gpupool", strict, "by priority"),
        ("hpa-running-16", first, "first come"),
        ("hpa-running-4", first, "first come"),
        ("hpa-utilisation-80", first, "first come"),
    ):
        outcome = found.run(f"{name}, {rule}", POLICIES[name], share)
        shown.append(limited.shortage(f"{name}, {rule}", outcome, tenants, days))
    names = [tenant.name for tenant in found.trace.tenants]
    startup = int(found.lanes.startup[0])
    told = f"seed 0, start-up {startup} s, days {days.start + 1} on; {limited.ranks_told(names)}"
    console.print(report.shortages(shown, pool, told))


def _frontier(console: Console, found: Setting) -> None:
    """One parameter of ours, from careless to careful; and what knowing the window at hand would give."""
    outcomes = {"oracle": found.run("oracle", POLICIES["oracle"])}
    for hours in HOLDS:
        name = f"gpupool, peaks held {hours:g} h"
        outcomes[name] = found.run(name, _ours(replace(TUNING, peak_hold=hours * 3600)))
    outcomes["knows its window"] = found.run("knows its window", window_oracle)
    made = report.rows(found.trace, found.lanes, outcomes)
    told = "seed 0; hours that a peak is held for each time the budget is spent over; 2 is the rule"
    console.print(report.table(made, int(found.lanes.startup[0]), told))


def _ours(tuning: Tuning) -> Maker:
    return lambda _, lanes: Gpupool(lanes, tuning)


if __name__ == "__main__":
    sys.exit(main())

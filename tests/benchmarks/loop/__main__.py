"""`make bench-loop`: a closed-loop hour on the real plane, beside the simulator of `make bench-slo`.

The plane has the real scheduler, ReplicaSets, HPA controller, quota and Prometheus, and the operator of the
chart; its engines are simulated and play a recorded hour of one tenant, several times as fast as it was. All
times of the operator are that much shorter, so that its rule sees the hour as it would have been.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from benchmarks.loop import agreement
from benchmarks.loop.agreement import Row
from benchmarks.loop.hour import choose, play
from benchmarks.loop.plane import Played, on_plane
from benchmarks.loop.sides import compare
from benchmarks.loop.simulated import LIMITS
from benchmarks.loop.stage import Script
from benchmarks.loop.steering import LOOK
from benchmarks.loop.tables import Tables, tables
from benchmarks.slo import trace
from benchmarks.slo.policies import OBJECTIVE
from gpupool.policy.slo.arrivals import PLAIN
from localplane.errors import PlaneError
from localplane.progress import say, step
from support.plane import FAST_HPA, temporary_cluster

FAMILY: Final = "servegen_m-large"
OURS: Final = "gpupool"
HPA: Final = "hpa-running-"
WIDTH: Final = 160
LEARNING: Final = 12
"""Evaluation windows before the hour: the profile counts from its tenth on."""
WARM: Final = 600
"""Seconds before the hour where nothing is learned."""
FASTEST: Final = 30
"""Of a faster one the evaluation window would be shorter than the operator takes it."""
LOAD: Final = 0.93
"""Part of what a replica carries that each gets before the hour."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the hour, simulate it, print the table; returns 1 where the two do not agree."""
    chosen = _parser().parse_args(arguments)
    began = time.monotonic()
    try:
        script, found = prepare(chosen)
        say(f"bench-loop: {script.play.hour}; {chosen.policy}, {chosen.speed:g} times as fast")
        with temporary_cluster(FAST_HPA) as cluster:
            played = on_plane(cluster, script)
    except (PlaneError, trace.TraceError, TimeoutError, httpx.HTTPError) as error:
        print(f"bench-loop: {error}", file=sys.stderr)
        return 1
    rows = compare(script, found, played)
    good = tell(rows, script, played)
    if chosen.json:
        agreement.save(rows, chosen.json)
    say(f"bench-loop: {(time.monotonic() - began) / 60:.1f} minutes")
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.loop", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the two files of the family")
    parser.add_argument("--family", default=FAMILY)
    parser.add_argument("--tenant", default="", help="by its number in the family; default: the largest")
    parser.add_argument(
        "--hour", type=int, help="of the trace; default: the one that moves most without leaps"
    )
    parser.add_argument(
        "--policy", type=_policy, default=OURS, help=f"{OURS}, or {HPA}<requests> for the owner's HPA alone"
    )
    parser.add_argument(
        "--speed", type=_speed, default=10.0, help=f"times as fast as recorded, 1 to {FASTEST}"
    )
    parser.add_argument("--startup", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--most", type=int, default=32, help="replicas")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--tenants", type=int, default=16)
    parser.add_argument("--json", type=Path, help="where the rows are written")
    return parser


def _policy(text: str) -> str:
    if text != OURS and not (text.startswith(HPA) and text.removeprefix(HPA).isdigit() and aim(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither {OURS} nor {HPA}<requests>, such as {HPA}16")
    return text


def _speed(text: str) -> float:
    value = float(text)
    if not 1 <= value <= FASTEST:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {FASTEST}")
    return value


def aim(policy: str) -> int:
    """Running requests of a replica at which the owner's HPA aims; 0 where it follows its floor."""
    return int(policy.removeprefix(HPA)) if policy.startswith(HPA) else 0


def prepare(chosen: argparse.Namespace) -> tuple[Script, Tables]:
    """Read the hour, and measure what a replica makes of its requests."""
    with step("trace") as progress:
        found = trace.read(chosen.data, chosen.family, days=chosen.days, tenants=chosen.tenants)
        hour = choose(found, trace.counts(found, 1)[0], chosen.tenant, chosen.hour)
        progress.result = str(hour)
    with step("tables") as progress:
        measured = tables(hour.mix)
        carried = measured.carried(OBJECTIVE)
        progress.result = f"a replica carries {carried:.2f} requests/s"
    running = aim(chosen.policy)
    lead = WARM if running else LEARNING * PLAIN
    script = Script(
        policy=chosen.policy,
        play=play(hour, carried, lead, LOAD),
        speed=chosen.speed,
        startup=chosen.startup,
        most=chosen.most,
        running=running,
        limits=LIMITS,
        percent=OBJECTIVE,
    )
    return script, measured


def tell(rows: Sequence[Row], script: Script, played: Played) -> bool:
    """Print all of it; returns whether they agree."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    mix, limits = script.play.hour.mix, ", ".join(f"{s} <= {t:g} s" for s, t in script.limits.items())
    caption = (
        f"{script.play.hour}; prompts of {mix.prompt:.0f} and answers of {mix.output:.0f} tokens, lognormal"
        f" with sigma {mix.spread:.2f}; {limits}, {OBJECTIVE:g} % of each; a second of the plane is"
        f" {script.speed:g} s of its engines, in which HPA and Prometheus look once; the operator looks every"
        f" {LOOK} s of theirs"
    )
    console.print(agreement.table(rows, f"an hour of {rows[0].policy}", caption))
    lost = 100 * played.lost / played.arrived if played.arrived else 0.0
    for line in agreement.why(rows, lost, played.said):
        console.print(f"  {line}", highlight=False)
    good, text = agreement.verdict(rows)
    console.print(f"bench-loop: {text}", highlight=False)
    return good


if __name__ == "__main__":
    sys.exit(main())

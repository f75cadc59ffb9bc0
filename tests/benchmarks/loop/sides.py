"""All ways to play the hour: the plane, the simulator, and the simulator with one thing changed at a time."""

from typing import Final

from benchmarks.loop import agreement
from benchmarks.loop.agreement import Row
from benchmarks.loop.onebyone import OneByOne
from benchmarks.loop.plane import Played
from benchmarks.loop.simulated import LIMITS, Flow, Server, Went, simulate
from benchmarks.loop.stage import GRACE, KEY, Script, window
from benchmarks.loop.steering import Decider, Learned, Scaled, Steered
from benchmarks.loop.tables import Tables, tables
from benchmarks.slo.policies import OBJECTIVE
from gpupool.model.slo import Objective, Sli
from gpupool.policy.slo.arrivals import PLAIN, paced, tempo
from gpupool.policy.slo.sizing import TUNING
from localplane.progress import step

SPREAD: Final = 2_000
"""Requests of each of the replicas that share them, at each load of their tables."""


def compare(script: Script, found: Tables, played: Played) -> list[Row]:
    """The plane, the simulator, and the simulator with one thing changed at a time.

    Args:
        script: what was played.
        found: tables of a replica to which requests come at random, as in `make bench-slo`.
        played: what the plane made of it.
    """
    startup = played.watched.startup or script.startup
    known = played.watched.learned(TUNING.learned)
    carried = found.carried(OBJECTIVE)
    learned = Learned(known[1], startup, known[0]) if known else Learned(carried, startup, 0.0)
    with step("tables as the plane spreads requests") as progress:
        spread = tables(script.play.hour.mix, script.play.replicas, SPREAD)
        progress.result = f"a replica carries {spread.carried(OBJECTIVE):.2f} requests/s"
    single = OneByOne(script.play, script.annotations(), KEY, GRACE * script.speed)
    sides: dict[str, tuple[Server, Learned]] = {
        agreement.SIMULATOR: (Flow(found), learned),
        agreement.SPREAD: (Flow(spread), learned),
        agreement.ONE_BY_ONE: (single, learned),
    }
    if script.steered:
        sides[agreement.BY_TABLES] = (Flow(found), Learned(carried, startup, learned.since))
    rows = [_plane(script, played, startup, learned.rate)]
    for side, (server, knows) in sides.items():
        with step(side) as progress:
            drawn = script.play.drawn()
            went = simulate(script.play, drawn, server, _decider(script, knows), startup=startup)
            progress.result = f"{went.replica_hours:.2f} replica-hours"
        rows.append(_row(side, script, went, startup, knows.rate))
    return rows


def _decider(script: Script, learned: Learned) -> Decider:
    if not script.steered:
        return Scaled(script.running, script.most)
    return Steered(
        objectives=tuple(Objective(Sli(sli), OBJECTIVE, limit) for sli, limit in LIMITS.items()),
        window=window(script.speed),
        speed=script.speed,
        tuning=paced(TUNING, tempo(PLAIN / script.speed)),
        learned=learned,
        most=script.most,
        before=script.play.replicas,
    )


def _plane(script: Script, played: Played, startup: float, carried: float) -> Row:
    watched = played.watched
    went = Went(
        watched.replica_hours,
        tuple(total for _, total in played.counted),
        tuple(good for good, _ in played.counted),
        watched.replicas,
        watched.changes,
    )
    return _row(agreement.PLANE, script, went, startup, carried)


def _row(side: str, script: Script, went: Went, startup: float, carried: float) -> Row:
    hour = script.play.hour
    return Row(
        side,
        script.policy,
        hour.family,
        hour.tenant,
        hour.number,
        round(went.attainment(0), 3),
        round(went.attainment(1), 3),
        round(went.replica_hours, 3),
        went.changes,
        round(startup, 1),
        round(carried, 3) if script.steered else 0.0,
        went.replicas,
    )

"""How many replicas the objectives of an endpoint need: what is known of it, put together for the rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from gpupool.model.profile import Profile as Learned
from gpupool.model.slo import DAY, Sli, SloState
from gpupool.model.steering import Need as Tried
from gpupool.model.steering import Needed, Scaling, Wake
from gpupool.planner.endpoints import SloStatus
from gpupool.policy.slo.demand import (
    Arrivals,
    Bounds,
    Budget,
    Demand,
    Need,
    Profile,
    Sizing,
    Term,
    Tuning,
)
from gpupool.policy.slo.sizing import burn, size
from gpupool.policy.slo.sums import over
from gpupool.policy.slo.trial import affordable, due, fewer

MOST: Final = 10_000
"""Replicas, where the owner names no limit: the grant is another matter."""
STARTUP: Final = 120.0
"""Seconds to start, until a start was seen."""
SEEN: Final = frozenset({SloState.OK, SloState.NO_TRAFFIC})


@dataclass(frozen=True, slots=True)
class SizingScene:
    """One endpoint.

    Attributes:
        status: what was judged.
        scaling: what its owner asks.
        arrivals: at its pods.
        waiting, running: requests under way there.
        replicas: that the workload wants; None where it is not known.
        needs: as the look before left them; None after a restart.
        wake: whether somebody asks; None where it is never asked.
        woken: somebody gave it replicas since the last look.
        window: seconds over which the objectives hold.
    """

    status: SloStatus
    scaling: Scaling
    arrivals: Arrivals
    waiting: float = 0.0
    running: float = 0.0
    replicas: int | None = None
    needs: tuple[Need, ...] | None = None
    wake: Wake | None = None
    woken: bool = False
    window: float = 0.0


def size_endpoint(scene: SizingScene, now: datetime, tuning: Tuning) -> Sizing:
    """The replicas that the objectives need. What is not known lets nothing go (law 1)."""
    demand = _demand(scene, now, tuning)
    if scene.needs is None:
        demand = replace(demand, needs=_rehearsed(demand, tuning))
    found = _pressed(scene.status.findings.pressed, demand, size(demand, tuning))
    unseen = scene.status.state not in SEEN
    if unseen and found.term is not Term.UNLEARNED and demand.present > found.floor:
        floor = min(demand.present, demand.bounds.high)
        text = f"{floor} replicas stay: what users feel is not known, the data is {scene.status.state.value}."
        return replace(found, floor=floor, term=Term.UNKNOWN, message=text)
    return found if unseen else _tried(scene, demand, found, tuning)


def _pressed(more: Tried | None, demand: Demand, found: Sizing) -> Sizing:
    """With as many as are tried where objectives are missed and the profile does not hold."""
    if more is None or found.term in {Term.UNLEARNED, Term.UNKNOWN} or more.replicas <= found.floor:
        return found
    floor = min(more.replicas, max(demand.bounds.high, demand.bounds.low))
    text = f"{floor} replicas are tried: {more.why}. Otherwise {found.message}"
    return replace(found, floor=floor, term=Term.MISSED, message=text)


def _tried(scene: SizingScene, demand: Demand, found: Sizing, tuning: Tuning) -> Sizing:
    """With one replica fewer, where that may be tried."""
    profile = _serving(scene.status)
    judged = [(o.objective, o.budget) for o in scene.status.objectives]
    few = any(budget.events < scene.status.min_events for _, budget in judged)
    if profile is None or few or not due(profile.missed, demand.now):
        return found
    if not affordable(judged, scene.window, demand.profile.startup):
        return found
    return fewer(found, demand, profile, tuning)


def needed(found: Sizing) -> Needed | None:
    """What steering takes of it; None until the profile is learned."""
    if found.term is Term.UNLEARNED:
        return None
    return Needed(found.floor, found.message.removesuffix("."), found.term.value)


def _demand(scene: SizingScene, now: datetime, tuning: Tuning) -> Demand:
    status, scaling = scene.status, scene.scaling
    budget, objective = _budget(status, now.timestamp(), tuning)
    return Demand(
        now=now.timestamp(),
        profile=_profile(status),
        arrivals=scene.arrivals,
        budget=budget,
        bounds=Bounds(_low(scene, tuning), MOST if scaling.high is None else scaling.high),
        present=status.pods if scene.replicas is None else scene.replicas,
        objective=objective,
        needs=scene.needs or (),
        ready=status.ready,
        waiting=scene.waiting,
        asked=scaling.low == 0 and _asked(scene),
    )


def _asked(scene: SizingScene) -> bool:
    """Whether somebody asks: at the door, at a pod, or by hand."""
    at_the_door = scene.wake is not None and scene.wake.asked is True
    return at_the_door or scene.woken or scene.running + scene.waiting > 0


def _low(scene: SizingScene, tuning: Tuning) -> int:
    """The least: none only while it is known that nobody asks, neither at the door nor, at this look, inside.

    Who sleeps sleeps on while the series is unseen for as long as a rate may be: an outage of Prometheus that
    is short wakes nobody, and a long one everybody.
    """
    if scene.scaling.low > 0 or scene.wake is None or _asked(scene):
        return max(1, scene.scaling.low)
    if scene.wake.asked is False:
        return 0 if scene.replicas == 0 or scene.status.state is SloState.NO_TRAFFIC else 1
    unseen = scene.replicas == 0 and scene.wake.quiet and scene.wake.age <= tuning.stale
    return 0 if unseen else 1


def _serving(status: SloStatus) -> Learned | None:
    """What is learned of the GPU model that serves now."""
    return next(iter(status.findings.profiles), None)


def _profile(status: SloStatus) -> Profile:
    """What one replica carries."""
    found = _serving(status)
    if found is None or found.requests is None:
        return Profile(0.0, 0, STARTUP)
    starts = found.cold_start.p90
    return Profile(found.requests.value, found.requests.samples, STARTUP if starts is None else starts)


def _budget(status: SloStatus, now: float, tuning: Tuning) -> tuple[Budget, float]:
    """Of the objective whose budget of the last day goes fastest; minutes of throughput are no requests."""
    found = [
        (Budget(day.good, day.total), o.objective.percent)
        for o in status.objectives
        if o.objective.sli is not Sli.THROUGHPUT
        for day in (over(o.sums, now, DAY),)
    ]
    plain = (Budget(), 99.0)
    return max(found, key=lambda pair: burn(pair[0], pair[1], tuning), default=plain)


def _rehearsed(demand: Demand, tuning: Tuning) -> tuple[Need, ...]:
    """The needs of the last minutes, worked out again from the arrivals: a restart forgets them."""
    needs: tuple[Need, ...] = ()
    rates, step = demand.arrivals.rates, demand.arrivals.step
    back = int((tuning.hold + demand.profile.startup) / step)
    for ago in range(min(back, len(rates) - 1), 0, -1):
        then = replace(demand.arrivals, rates=rates[:-ago])
        at = demand.now - demand.arrivals.age - ago * step
        needs = size(
            replace(demand, now=at, arrivals=then, needs=needs, waiting=0.0, asked=False), tuning
        ).needs
    return needs

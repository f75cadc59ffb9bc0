"""What shakes a governed cluster: restores, deletes by hand, moves, edits, old leaders, pods that stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from gpupool.model.objects import Key, Remembered
from gpupool.model.plan import Action, DropQuota, SetQuota
from gpupool.planner.planner import make_plan
from gpupool.simulator.engine import Engine
from support.builders import GPU
from support.histories import TEAMS, Event, pauses, slots, teams

Change = Callable[[Engine], object]


def wipe(team: str | None) -> Change:
    """Statuses are lost, of one team or of all: a restore brings objects without them."""

    def do(engine: Engine) -> None:
        for key, request in engine.cluster.requests.items():
            if team in {None, key.namespace}:
                engine.cluster.requests[key] = replace(request, remembered=Remembered())

    return do


def recreate(team: str, slot: str) -> Change:
    """A request is deleted and made again at once."""

    def do(engine: Engine) -> None:
        old = engine.cluster.requests.get(Key(team, slot))
        if old is not None:
            uid, now = f"uid-{engine.cluster.number()}", engine.cluster.now
            engine.cluster.requests[old.key] = replace(old, uid=uid, created=now, remembered=Remembered())

    return do


def tear_down(team: str | None) -> Change:
    """Somebody deletes our quotas by hand, of one team or all."""

    def do(engine: Engine) -> None:
        for name in TEAMS if team is None else (team,):
            engine.cluster.quotas.pop(name, None)

    return do


def list_team(team: str, *, listed: bool) -> Change:
    """A share lists its namespace, or no more: it moves to another pool."""

    def do(engine: Engine) -> None:
        pool = engine.cluster.pool
        names = (team,) if listed else ()
        shares = tuple(replace(s, namespaces=names) if s.team == team else s for s in pool.shares)
        engine.cluster.pool = replace(pool, shares=shares)

    return do


def resize(team: str, guaranteed: int, limit: int, reserve: int) -> Change:
    """The pool's owner edits numbers."""

    def do(engine: Engine) -> None:
        pool = engine.cluster.pool
        shares = tuple(
            replace(s, guaranteed={GPU: guaranteed}, limit={GPU: max(limit, guaranteed)})
            if s.team == team
            else s
            for s in pool.shares
        )
        engine.cluster.pool = replace(pool, shares=shares, reserve={GPU: reserve})

    return do


class Reapplied:
    """The pool is deleted and made again: the collector takes every wall that still goes with the old one."""

    def make(self, engine: Engine) -> None:
        """The same pool under another uid; somebody rubs the labels off its walls on the way."""
        cluster = engine.cluster
        cluster.pool = replace(cluster.pool, uid=f"uid-{cluster.number()}")
        for name, quota in cluster.quotas.items():
            cluster.quotas[name] = replace(quota, labelled=False)

    def collect(self, engine: Engine) -> None:
        """What the collector finds a cycle or more later: nothing, where there was one."""
        cluster = engine.cluster
        doomed = [n for n, q in cluster.quotas.items() if cluster.pool.uid not in q.owners or not q.labelled]
        assert engine.down or not doomed, f"walls of a pool that is gone: {doomed}"
        for name in doomed:
            del cluster.quotas[name]


class OldLeader:
    """A leader that is frozen with its plan in hand, replaced, and wakes later.

    The new leader stamps every quota, so each write of the old one rests on a version that is gone.
    """

    def __init__(self) -> None:
        self.actions: tuple[Action, ...] = ()

    def freeze(self, engine: Engine) -> None:
        """Plan, and be replaced."""
        self.actions = make_plan(engine.snapshot()).actions
        for name, quota in engine.cluster.quotas.items():
            engine.cluster.quotas[name] = replace(quota, resource_version=str(engine.cluster.number()))

    def wake(self, engine: Engine) -> None:
        """Write what was planned."""
        quotas = engine.cluster.quotas
        for action in self.actions:
            if isinstance(action, SetQuota | DropQuota):
                quota = quotas.get(action.namespace)
                version = "" if quota is None else quota.resource_version
                if quota is not None and version == action.resource_version:
                    engine.apply([action])


class Finalizer:
    """Somebody's finalizer holds all pods that end meanwhile, and is taken away in the end."""

    def put(self, engine: Engine) -> None:
        """Whoever ends from now on stays."""
        for pod in engine.cluster.pods.values():
            pod.stuck = True

    def take(self, engine: Engine) -> None:
        """Everybody may go."""
        for pod in engine.cluster.pods.values():
            pod.stuck = False


@st.composite
def losses(draw: st.DrawFn) -> Event:
    """Something of ours is lost: statuses, quotas, a request for a moment."""
    team = draw(st.sampled_from((None, *TEAMS)))
    slot = draw(slots)
    kinds = {
        "statuses wiped": wipe(team),
        "quotas deleted": tear_down(team),
        "recreated": recreate(team or TEAMS[0], slot),
    }
    kind = draw(st.sampled_from(sorted(kinds)))
    return Event(f"{team or 'all'}/{slot} {kind}", kinds[kind], *draw(pauses))


@st.composite
def rulings(draw: st.DrawFn) -> Event:
    """The pool's owner edits it: a namespace leaves (and may come back), numbers change."""
    team = draw(teams)
    if draw(st.booleans()):
        back = draw(st.booleans())
        leave, stay = list_team(team, listed=False), list_team(team, listed=True)
        return Event(f"{team} leaves, back={back}", leave, *draw(pauses), stay if back else leave)
    numbers = [draw(st.sampled_from((0, 2, 4, 8, 12))) for _ in range(2)] + [draw(st.sampled_from((0, 2, 6)))]
    return Event(f"{team} is promised {numbers}", resize(team, *numbers), *draw(pauses))


@st.composite
def hauntings(draw: st.DrawFn) -> Event:
    """An old leader wakes late, the pool is made anew, or pods do not go."""
    if draw(st.booleans()):
        leader = OldLeader()
        return Event("an old leader", leader.freeze, *draw(pauses), leader.wake)
    if draw(st.booleans()):
        pool = Reapplied()
        return Event("the pool is made anew", pool.make, *draw(pauses), pool.collect)
    finalizer = Finalizer()
    return Event("a finalizer", finalizer.put, *draw(pauses), finalizer.take)


def upset() -> st.SearchStrategy[Event]:
    """Any of these."""
    return st.one_of(losses(), losses(), rulings(), hauntings())

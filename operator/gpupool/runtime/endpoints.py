"""The endpoints' life: read all of them at once, judge, tell; again at a steady pace.

It stands beside the pools' cycles and shares nothing with them but the mirrors: an endpoint is judged at a
pace of its own, whatever changes in the cluster.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from typing import Final, NamedTuple

from gpupool.collector.engines.reader import EndpointReader, Reading
from gpupool.collector.engines.subject import Subject
from gpupool.collector.rolling import revision_of
from gpupool.errors import FencedError
from gpupool.model.economics import Ledger
from gpupool.model.effects import Effect
from gpupool.model.objects import Key, Pod
from gpupool.model.profile import Profile
from gpupool.model.rollout import GuardMode, Release, Rollout
from gpupool.model.signals import SignalReading, Signals
from gpupool.model.slo import HOUR, Objective, Sli, Slo, SloSnapshot, Sums
from gpupool.planner.endpoints import SloPlan, plan_endpoints
from gpupool.policy.membership import Membership
from gpupool.runtime.births import births
from gpupool.runtime.context import Context
from gpupool.runtime.guarding import Guarding
from gpupool.runtime.holdings import holdings
from gpupool.runtime.publisher import Publisher
from gpupool.runtime.releases import releases
from gpupool.runtime.resourcing import Resourcing
from gpupool.runtime.signalling import Signalling
from gpupool.runtime.sizing import Sizing
from gpupool.runtime.statuswriter import StatusWriter
from gpupool.runtime.steering import Steering
from gpupool.runtime.surroundings import surroundings
from gpupool.runtime.waking import Waking
from gpupool.runtime.workloads import Owned, Targets, targets_of

log = logging.getLogger(__name__)

REMEMBERED: Final = 120.0
"""Seconds that pods which are gone still belong to their endpoint: what they did last is read until then."""
PACE: Final = 4.0
"""Looks between two writes of numbers that move with every request: a minute, of looks of 15 seconds."""
CLOCKS: Final = 5.0
"""Seconds between asking for the time and reading: beyond, two clocks differ."""
MOST_HOURS: Final = 48
"""Hours of a pause that are read again; what lies before stays uncovered."""
Identity = tuple[Key, str]
Measured = tuple[Sli, float | None]


class Memory(NamedTuple):
    """What is remembered of an endpoint, by the fields of `Slo`; sums by what is measured."""

    sums: Mapping[Measured, Sums]
    profiles: tuple[Profile, ...]
    rollout: Rollout
    effects: tuple[Effect, ...]
    ledger: Ledger


class Endpoints:
    """Judges every InferenceSLO until cancelled.

    Args:
        context: the process's parts.
        publisher: Events.
    """

    def __init__(self, context: Context, publisher: Publisher) -> None:
        interval = context.settings.cycle_interval
        self._context = context
        self._publisher = publisher
        self._interval = interval
        self._statuses = StatusWriter(context.writer, context.mirror, PACE * interval)
        self._reader: EndpointReader | None = context.endpoints
        self._signalling = Signalling(context.signals, context.settings.evaluation_window)
        self._kept: dict[Identity, Memory] = {}
        self._sizing = Sizing(context.arrivals, context.settings.evaluation_window)
        self._waking = Waking(context.wakes)
        self._steering = Steering(context)
        self._guarding = Guarding(context)
        self._resourcing = Resourcing(context)
        self._signals: Mapping[Key, Signals] = {}
        self._past = Belonging()
        self._rebuilt = False
        self._unread = False
        self._left: dict[Identity, tuple[Sums, ...]] = {}

    async def run(self) -> None:
        """Look at all of them, at the pace of the settings.

        Raises:
            FencedError: we lead no more.
        """
        while True:
            began = time.monotonic()
            try:
                await self.look()
            except FencedError:
                raise
            except Exception:
                log.exception("endpoints not judged")
            await asyncio.sleep(max(0.0, self._interval - (time.monotonic() - began)))

    async def look(self) -> SloPlan:
        """One look at all endpoints."""
        world, found = self._context.mirror.mapped()
        slos = self._slos()
        around = surroundings(world, found, slos)
        owned = around.owned
        targets = targets_of(self._context.mirror)
        subjects = [_resting(s, targets) for s in self._past.subjects(slos, owned, time.monotonic())]
        if not self._rebuilt and self._reader is not None and subjects:
            self._rebuilt = await self._rebuild(subjects, world.now)
        judged = await self._judge(subjects, world.now, owned=owned, found=found)
        wakes = await self._waking.look(slos)
        needs = await self._sizing.look(subjects, judged.statuses, targets, owned, world.now, wakes=wakes)
        steered = await self._steering.turn(judged, slos, around, needs, wakes=wakes)
        shaped = await self._resourcing.turn(steered, slos, around, self._signals)
        plan = await self._guarding.turn(shaped, slos, around)
        self._context.board.publish(plan.statuses)
        await self._statuses.endpoints(plan.statuses, world.now, self._context.epoch)
        self._publisher.say(plan.notices)
        self._context.metrics.publish_endpoints(plan)
        return plan

    async def _judge(
        self,
        subjects: Sequence[Subject],
        now: datetime,
        at: float | None = None,
        owned: Owned | None = None,
        found: Membership | None = None,
    ) -> SloPlan:
        """Read the endpoints, now or as of a moment that is past, and add what happened to their sums."""
        slos = tuple(self._remembering(s.slo) for s in subjects)
        if self._reader is None:
            reading = Reading({}, "Prometheus is not configured: set prometheus.url.")
        else:
            reading = await self._reader.read(subjects, at)
        self._unread = bool(reading.problem)
        signals = SignalReading(problem=reading.problem if at is None else "")
        if owned is not None and not reading.problem:
            engines = {key: endpoint.engine for key, endpoint in reading.endpoints.items()}
            signals = await self._signalling.look(subjects, engines, births(slos, owned, now))
        revisions = {} if owned is None else self._releases(slos, owned)
        held = {} if owned is None or found is None else holdings(slos, owned, found)
        self._signals = signals.endpoints
        plan = plan_endpoints(
            SloSnapshot(
                now=_agreed(reading.at, now),
                interval=self._interval,
                slos=slos,
                endpoints=reading.endpoints,
                problem=reading.problem,
                signals=signals,
                releases=revisions,
                holdings=held,
            )
        )
        self._kept = {
            (s.key, s.uid): Memory(
                sums={_measured(o.objective): o.sums for o in s.objectives},
                profiles=s.findings.profiles,
                rollout=Rollout() if s.guarded is None else s.guarded.memory,
                effects=s.findings.effects,
                ledger=s.ledger,
            )
            for s in plan.statuses
        }
        return plan

    def _releases(self, slos: Sequence[Slo], owned: Owned) -> Mapping[Key, Release]:
        mirror = self._context.mirror
        controllers = (*mirror.replicasets.store.values(), *mirror.statefulsets.store.values())
        return releases(slos, owned, controllers, mirror.deployments.store.values())

    def _remembering(self, slo: Slo) -> Slo:
        """The promise with its memory as we left it, which the status shows a while later."""
        kept = self._kept.get((slo.key, slo.uid))
        if kept is None:
            return slo
        # The spec may have other objectives than at the last look: what is new begins anew.
        sums = tuple(kept.sums.get(_measured(o), Sums()) for o in slo.objectives)
        return replace(slo, **{**kept._asdict(), "sums": sums})

    async def _rebuild(self, subjects: Sequence[Subject], now: datetime) -> bool:
        """Read what happened since the sums were last written, an hour at a time.

        Where Prometheus does not answer it is tried again, from the sums as the process before left them.
        """
        left = {(s.slo.key, s.slo.uid): s.slo.sums for s in subjects}
        self._left, self._kept = left | self._left, {}
        back = [replace(s, slo=replace(s.slo, sums=self._left[s.slo.key, s.slo.uid])) for s in subjects]
        until = max((s.until for subject in back for s in subject.slo.sums), default=0.0)
        for moment in moments(until, now.timestamp()):
            found = await self._judge(back, datetime.fromtimestamp(moment, UTC), moment)
            if self._unread:
                return False
            log.info("endpoints read again", extra={"at": moment, "endpoints": len(found.statuses)})
        self._left = {}
        return True

    def _slos(self) -> list[Slo]:
        return [t.value for t in self._context.mirror.slos.store.values() if isinstance(t.value, Slo)]


def _agreed(read: float, now: datetime) -> datetime:
    """The moment that events are counted up to: Prometheus' own, where its clock is not another."""
    apart = read - now.timestamp()
    return datetime.fromtimestamp(read, UTC) if 0 <= apart <= CLOCKS else now


def moments(until: float, now: float) -> list[float]:
    """Unix seconds at which counters are read after a pause: where it began, and every hour since.

    Args:
        until: when events were last counted; 0 where they never were.
        now: the present, which is read anyway.
    """
    if not until:
        return []
    first = max(until, now - MOST_HOURS * HOUR)
    return [first + n * HOUR for n in range(ceil(max(0.0, now - first) / HOUR))]


class Belonging:
    """Which pods belong to which endpoint, those that are gone a moment ago included."""

    def __init__(self) -> None:
        self._seen: dict[Key, dict[str, float]] = {}
        self._revisions: dict[Key, dict[str, str]] = {}

    def subjects(self, slos: Sequence[Slo], owned: Owned, now: float) -> list[Subject]:
        """The endpoints with their pods.

        Args:
            slos: all of them.
            owned: the cluster's pods.
            now: monotonic seconds.
        """
        seen, self._seen = self._seen, {}
        self._revisions = {s.key: self._revisions.get(s.key, {}) for s in slos}
        return [self._subject(slo, owned, seen.get(slo.key, {}), now) for slo in slos]

    def _subject(
        self,
        slo: Slo,
        owned: Owned,
        before: Mapping[str, float],
        now: float,
    ) -> Subject:
        present = owned.get(slo.at, ())
        ready = sorted(p.key.name for p in present if p.ready and not p.terminating)
        here = dict.fromkeys((p.key.name for p in present), now)
        kept = {name: at for name, at in before.items() if now - at <= REMEMBERED} | here
        self._seen[slo.key] = kept
        others, gone = sorted(here.keys() - set(ready)), sorted(kept.keys() - here.keys())
        born = {p.key.name: p.created.timestamp() for p in present if p.created is not None}
        return Subject(slo, ready, others, gone, revisions=self._revision(slo, present, kept), born=born)

    def _revision(self, slo: Slo, present: Iterable[Pod], kept: Mapping[str, float]) -> Mapping[str, str]:
        """The revisions of an endpoint's pods, of those that are gone as they were."""
        if slo.guard is GuardMode.OFF:
            return {}
        before = self._revisions.get(slo.key, {})
        now = {p.key.name: name for p in present if (name := revision_of(p.labels))}
        found = {pod: name for pod, name in (before | now).items() if pod in kept}
        self._revisions[slo.key] = found
        return found


def _resting(subject: Subject, targets: Targets) -> Subject:
    """The endpoint; one that may sleep, and wants no pod, has none because nobody asks."""
    slo = subject.slo
    target = targets.get(slo.at)
    asleep = slo.scaling.low == 0 and target is not None and not target.replicas and not subject.ready
    return replace(subject, asleep=asleep)


def _measured(objective: Objective) -> Measured:
    """What tells an objective's sums from another's; the percent may change and lose nothing."""
    return objective.sli, objective.threshold

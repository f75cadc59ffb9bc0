"""Mirrors of everything a decision looks at, and the World made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from gpupool.api import convert, inference, remnants
from gpupool.collector import controllers, scaledobjects, scaling, vpas
from gpupool.collector import projections as see
from gpupool.collector.assemble import Projections, world
from gpupool.collector.policies import PolicyFacts, chart_guards, policy_facts
from gpupool.collector.reflector import Pace, Reflector
from gpupool.collector.store import Change
from gpupool.collector.whereserved import WhereServed
from gpupool.kube import resources as kinds
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, ObjectKey, Resource, Selection
from gpupool.model.annotations import read_epoch
from gpupool.model.chartguards import ChartGuards
from gpupool.model.marks import NAMED
from gpupool.model.plan import Notice
from gpupool.model.senses import NODES, PODS, QUOTAS, Senses
from gpupool.model.slo import Slo
from gpupool.model.standing import Standing
from gpupool.model.world import World
from gpupool.policy.membership import Membership, resolve
from gpupool.runtime.concern import Concern, Concerned, disturbs, tells
from gpupool.runtime.reading import Reader, Tracked
from gpupool.runtime.settings import Settings
from gpupool.telemetry.metrics import ReflectorReading

NO_BOOKMARKS = Pace(watch=(45, 60), inactivity=70.0)
"""For Events: the API server caches none and sends no bookmarks, so silence is no sign of death."""
LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"
MAP_SECONDS = 10
"""Refused demand ages by the minute; nothing else of what is known moves by itself."""


class Mirror:
    """All reflectors of the operator.

    Args:
        client: where to read.
        settings: exempt namespaces, and the guards that the chart installs.
        wake: called when anything a decision looks at has changed, with the pools it concerns.
        mutating: whether the server serves mutating policies.

    Attributes:
        changes: how many there were, so that everybody knows whether the world has moved since.
        disturbances: how many of them may speak against a decision that was made before.
        highest_epoch: that a quota of ours was ever seen to carry: its leader, or one after it, has led.
    """

    def __init__(
        self, client: KubeClient, settings: Settings, wake: Callable[[Concerned], None], *, mutating: bool
    ) -> None:
        self._client = client
        self._exempt, self._guards = frozenset(settings.exempt_namespaces), settings.guards
        self._wake = wake
        self.changes = 0
        self.disturbances = 0
        self.highest_epoch = 0
        self._concern = Concern()
        self._mapped: tuple[tuple[int, int], World, Membership] | None = None
        self._pool_reader = Reader("GpuPool", convert.pool)
        self._request_reader = Reader("CapacityRequest", convert.request, remnants.request, convert.again)
        self.pools = self._ours(kinds.GPU_POOLS, self._pool_reader)
        self.requests = self._ours(kinds.CAPACITY_REQUESTS, self._request_reader)
        self._slo_reader = Reader("InferenceSLO", inference.read)
        self.slos = self._ours(kinds.INFERENCE_SLOS, self._slo_reader)
        self.nodes = self._mirror(kinds.NODES, see.node)
        self.namespaces = self._mirror(kinds.NAMESPACES, see.namespace)
        self.quotas = self._mirror(kinds.RESOURCE_QUOTAS, self._quota)
        self.pods = self._mirror(kinds.PODS, see.pod, fields=LIVE_PODS)
        self.replicasets = self._mirror(kinds.REPLICA_SETS, controllers.replicaset)
        self.statefulsets = self._mirror(kinds.STATEFUL_SETS, controllers.statefulset)
        self.jobs = self._mirror(kinds.JOBS, controllers.job)
        self.cronjobs = self._mirror(kinds.CRON_JOBS, controllers.cronjob)
        self.daemonsets = self._mirror(kinds.DAEMON_SETS, see.daemonset)
        self.refusals = self._mirror(
            kinds.EVENTS, controllers.refusal, fields="reason=FailedCreate", pace=NO_BOOKMARKS
        )
        self.deployments = self._mirror(kinds.DEPLOYMENTS, scaling.deployment)
        self.autoscalers = self._aside(kinds.AUTOSCALERS, scaling.autoscaler)
        self.local_queues = WhereServed(
            client,
            "kueue.x-k8s.io",
            "localqueues",
            "LocalQueue",
            see.local_queue,
            on_change=partial(self._changed, "localqueues"),
        )
        self.scaled_objects = self._foreign(kinds.SCALED_OBJECTS, scaledobjects.scaled_object)
        self.vpas = self._foreign(kinds.VPAS, vpas.vpa)
        policies = [kinds.VALIDATING_POLICIES, kinds.VALIDATING_BINDINGS]
        policies += [kinds.MUTATING_POLICIES, kinds.MUTATING_BINDINGS] if mutating else []
        self.policies = {r.kind: self._mirror(r, policy_facts(r.kind), labels=NAMED) for r in policies}

    def _mirror(
        self,
        resource: Resource,
        project: Callable[[Json], Any],
        *,
        labels: str = "",
        fields: str = "",
        pace: Pace | None = None,
    ) -> Reflector[Any]:
        selection = Selection(resource, labels=labels, fields=fields)
        changed = partial(self._changed, resource.plural)
        return Reflector(self._client, selection, project, changed, pace=pace)

    def _ours(self, resource: Resource, reader: Reader) -> Reflector[Any]:
        """A kind of ours, and its reader that remembers what was valid."""

        def changed(change: Change[Tracked]) -> None:
            reader.forget(change)
            self._changed(resource.plural, change)

        return Reflector(self._client, Selection(resource), reader, changed)

    def _aside(self, resource: Resource, project: Callable[[Json], Any]) -> Reflector[Any]:
        """What only endpoints are steered by: no pool is woken, and the World stays as it is."""
        return Reflector(self._client, Selection(resource), project, lambda _: None)

    def _foreign(self, resource: Resource, project: Callable[[Json], Any]) -> WhereServed[Any]:
        """A kind of somebody else that only endpoints are steered by, where it is served."""
        names = (resource.group, resource.plural, resource.kind)
        return WhereServed(self._client, *names, project, on_change=lambda _: None)

    def _quota(self, raw: Json) -> see.QuotaFacts | None:
        found = see.quota(raw)
        if found is not None and found.ours:
            self.highest_epoch = max(self.highest_epoch, read_epoch(found.epoch))
        return found

    def _changed(self, plural: str, change: Change[Any] | None) -> None:
        if not tells(plural, change):
            return
        self.changes += 1
        self.disturbances += disturbs(plural, change)
        self._wake(self._concern.of(plural, change))

    @property
    def reflectors(self) -> Mapping[str, Reflector[Any]]:
        """All reflectors by the plural of what they mirror."""
        own = [v for v in vars(self).values() if isinstance(v, Reflector)]
        return {r.selection.resource.plural: r for r in [*own, *self.policies.values()]}

    @property
    def foreign(self) -> Mapping[str, WhereServed[Any]]:
        """Mirrors of the kinds of others, by their plural."""
        found = {kinds.SCALED_OBJECTS.plural: self.scaled_objects, kinds.VPAS.plural: self.vpas}
        return {"localqueues": self.local_queues, **found}

    def readings(self) -> list[ReflectorReading]:
        """What the reflectors say of themselves, for metrics."""
        return [
            ReflectorReading(
                kind=kind,
                lists=r.counters.lists,
                events=r.counters.events,
                drifts=r.counters.drifts,
                failures=r.counters.failures,
                age=r.age(),
            )
            for kind, r in self.reflectors.items()
        ]

    async def run(self) -> None:
        """Mirror until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors.values():
                group.create_task(reflector.run())
            for foreign in self.foreign.values():
                group.create_task(foreign.run())

    async def synced(self) -> None:
        """Wait until every mirror has listed once; not for long for a kind of others."""
        await asyncio.gather(*(r.synced.wait() for r in self.reflectors.values()))
        await asyncio.gather(*(f.settled.wait() for f in self.foreign.values()))

    @property
    def complete(self) -> bool:
        """Whether every mirror has listed once."""
        listed = all(r.synced.is_set() for r in self.reflectors.values())
        return listed and all(f.settled.is_set() for f in self.foreign.values())

    # ------------------------------------------------------------------ our own writes

    def written(self, resource: Resource, obj: Json) -> None:
        """Take the server's answer to our own write."""
        for reflector in self._of(resource):
            reflector.observe_write(obj)
        if foreign := self.foreign.get(resource.plural):
            foreign.observe_write(obj)

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Take note of our own delete."""
        for reflector in self._of(resource):
            reflector.observe_delete(key, uid)

    def _of(self, resource: Resource) -> Iterable[Reflector[Any]]:
        found = self.reflectors.get(resource.plural)
        return () if found is None or resource.plural == "pods" else (found,)

    # ------------------------------------------------------------------ what is known

    def complaints(self) -> tuple[Notice, ...]:
        """Objects of ours that break the rules of this version, each with what is wrong."""
        return (
            *self._pool_reader.complaints(self.pools.store),
            *self._request_reader.complaints(self.requests.store),
            *self._slo_reader.complaints(self.slos.store),
        )

    def present_policies(self, pool: str) -> dict[tuple[str, str], str]:
        """Versions of the policy objects that carry a pool's label, by kind and name."""
        return {(f.kind, f.name): f.version for f in self._policy_facts() if f.pool == pool}

    def chart_guards(self) -> ChartGuards:
        """What stands of the guards that the chart installs."""
        return chart_guards(self._guards, self._policy_facts())

    def _policy_facts(self) -> Iterable[PolicyFacts]:
        return (f for reflector in self.policies.values() for f in reflector.store.values())

    def denies(self, binding: str) -> bool:
        """Whether a binding of ours stands that refuses."""
        facts = self.policies[kinds.VALIDATING_BINDINGS.kind].store.get(ObjectKey("", binding))
        return facts is not None and facts.denies

    def quota(self, key: ObjectKey) -> see.QuotaFacts | None:
        """One quota as it is known now."""
        return self.quotas.store.get(key)

    def mapped(self) -> tuple[World, Membership]:
        """The cluster as it is known now, at the API server's time, and what belongs to which pool.

        All pools share it; it is made again when something changed, and now and then because refusals age.
        """
        now = self._client.server_time().replace(microsecond=0)
        moment = (self.changes, int(now.timestamp()) // MAP_SECONDS)
        if self._mapped is None or self._mapped[0] != moment:
            made = self._world(now)
            self._mapped = (moment, made, resolve(made))
            self._concern.learn(self._mapped[2])
        _, known, found = self._mapped
        return replace(known, now=now, senses=self.senses()), found

    def senses(self) -> Senses:
        """What is not known now: no change tells of it, so it is asked every time."""
        mirrors = self.reflectors
        return Senses(
            unheard=tuple(sorted(kind for kind, r in mirrors.items() if r.overdue())),
            unread=tuple(found for kind in (PODS, NODES, QUOTAS) for found in mirrors[kind].unread()),
        )

    def _world(self, now: datetime) -> World:
        found = Projections(
            pools=[t.value for t in self.pools.store.values()],
            nodes=self.nodes.store.values(),
            namespaces=self.namespaces.store.values(),
            quotas=self.quotas.store.values(),
            pods=self.pods.store.values(),
            requests=[t.value for t in self.requests.store.values()],
            controllers=(
                *self.replicasets.store.values(),
                *self.statefulsets.store.values(),
                *self.jobs.store.values(),
                *self.cronjobs.store.values(),
            ),
            daemonsets=self.daemonsets.store.values(),
            refusals=self.refusals.store.values(),
            queues=self.local_queues.values(),
            queues_known=self.local_queues.known,
            unreadable_pools=self._unreadable_pools(),
            endpoints=list(self._endpoints()),
        )
        return world(found, now, self._exempt)

    def _endpoints(self) -> Iterable[Standing]:
        """Where endpoints stand, each with its workload as it is now."""
        standings = [
            s for t in self.slos.store.values() if isinstance(t.value, Slo) and (s := t.value.standing)
        ]
        if not standings:
            return
        known = scaling.targets(self.deployments.store.values(), self.statefulsets.store.values())
        for found in standings:
            yield replace(found, workload=known.get((found.key.namespace, found.target)))

    def _unreadable_pools(self) -> frozenset[str]:
        """Pools that are there and of which no version was ever valid for this process."""
        store = self.pools.store
        return frozenset(key.name for key, _ in store.identities()) - {t.value.name for t in store.values()}

"""Time, cycles and writes: the operator's loop against the model instead of an API server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gpupool.model.enforcement import Enforcement
from gpupool.model.marks import TAINT
from gpupool.model.objects import Key, Namespace, Pod, Quota, Remembered
from gpupool.model.plan import (
    Action,
    DropQuota,
    Evict,
    LabelNamespace,
    MarkNode,
    Plan,
    RequestStatus,
    SetPolicies,
    SetQuota,
)
from gpupool.model.senses import PODS, Senses
from gpupool.model.snapshot import Snapshot
from gpupool.model.standing import Standing
from gpupool.planner.planner import make_plan
from gpupool.policy.attribution import Books, attribute, gpus
from gpupool.policy.senses import pods_known
from gpupool.simulator.cluster import Cluster
from gpupool.simulator.samples import Recorder


@dataclass(slots=True)
class Engine:
    """Runs plan after plan. While `down`, the cluster goes on alone.

    Attributes:
        since: since when cycles follow each other without a gap.
        loses_statuses: status writes fail.
        frozen: the pods that the mirror shows since it hears nothing of them any more; None while it hears.
    """

    cluster: Cluster
    recorder: Recorder = field(default_factory=Recorder)
    since: datetime | None = None
    down: bool = False
    loses_statuses: bool = False
    policies: SetPolicies | None = None
    frozen: tuple[Pod, ...] | None = None

    def snapshot(self) -> Snapshot:
        """What the operator sees now."""
        cluster = self.cluster
        return Snapshot(
            now=cluster.now,
            uninterrupted_since=self.since or cluster.now,
            pool=cluster.pool,
            nodes=tuple(cluster.nodes.values()),
            namespaces=tuple(self._namespaces()),
            requests=tuple(cluster.requests.values()),
            pods=self.pods() if self.frozen is None else self.frozen,
            demands=tuple(cluster.demands()),
            usage=self.recorder.usage(cluster.pods.values(), cluster.now, cluster.pool.reclaim.window),
            enforcement=Enforcement(policies_current=self.policies is not None, probe=()),
            senses=Senses() if self.frozen is None else Senses(unheard=(PODS,)),
            endpoints=tuple(self._endpoints()),
        )

    def _endpoints(self) -> Iterable[Standing]:
        """Endpoints of which nothing is measured: what is told of them is how they roll."""
        for workload in self.cluster.workloads.values():
            if workload.promised:
                key = Key(workload.namespace, workload.ref.name)
                yield Standing(key, self.cluster.now, workload.ref, workload=workload.target())

    def pods(self) -> tuple[Pod, ...]:
        """All pods as the API shows them."""
        return tuple(p.pod() for p in self.cluster.pods.values())

    def _namespaces(self) -> Iterable[Namespace]:
        cluster = self.cluster
        listed = {n: s.team for s in cluster.pool.shares for n in s.namespaces}
        holders = dict.fromkeys(p.key.namespace for p in cluster.pods.values())
        marked = [*cluster.quotas, *cluster.labels]
        for name in dict.fromkeys((*listed, *marked, *holders)):
            label, quota = cluster.labels.get(name), cluster.quotas.get(name)
            yield Namespace(name, listed.get(name), label, quota, ours=label is not None)

    # ------------------------------------------------------------------ cycles

    def run(self, duration: timedelta, every: timedelta) -> list[Plan]:
        """Let time pass in steps, with a cycle after each."""
        plans = []
        end = self.cluster.now + duration
        while self.cluster.now < end:
            plans += self.step(every)
        return plans

    def step(self, duration: timedelta) -> list[Plan]:
        """Let time pass once; returns the plan, none while the operator is down."""
        self.advance(duration)
        return [] if self.down else [self.cycle()]

    def advance(self, duration: timedelta) -> None:
        """Let time pass without a cycle."""
        owners = self._owners(attribute(self.snapshot()))
        began = self.cluster.now
        ended = self.cluster.step(duration)
        if not self.down and self.frozen is None:
            self.recorder.watch(began, self.cluster.now)
        self.recorder.bury(ended, owners, self.cluster.now)
        self.since = None if self.down else (self.since or self.cluster.now)

    def _owners(self, books: Books) -> dict[Key, str]:
        return {p.key: key.name for key, pods in books.pods.items() for p in pods}

    def cycle(self) -> Plan:
        """One cycle: collect, plan, apply, report."""
        snapshot = self.snapshot()
        if pods_known(snapshot):
            self._record(snapshot)
        plan = make_plan(self.snapshot())
        self.apply(plan.actions)
        if not self.loses_statuses:
            self.report(plan.requests)
        return plan

    def _record(self, snapshot: Snapshot) -> None:
        books = attribute(snapshot)
        resource = {r.key: r.resource for r in snapshot.requests}
        used = {key: gpus(books.of(key), name) for key, name in resource.items()}
        first = snapshot.pool.resources[0]
        used |= {Key(n.name, ""): gpus(books.of(Key(n.name, "")), first) for n in snapshot.namespaces}
        self.recorder.record(snapshot.now, used, snapshot.pool.reclaim.lookback)

    # ------------------------------------------------------------------ writes

    def apply(self, actions: Iterable[Action]) -> list[Action]:
        """Write; returns what the API server refused."""
        return [action for action in actions if not self._write(action)]

    def _write(self, action: Action) -> bool:
        cluster = self.cluster
        if isinstance(action, SetQuota):
            return self._set_quota(action)
        if isinstance(action, Evict):
            return self._evict(action)
        if isinstance(action, DropQuota):
            cluster.quotas.pop(action.namespace, None)
        elif isinstance(action, LabelNamespace):
            cluster.labels.pop(action.namespace, None)
            cluster.labels |= {action.namespace: action.pool} if action.pool else {}
        elif isinstance(action, MarkNode):
            taints = (f"{TAINT}={action.pool}:NoSchedule",) if action.taint else ()
            node = cluster.nodes[action.node]
            ours = action.pool is not None
            cluster.nodes[action.node] = replace(node, pool_label=action.pool, taints=taints, ours=ours)
        else:
            self.policies = action
        return True

    def _set_quota(self, action: SetQuota) -> bool:
        """A raise that was decided on another version than the present one is refused."""
        before = self.cluster.quotas.get(action.namespace)
        version = "" if before is None else before.resource_version
        if action.raises and action.resource_version != version:
            return False
        quota = before or Quota(hard={}, status_hard={}, used={}, created=self.cluster.now)
        self.cluster.quotas[action.namespace] = replace(
            quota,
            hard=dict(action.hard),
            timers=dict(action.timers),
            implicit=dict(action.implicit),
            resource_version=str(self.cluster.number()),
            pool=self.cluster.pool.name,
            opening=action.opening,
            owners=(self.cluster.pool.uid,),
            labelled=True,
            left_out=action.left_out,
            loans=dict(action.loans),
        )
        return True

    def _evict(self, action: Evict) -> bool:
        pod = self.cluster.pods.get(action.pod)
        if pod is None or (pod.template.protected and not action.force):
            return False
        self.cluster.delete_pod(action.pod)
        return True

    def report(self, statuses: Iterable[RequestStatus]) -> None:
        """Write statuses, as far as their requests are still there."""
        for status in statuses:
            request = self.cluster.requests.get(status.key)
            if request is not None:
                self.cluster.requests[status.key] = replace(request, remembered=remember(status))


def remember(status: RequestStatus) -> Remembered:
    """What the next cycle reads of a status."""
    return Remembered(
        granted=status.granted,
        allowance=status.allowance,
        asked=status.asked,
        queued_at=status.queued_at,
        granted_at=status.granted_at,
        proved_at=status.proved_at,
        quiet_since=status.quiet_since,
        timer=status.timer,
        phase=status.phase,
        released=status.released,
    )

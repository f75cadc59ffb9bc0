"""The laws, checked on the simulated cluster from what an observer can see, cycle by cycle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gpupool.model.objects import Key, Timer
from gpupool.model.plan import Action, Evict, Plan, RequestStatus
from gpupool.model.pool import Mode
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.attribution import attribute, gpus
from gpupool.simulator.engine import Engine
from gpupool.simulator.workloads import Samples
from support.builders import GPU, MINUTE
from support.histories import Event
from support.promises import admitted, committed, committed_or_promised, usable

ROUNDS = 3
"""Notices that nobody may be given one after another, where a cycle takes as long as a notice."""
SLACK = 10 * MINUTE
"""Graces, lingering GPUs and cycles on top of `recall.within`, beside a few cycles."""


@dataclass
class Observer:
    """Watches an engine and asserts the laws after every cycle.

    Args:
        engine: driven by `live`.
    """

    engine: Engine
    seen: dict[Key, RequestStatus] = field(default_factory=dict)
    asked: dict[Key, tuple[int, bool]] = field(default_factory=dict)
    waiting: dict[Key, datetime] = field(default_factory=dict)
    calm_since: datetime | None = None
    trusted: bool = True
    slack: timedelta = SLACK
    step: timedelta = MINUTE
    used: dict[Key, list[tuple[datetime, int]]] = field(default_factory=dict)
    changes: list[tuple[datetime, Key, int, int]] = field(default_factory=list)

    def live(self, history: Iterable[Event]) -> None:
        """Let the history happen."""
        for event in history:
            self.calm_since = self.engine.cluster.now
            event.do(self.engine)
            self.go_on(event.pause, event.step)
            event.undo(self.engine)

    def go_on(self, pause: timedelta, step: timedelta) -> None:
        """Let time pass, with a cycle and all checks after every step."""
        end = self.engine.cluster.now + pause
        self.slack, self.step = SLACK + 4 * step, step
        while self.engine.cluster.now < end:
            self._one(step)

    def _one(self, step: timedelta) -> None:
        engine, cluster = self.engine, self.engine.cluster
        # A quota that the controller has not counted yet keeps nobody out: it is no wall so far.
        walled = {n for n, q in cluster.quotas.items() if GPU in q.status_hard}
        before = {n: admitted(cluster, n) for n in walled}
        engine.advance(step)
        for name, most in before.items():
            assert admitted(cluster, name) <= most, "tenants got more than was committed"
        self._note_use()
        if engine.down:
            self.trusted = False
            self.waiting.clear()  # nobody decides meanwhile
            return
        snapshot = engine.snapshot()
        self._cycle(snapshot)

    def _cycle(self, snapshot: Snapshot) -> None:
        engine, cluster = self.engine, self.engine.cluster
        walled = set(cluster.quotas)
        before, promised = committed(cluster, walled), committed_or_promised(cluster)
        timers = self._timers()
        standing = {n: max(q.hard[GPU], q.status_hard.get(GPU, 0)) for n, q in cluster.quotas.items()}
        plan = engine.cycle()
        self._walls_cover_what_was_there(promised)
        walled &= set(cluster.quotas)
        self._never_oversold(before, walled)
        self._who_runs_is_rebuilt_first(snapshot, plan)
        self._nothing_taken_without_notice(snapshot, plan, timers)
        self._evictions_are_due(plan.actions, timers, snapshot.now)
        self._evictions_free_something(plan.actions, standing)
        self._guarantees_return(snapshot, plan)
        self._sums_hold(plan)
        self._note(snapshot, plan)

    # ------------------------------------------------------------------ law 2

    def _walls_cover_what_was_there(self, before: int) -> None:
        """Quotas that are made, first or again, promise no more than was promised, or than there is."""
        cluster = self.engine.cluster
        after = committed(cluster, set(cluster.quotas))
        assert after <= max(before, usable(cluster)), f"law 2, new walls: {before} -> {after}"

    def _never_oversold(self, before: int, walled: set[str]) -> None:
        after = committed(self.engine.cluster, walled)
        assert after <= max(before, usable(self.engine.cluster)), (
            f"law 2: {before} -> {after} of {usable(self.engine.cluster)}"
        )

    # ------------------------------------------------------------------ laws 1, 5 and 7

    def _who_runs_is_rebuilt_first(self, snapshot: Snapshot, plan: Plan) -> None:
        """A request whose status was lost has at once what it runs, as far as it was granted before.

        Where there is no wall, the first one covers all that runs, granted or not.
        """
        walled = {n.name for n in snapshot.namespaces if n.quota is not None}
        for name in set(self.engine.cluster.quotas) - walled:
            first = self.engine.cluster.quotas[name].hard[GPU]
            seen = sum(p.gpus.get(GPU, 0) for p in snapshot.pods if p.key.namespace == name)
            assert first >= seen, f"{name} starts over its quota\n{plan}"
        requests = [r for r in snapshot.requests if r.key.namespace in walled]
        lost = {r.key for r in requests if r.remembered.granted is None}
        for status in plan.requests:
            old = self.seen.get(status.key)
            if status.key in lost and old is not None and self._governs(status.key.namespace):
                timer = old.timer.target if old.timer and old.timer.stage is Stage.RECALLING else None
                asked = self.engine.cluster.requests[status.key].gpus
                kept = min(old.allowance, status.held, asked, old.allowance if timer is None else timer or 0)
                assert status.allowance >= kept, f"{status.key} runs {status.held} and was cut\n{plan}"

    def _governs(self, namespace: str) -> bool:
        return any(namespace in s.namespaces for s in self.engine.cluster.pool.shares)

    def _timers(self) -> dict[Key, Timer]:
        found = {k: t for k, r in self.engine.cluster.requests.items() if (t := r.remembered.timer)}
        for namespace, quota in self.engine.cluster.quotas.items():
            found |= {Key(namespace, name): t for name, t in quota.timers.items()}
        return found

    def _nothing_taken_without_notice(self, snapshot: Snapshot, plan: Plan, timers: dict[Key, Timer]) -> None:
        for status in plan.requests:
            old, timer = self.seen.get(status.key), timers.get(status.key)
            if old is None or not self.trusted or not self._remembers(snapshot, status.key):
                continue
            warned = timer is not None and timer.stage is Stage.WARNED
            lent = warned and status.timer is not None and status.timer.stage is Stage.LENT
            opened = self._opened(snapshot, status.key.namespace)
            request = self.engine.cluster.requests[status.key]
            edited = self.asked.get(status.key) != (request.gpus, request.preemptible)
            fell = status.allowance < old.allowance and not (edited and status.granted <= request.gpus)
            if fell and opened and not lent:
                self._did_not_fit(old.allowance - status.allowance)
                continue
            if fell:
                assert timer is not None, f"law 5: {status.key} lost GPUs without a timer"
                self._taking_was_announced(snapshot, status, old, timer)
            recalled = timer is not None and timer.stage is Stage.RECALLING
            if not recalled and request.gpus > self.asked.get(status.key, (request.gpus, False))[0]:
                assert status.granted >= old.granted, f"law 7: {status.key} asked more and lost its claim"
            if timer is not None and status.timer is not None and timer.since == status.timer.since:
                self._deadline_moves_later_only(timer, status.timer)

    @staticmethod
    def _opened(snapshot: Snapshot, namespace: str) -> bool:
        """Whether the namespace's wall had not risen yet to what was said before it stood."""
        quotas = (n.quota for n in snapshot.namespaces if n.name == namespace)
        return any(q is not None and q.opening for q in quotas)

    def _did_not_fit(self, gpus: int) -> None:
        """What was said while no wall stood is not given only where others have it by now."""
        cluster = self.engine.cluster
        left = usable(cluster) - committed(cluster, set(cluster.quotas))
        assert left < gpus, f"{left} GPUs are free, and {gpus} were said and not given"

    def _remembers(self, snapshot: Snapshot, key: Key) -> bool:
        """Whether the status is still there and the namespace is a share's."""
        known = {r.key for r in snapshot.requests if r.remembered.granted is not None}
        return key in known and self._governs(key.namespace)

    def _taking_was_announced(
        self, snapshot: Snapshot, status: RequestStatus, old: RequestStatus, timer: Timer
    ) -> None:
        if timer.stage is Stage.RECALLING:
            return
        assert timer.stage is Stage.WARNED
        assert timer.deadline is not None
        assert timer.deadline <= snapshot.now, "law 5: taken before its deadline"
        quota = self.engine.cluster.quotas[status.key.namespace]
        used = self.engine.cluster.charged(status.key.namespace, GPU)
        assert quota.hard[GPU] >= used, "law 3: hard was lowered by more than hard - used"
        assert status.allowance >= (timer.target or 0), "law 5: more was taken than was announced"
        assert status.granted == old.granted, "law 7: lending took the claim"
        assert snapshot.pool.reclaim.mode is Mode.ENFORCE
        assert snapshot.now >= snapshot.uninterrupted_since + min(10 * MINUTE, snapshot.pool.reclaim.window)
        self._data_was_good(snapshot, status.key.namespace)
        since = snapshot.now - snapshot.pool.reclaim.window
        lately = max((n for t, n in self.used.get(status.key, ()) if t > since), default=0)
        assert status.allowance >= lately, f"law 3: {status.key} used {lately} in the window, seen or not"

    def _note_use(self) -> None:
        """What every request really uses, whether anybody sees it or not."""
        now = self.engine.cluster.now
        truth = replace(self.engine.snapshot(), pods=self.engine.pods())
        for key, pods in attribute(truth).pods.items():
            self.used.setdefault(key, []).append((now, gpus(pods, GPU)))

    def _data_was_good(self, snapshot: Snapshot, namespace: str) -> None:
        """No pod was unseen, and together the namespace's were seen for the part the pool asks."""
        assert snapshot.usage.fresh, "law 1: taken while Prometheus is silent"
        for pod in self.engine.cluster.pods.values():
            held = pod.node is not None and pod.started is not None and pod.started < snapshot.now
            if pod.key.namespace == namespace and held and pod.template.starts:
                assert pod.template.samples in {Samples.OK, Samples.PARTIAL}, "law 1: taken on bad data"
        rows = [u for u in snapshot.usage.pods if u.key.namespace == namespace]
        seen, held_for = sum(u.seen_seconds for u in rows), sum(u.held_seconds for u in rows)
        assert 100 * seen >= snapshot.pool.reclaim.coverage * held_for, "law 1: taken on half the data"

    @staticmethod
    def _deadline_moves_later_only(old: Timer, new: Timer) -> None:
        assert old.deadline is None or (new.deadline is not None and new.deadline >= old.deadline)

    def _evictions_are_due(self, actions: Iterable[Action], timers: dict[Key, Timer], now: datetime) -> None:
        for action in actions:
            if isinstance(action, Evict):
                # A request's pods go under its own notice, or under nobody's where it runs more than it may.
                names = (action.request, f"Namespace/unattributed/{GPU}")
                found = [timers.get(Key(action.pod.namespace, n)) for n in names]
                recalls = [t for t in found if t is not None and t.stage is Stage.RECALLING]
                due = [t for t in recalls if t.deadline is not None and t.deadline <= now]
                assert due, "law 5: evicted before its deadline"
                forced = [t for t in due if t.forced_at is not None and t.forced_at <= now]
                assert forced or not action.force, "law 4: budgets hold until the recall is forced"

    def _evictions_free_something(self, actions: Iterable[Action], standing: dict[str, int]) -> None:
        """No pod goes only to be made anew: it ran beyond a wall that stood already."""
        for name in {a.pod.namespace for a in actions if isinstance(a, Evict)}:
            hard = self.engine.cluster.quotas[name].hard[GPU]
            assert self.engine.cluster.charged(name, GPU) > hard, "evicted only to be made anew"
            assert standing[name] <= hard, "evicted under an open wall"

    # ------------------------------------------------------------------ law 4

    def _guarantees_return(self, snapshot: Snapshot, plan: Plan) -> None:
        """A claim that fits its guarantee, at the head of its queue, waits for borrowers only so long."""
        short = set(self._kept_from_guarantee(snapshot, plan)) if self._quiet() else set()
        for key in short:
            began = self.waiting.setdefault(key, max(snapshot.now, self.calm_since or snapshot.now))
            waited = snapshot.now - began
            most = snapshot.pool.recall.within + snapshot.pool.recall.notice + self.slack
            # With cycles this rare each round takes hours: what changed hands, what grew, what is nobody's.
            most *= ROUNDS if self.step >= snapshot.pool.recall.notice else 1
            assert waited <= most, f"law 4: {key} waits {waited} for GPUs that others borrow\n{plan}"
        self.waiting = {k: v for k, v in self.waiting.items() if k in short}

    def _quiet(self) -> bool:
        engine = self.engine
        works = engine.cluster.quota_works and not engine.loses_statuses and not engine.down
        works &= not any(p.stuck for p in engine.cluster.pods.values())
        works &= engine.frozen is None
        works &= all(s.namespaces for s in engine.cluster.pool.shares)
        pool = engine.cluster.pool
        promised = sum(s.guaranteed[GPU] for s in pool.shares) + pool.reserve[GPU]
        # Where more is promised than there is, somebody has to wait, and the pool says so.
        works &= promised <= sum(n.gpus[GPU] for n in engine.cluster.nodes.values())
        whole = all(n.ready and n.schedulable for n in engine.cluster.nodes.values())
        return (
            works
            and whole
            and len(engine.cluster.nodes) == 2
            and engine.cluster.pool.quota_mode is Mode.ENFORCE
        )

    def _kept_from_guarantee(self, snapshot: Snapshot, plan: Plan) -> Iterable[Key]:
        promised = {s.team: s.guaranteed[GPU] if s.namespaces else 0 for s in snapshot.pool.shares}
        granted = dict.fromkeys(promised, 0)
        borrowed = dict.fromkeys(promised, 0)
        for status in plan.requests:
            granted[status.key.namespace] += status.granted
        for team, count in granted.items():
            # Pods beyond every grant are borrowed too, whoever they are booked on.
            used = self.engine.cluster.charged(team, GPU)
            borrowed[team] = max(0, count - promised[team], used - promised[team])
        for status in plan.requests:
            request = self.engine.cluster.requests[status.key]
            least = request.min_gpus - status.granted
            fits = 0 < least <= promised[status.key.namespace] - granted[status.key.namespace]
            others = sum(n for team, n in borrowed.items() if team != status.key.namespace)
            kept = status.position == 1 and fits and others >= least
            # What was lent is back as fast, within the guarantee: its owner asks for more than it may use.
            firm = [s.granted for s in plan.requests if self._is_firm(s.key, of=status.key)]
            own = min(status.granted, promised[status.key.namespace] - sum(firm))
            # What a sibling of its own namespace runs beyond its part is said, and is no loan of others.
            more = status.used + status.demand > status.allowance
            lent = status.demand > 0 and more and status.allowance < own and not request.preemptible
            if (kept or lent) and not self._stays(plan, status.key.namespace, promised):
                yield status.key

    def _is_firm(self, key: Key, *, of: Key) -> bool:
        """Whether it is another request of the same share that is not preemptible."""
        other = key != of and key.namespace == of.namespace
        return other and not self.engine.cluster.requests[key].preemptible

    def _stays(self, plan: Plan, team: str, promised: dict[str, int]) -> bool:
        """Whether pods of its own share stand in the way: an owner's decrease evicts nothing."""
        own = [s for s in plan.requests if s.key.namespace == team]
        firm = [s for s in own if not self.engine.cluster.requests[s.key].preemptible]
        covered = sum(s.allowance for s in own) < promised[team]
        return covered and any(s.used > s.allowance for s in firm)

    # ------------------------------------------------------------------ books

    def _sums_hold(self, plan: Plan) -> None:
        for status in plan.requests:
            assert 0 <= status.allowance <= status.granted
            assert status.granted <= self.engine.cluster.requests[status.key].gpus
            stage = status.timer.stage if status.timer else Stage.NONE
            assert status.allowance == status.granted or stage in {Stage.LENT, Stage.RECALLING}, (
                "lent without saying so"
            )
        if self.engine.cluster.pool.quota_mode is Mode.ENFORCE and not self.engine.loses_statuses:
            for name, quota in self.engine.cluster.quotas.items():
                if not self._governs(name):
                    continue
                allowed = sum(s.allowance for s in plan.requests if s.key.namespace == name)
                allowed += quota.implicit.get(GPU, 0)
                allowed += sum(loan.gpus for loan in quota.loans.values())
                assert quota.hard[GPU] == allowed or (quota.opening and quota.hard[GPU] < allowed), (
                    "hard is not what is allowed"
                )

    def _note(self, snapshot: Snapshot, plan: Plan) -> None:
        for status in plan.requests:
            old = self.seen.get(status.key)
            if old is not None and old.allowance != status.allowance:
                self.changes.append((snapshot.now, status.key, old.allowance, status.allowance))
        self.seen = {s.key: s for s in plan.requests}
        self.trusted = not self.engine.loses_statuses
        self.asked = {k: (r.gpus, r.preemptible) for k, r in self.engine.cluster.requests.items()}

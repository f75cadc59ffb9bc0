"""All engines of a cluster: they follow its pods, and move on when somebody looks at them."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from localplane.engines.annotations import MAX_RATE, PREFIX, BadAnnotationError, Settings, settings
from localplane.engines.clock import EngineClock
from localplane.engines.host import Host
from localplane.engines.objects import EnginePod, engine_pod
from localplane.engines.pod import Pod
from localplane.engines.workload import Workload
from localplane.exporter.objects import TERMINAL
from localplane.exporter.traces import TraceClock, TraceLibrary, UnknownTraceError

log = logging.getLogger(__name__)

STEP_SECONDS: Final = 0.1
"""Of the world: who looks again within so long sees the same, so that a round of scrapes costs one step."""

LAG_SECONDS: Final = 60.0
"""Of the world: what nobody looked at for longer is not made up for; of the engines ten times as much."""

MEMORY_SECONDS: Final = 900.0
"""Of the world: a workload without pods is remembered so long, with its load."""


class EngineFleet:
    """Safe to use from several threads.

    Args:
        replay: the clock of the traces as it is now.
        traces: the traces as they are now.
        now: unix time.
    """

    def __init__(
        self,
        replay: Callable[[], TraceClock],
        traces: Callable[[], TraceLibrary],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.lock = threading.RLock()
        self.workloads: dict[str, Workload] = {}
        self.hosts: dict[str, Host] = {}
        self.bad: dict[str, str] = {}
        self._now = now
        self._traces = traces
        self._clock = EngineClock(replay, now())
        self._facts: dict[str, EnginePod] = {}
        self._looked: dict[str, float] = {}
        self._empty: dict[str, float] = {}
        self._overlay: dict[str, dict[str, str]] = {}
        self._unknown: set[str] = set()

    # ------------------------------------------------------------------ what the API server says

    def replace_pods(self, pods: Iterable[Mapping[str, Any]]) -> None:
        """Take a whole list of pods."""
        facts = [fact for pod in pods if (fact := _living(pod)) is not None]
        with self.lock:
            for uid in self._facts.keys() - {fact.uid for fact in facts}:
                self._drop(uid)
            for fact in facts:
                self._put(fact)

    def pod_event(self, kind: str, pod: Mapping[str, Any]) -> None:
        """Take one watch event of a pod."""
        fact = None if kind == "DELETED" else _living(pod)
        with self.lock:
            if fact is not None:
                self._put(fact)
            else:
                self._drop(pod["metadata"]["uid"])

    def overlay(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        """Annotations by namespace/name of a pod or a workload that win over their own; replaces all.

        Args:
            given: names are without the prefix: `{"team/chat": {"load": 20, "data": "silent"}}`.

        Raises:
            BadAnnotationError: A value means nothing.
        """
        found = {
            key: {f"{PREFIX}{name}": str(value) for name, value in own.items()} for key, own in given.items()
        }
        for own in found.values():
            settings(own)
        with self.lock:
            self._overlay = found
            for fact in list(self._facts.values()):
                self._put(fact)

    # ------------------------------------------------------------------ what others ask

    @property
    def speed(self) -> float:
        """Seconds of the engines per second of the world."""
        return self._clock.speed

    def all(self) -> list[Workload]:
        """Every workload, moved on to now."""
        with self.lock:
            for workload in list(self.workloads.values()):
                self._advance(workload)
                self._tidy(workload)
            return list(self.workloads.values())

    def find(self, uid: str) -> Pod | None:
        """A pod, moved on to now; None for one without an engine that works."""
        with self.lock:
            fact = self._facts.get(uid)
            if fact is None or fact.workload not in self.workloads:
                return None
            self._advance(self.workloads[fact.workload])
            return self.workloads[fact.workload].pods.get(uid)

    def running(self) -> list[EnginePod]:
        """The pods that have a page."""
        with self.lock:
            return [fact for fact in self._facts.values() if fact.running and self._serves(fact)]

    def named(self, namespace: str, name: str) -> EnginePod | None:
        """The pod of a name that has a page."""
        return next((f for f in self.running() if (f.namespace, f.name) == (namespace, name)), None)

    def job(self, fact: EnginePod) -> str:
        """The scrape job of a pod: namespace and PodMonitor, which is called like the workload."""
        pod = self.workloads[fact.workload].pods.get(fact.uid)
        return (pod.settings.job if pod else "") or fact.workload

    # ------------------------------------------------------------------ parts of it

    def _serves(self, fact: EnginePod) -> bool:
        if fact.uid in self.bad:
            return False
        workload = self.workloads.get(fact.workload)
        return workload is not None and workload.load.trace not in self._unknown

    def _put(self, fact: EnginePod) -> None:
        said = self._said(fact)
        self._facts[fact.uid] = fact
        if said is None:
            self._forget(fact)
            return
        if fact.workload not in self.workloads:
            self.workloads[fact.workload] = Workload(fact.workload, self._clock.at(self._now()), self._traced)
        workload = self.workloads[fact.workload]
        self._advance(workload, at_once=True)
        workload.put(fact, said)
        self.hosts.setdefault(fact.uid, Host())

    def _said(self, fact: EnginePod) -> Settings | None:
        annotations = (
            fact.annotations | self._overlay.get(fact.workload, {}) | self._overlay.get(fact.key, {})
        )
        try:
            found = settings(annotations)
        except BadAnnotationError as error:
            if self.bad.get(fact.uid) != str(error):
                log.warning("pod %s: %s; it has no engine", fact.key, error)
            self.bad[fact.uid] = str(error)
            return None
        self.bad.pop(fact.uid, None)
        return found

    def _drop(self, uid: str) -> None:
        fact = self._facts.pop(uid, None)
        self.bad.pop(uid, None)
        if fact is not None:
            self._forget(fact)

    def _forget(self, fact: EnginePod) -> None:
        if (workload := self.workloads.get(fact.workload)) is not None:
            self._advance(workload, at_once=True)
            workload.drop(fact.uid)
        self.hosts.pop(fact.uid, None)

    def _advance(self, workload: Workload, *, at_once: bool = False) -> None:
        now = self._now()
        looked = self._looked.setdefault(workload.key, now)
        if now - looked < STEP_SECONDS and not at_once:
            return
        self._looked[workload.key] = now
        time, before = self._clock.at(now), workload.time
        lag = LAG_SECONDS * max(10.0, self.speed)
        if time - workload.time > lag:
            workload.skip(time - lag / 2)
        workload.advance(time)
        for pod in workload.pods.values():
            busy = sum(pod.shares(time - before))
            host = self.hosts[pod.fact.uid]
            host.advance(now - looked, busy, pod.cause.side, pod.fact.cpus, pod.replica.context)

    def _tidy(self, workload: Workload) -> None:
        """Forget a workload that has had no pods for long."""
        now = self._now()
        if workload.pods:
            self._empty.pop(workload.key, None)
        elif now - self._empty.setdefault(workload.key, now) > MEMORY_SECONDS:
            for memory in (self.workloads, self._looked, self._empty):
                memory.pop(workload.key, None)

    def _traced(self, name: str, time: float) -> float:
        try:
            found = self._traces().find(name).at(self._clock.traced(time))
        except UnknownTraceError as error:
            if name not in self._unknown:
                log.warning("load %r: %s; its pods have no engine", f"trace:{name}", error)
            self._unknown.add(name)
            return 0.0
        self._unknown.discard(name)
        return min(MAX_RATE, max(0.0, found or 0.0))


def _living(pod: Mapping[str, Any]) -> EnginePod | None:
    return None if pod.get("status", {}).get("phase") in TERMINAL else engine_pod(pod)

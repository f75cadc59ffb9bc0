"""What a pod's GPUs show at a moment: the annotation's meaning over the life of a pod."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from localplane.exporter.objects import PodFact
from localplane.exporter.signals import Activity
from localplane.exporter.traces import TraceClock, TraceLibrary, UnknownTraceError
from localplane.exporter.use import BadUseError, Kind, Use, parse_use

log = logging.getLogger(__name__)

GONE_AFTER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What is exported for a pod's GPUs."""

    percent: float | None
    """Activity, 0 to 100; None where the GPUs have no series at all."""

    frozen: float | None = None
    """Unix time at which the pod's values and timestamps stopped; None for live ones."""

    engine: Activity | None = None
    """What an engine makes them do, where the pod has one."""


ABSENT: Final = Shown(None)


@dataclass(slots=True)
class _Memory:
    text: str | None
    use: Use
    since: float
    """When this use took effect: the pod's start, or the moment the annotation changed."""

    changed: bool = False
    percent: float = 0.0
    """What was last shown."""

    complained: bool = False
    """Whether the log already says that the trace is unknown."""


class Showing:
    """Remembers per pod since when its annotation says what it says."""

    def __init__(self, traces: TraceLibrary, clock: TraceClock) -> None:
        self.traces = traces
        self.clock = clock
        self._memories: dict[str, _Memory] = {}

    def forget_others(self, uids: Iterable[str]) -> None:
        """Drop the pods that left."""
        self._memories = {uid: self._memories[uid] for uid in uids if uid in self._memories}

    def show(self, pod: PodFact, now: float) -> Shown:
        """What the GPUs of a pod with a running container show now."""
        memory = self._memory(pod, now)
        match memory.use.kind:
            case Kind.NONE:
                return ABSENT
            case Kind.GONE:
                fresh = not memory.changed and now - memory.since < GONE_AFTER_SECONDS
                return Shown(0.0) if fresh else ABSENT
            case Kind.STALE:
                return Shown(memory.percent, frozen=memory.since)
            case Kind.TRACE:
                return self._traced(pod, memory, now)
            case Kind.MOVING:
                memory.percent = memory.use.percent(pod.uid, now)
                return Shown(memory.percent)

    def _memory(self, pod: PodFact, now: float) -> _Memory:
        memory = self._memories.get(pod.uid)
        if memory is None:
            memory = _Memory(pod.use, _use(pod), since=pod.started or now)
            self._memories[pod.uid] = memory
        elif memory.text != pod.use:
            memory.text, memory.use, memory.since, memory.changed = pod.use, _use(pod), now, True
            memory.complained = False
        return memory

    def _traced(self, pod: PodFact, memory: _Memory, now: float) -> Shown:
        try:
            percent = self.traces.find(memory.use.trace).at(self.clock.at(now))
        except UnknownTraceError as error:
            if not memory.complained:
                log.warning("pod %s/%s: %s; it shows none", pod.namespace, pod.name, error)
            memory.complained = True
            return ABSENT
        memory.percent = percent or 0.0
        return Shown(percent)


def _use(pod: PodFact) -> Use:
    try:
        return parse_use(pod.use)
    except BadUseError as error:
        log.warning("pod %s/%s: %s; it shows none", pod.namespace, pod.name, error)
        return Use(Kind.NONE)

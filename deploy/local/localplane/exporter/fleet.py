"""The state behind a scrape: nodes, pods, who holds which device, and what each device shows."""

import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from localplane.exporter.allocation import Allocator, Device, devices
from localplane.exporter.labels import LabelStyle, device_labels, holder_labels, render_labels
from localplane.exporter.objects import MIG, NodeFact, PodFact, node_fact, pod_fact
from localplane.exporter.shown import Showing, Shown
from localplane.exporter.signals import Activity, Meter, readings

UNHELD_MEMORY: Final = 0.0
IDLE: Final = Shown(0.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """All series of one device at one moment."""

    labels: str
    """Rendered label set with braces."""

    values: list[str]
    """In the order of FAMILIES."""

    timestamp: str
    """Explicit timestamp in milliseconds with a leading space, or nothing."""

    device: Device
    holder: PodFact | None
    shown: Shown


def _no_activity(_uid: str) -> Activity | None:
    """No pod has an engine."""
    return None


class Fleet:
    """Everything the exporter knows; safe to use from several threads."""

    def __init__(
        self,
        showing: Showing,
        style: LabelStyle = LabelStyle.POD,
        checkpoint: Path | None = None,
        activity: Callable[[str], Activity | None] = _no_activity,
    ) -> None:
        self.showing = showing
        self._activity = activity
        self._style = style
        self._lock = threading.Lock()
        self._nodes: dict[str, NodeFact] = {}
        self._pods: dict[str, PodFact] = {}
        self._allocator = Allocator(checkpoint)
        self._meters: dict[Device, Meter] = {}
        self._labels: dict[tuple[Device, str, str], str] = {}
        self._frozen: dict[tuple[Device, str, float], list[str]] = {}

    def replace_nodes(self, nodes: Iterable[Mapping[str, Any]]) -> None:
        """Take a whole list of nodes."""
        facts = [node_fact(node) for node in nodes]
        with self._lock:
            self._nodes = {fact.name: fact for fact in facts}
            self._labels.clear()

    def replace_pods(self, pods: Iterable[Mapping[str, Any]]) -> None:
        """Take a whole list of pods."""
        facts = {pod["metadata"]["uid"]: pod_fact(pod) for pod in pods}
        with self._lock:
            self._pods = {uid: fact for uid, fact in facts.items() if fact is not None}

    def node_event(self, kind: str, node: Mapping[str, Any]) -> None:
        """Take one watch event of a node."""
        fact = node_fact(node)
        with self._lock:
            old = self._nodes.pop(fact.name, None)
            if kind != "DELETED":
                self._nodes[fact.name] = fact
            if old != fact:
                self._labels.clear()

    def pod_event(self, kind: str, pod: Mapping[str, Any]) -> None:
        """Take one watch event of a pod."""
        fact = None if kind == "DELETED" else pod_fact(pod)
        with self._lock:
            if fact is None:
                self._pods.pop(pod["metadata"]["uid"], None)
            else:
                self._pods[fact.uid] = fact

    def read(self, now: float) -> list[Reading]:
        """Every device that has series at a moment, by node."""
        with self._lock:
            held = self._allocator.reconcile(self._nodes, self._pods.values())
            self._tidy()
            owners = {
                device: (self._pods[uid], container)
                for uid, pairs in held.items()
                for device, container in pairs
            }
            shows = {uid: self._show(self._pods[uid], now) for uid in held}
            return [
                reading
                for node in self._nodes.values()
                for device in devices(node)
                if (reading := self._read(node, device, owners.get(device), shows, now)) is not None
            ]

    def _show(self, pod: PodFact, now: float) -> Shown:
        if not pod.started:
            return IDLE
        shown = self.showing.show(pod, now)
        engine = self._activity(pod.uid) if pod.use is None else None
        return replace(shown, percent=engine.engine * 100, engine=engine) if engine else shown

    def _read(
        self,
        node: NodeFact,
        device: Device,
        owner: tuple[PodFact, str] | None,
        shows: Mapping[str, Shown],
        now: float,
    ) -> Reading | None:
        pod, container = owner if owner and _runs(*owner) else (None, "")
        shown = shows[pod.uid] if pod else IDLE
        if shown.percent is None:
            return None
        stamp = "" if shown.frozen is None else f" {int(shown.frozen * 1000)}"
        return Reading(
            self._label(node, device, pod, container),
            self._values(node, device, pod, shown, now),
            stamp,
            device,
            pod,
            shown,
        )

    def _values(
        self, node: NodeFact, device: Device, pod: PodFact | None, shown: Shown, now: float
    ) -> list[str]:
        if shown.frozen is None or pod is None:
            return self._live(node, device, pod, shown, now)
        key = (device, pod.uid, shown.frozen)
        if key not in self._frozen:
            self._frozen[key] = self._live(node, device, pod, shown, shown.frozen)
        return self._frozen[key]

    def _live(
        self, node: NodeFact, device: Device, pod: PodFact | None, shown: Shown, now: float
    ) -> list[str]:
        meter = self._meters.get(device)
        if meter is None or meter.model != node.model:
            meter = self._meters[device] = Meter(node.model)
        seed = f"{device.node}/{device.resource}/{device.index}"
        memory = _memory_share(pod) if pod else UNHELD_MEMORY
        mig = device.resource.startswith(MIG)
        return readings(meter, seed, shown.percent or 0.0, memory, now, mig=mig, activity=shown.engine)

    def _label(self, node: NodeFact, device: Device, pod: PodFact | None, container: str) -> str:
        key = (device, pod.uid if pod else "", container)
        if key not in self._labels:
            holder = holder_labels(pod, container, self._style) if pod else {}
            self._labels[key] = render_labels(device_labels(node, device, self._style) | holder)
        return self._labels[key]

    def _tidy(self) -> None:
        """Forget what belongs to pods that left, so that a long life costs no memory."""
        self.showing.forget_others(self._pods)
        self._labels = {key: text for key, text in self._labels.items() if not key[1] or key[1] in self._pods}
        self._frozen = {key: values for key, values in self._frozen.items() if key[1] in self._pods}


def _runs(pod: PodFact, container: str) -> bool:
    return any(claim.running for claim in pod.claims if claim.container == container)


def _memory_share(pod: PodFact) -> float:
    """A process keeps its memory whether it computes or not; how much differs per pod."""
    return 0.5 + 0.4 * zlib.crc32(pod.uid.encode()) / 2**32

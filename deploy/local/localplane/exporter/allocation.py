"""Which GPU of a node belongs to which pod, as a kubelet's device manager would keep it."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeAlias

from localplane.exporter.objects import Claim, NodeFact, PodFact

log = logging.getLogger(__name__)


Held: TypeAlias = tuple[tuple["Device", str], ...]
"""Devices of one pod, each with the container that has it."""


@dataclass(frozen=True, slots=True, order=True)
class Device:
    """One GPU, or one MIG slice, of one node."""

    node: str
    resource: str
    index: int
    """Position among the node's devices of this resource."""


class Allocator:
    """Devices by pod: the same for a pod's whole life, never given to two.

    With a checkpoint file that also holds over a restart of the exporter, as it does for a kubelet.
    """

    def __init__(self, checkpoint: Path | None = None) -> None:
        self._checkpoint = checkpoint
        self._held = _load(checkpoint)
        self._refused: set[str] = set()

    def reconcile(self, nodes: Mapping[str, NodeFact], pods: Iterable[PodFact]) -> Mapping[str, Held]:
        """Free the devices of pods that left, then serve new pods, oldest first.

        A pod whose node has too few free devices gets none (a kubelet would not admit it); it is
        named in the log once and served when devices come free.

        Returns:
            (device, container) pairs by pod uid.
        """
        living = {pod.uid: pod for pod in pods}
        before = self._held.keys()
        self._held = {uid: held for uid, held in self._held.items() if uid in living}
        self._refused &= living.keys()
        new = [pod for pod in living.values() if pod.uid not in self._held]
        if new:
            taken = {device for held in self._held.values() for device, _ in held}
            for pod in sorted(new, key=lambda pod: (pod.created, pod.uid)):
                self._serve(pod, nodes.get(pod.node), taken)
        if self._checkpoint and before != self._held.keys():
            _save(self._checkpoint, self._held)
        return self._held

    def _serve(self, pod: PodFact, node: NodeFact | None, taken: set[Device]) -> None:
        if node is None:  # not listed yet, or gone: nobody there to give it a GPU
            return
        given = _choose(pod.claims, node, taken)
        if given is not None:
            self._held[pod.uid] = given
            taken.update(device for device, _ in given)
        elif pod.uid not in self._refused:
            self._refused.add(pod.uid)
            log.warning("pod %s/%s: node %s has too few free GPUs for it", pod.namespace, pod.name, pod.node)


def devices(node: NodeFact) -> list[Device]:
    """All devices of a node."""
    return [Device(node.name, resource, index) for resource, count in node.gpus for index in range(count)]


def _choose(claims: Iterable[Claim], node: NodeFact, taken: set[Device]) -> Held | None:
    free: defaultdict[str, list[Device]] = defaultdict(list)
    for device in devices(node):
        if device not in taken:
            free[device.resource].append(device)
    given: list[tuple[Device, str]] = []
    for claim in claims:
        if len(free[claim.resource]) < claim.count:
            return None
        given += [(free[claim.resource].pop(0), claim.container) for _ in range(claim.count)]
    return tuple(given)


def _load(checkpoint: Path | None) -> dict[str, Held]:
    if checkpoint is None or not checkpoint.exists():
        return {}
    try:
        saved = json.loads(checkpoint.read_text())
        return {uid: tuple((Device(*place), name) for place, name in held) for uid, held in saved.items()}
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s is no checkpoint of devices, starting without it: %r", checkpoint, error)
        return {}


def _save(checkpoint: Path, held: Mapping[str, Held]) -> None:
    content = {uid: [(astuple(device), name) for device, name in pairs] for uid, pairs in held.items()}
    new = checkpoint.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.replace(checkpoint)  # whole or not at all, whenever the exporter is killed

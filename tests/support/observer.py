"""An observer of its own: looks at the API server every 50 ms, and afterwards at every state there was.

It has an admin connection past the operator's proxy and shares no code with the product. Two looks: the
sampler lists quotas and then pods exactly as of that list, so that no race between two reads looks like an
excess; the capture follows watches, and `study` replays them revision by revision.
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from localplane.kube import Kube, KubeError
from support.capture import Capture, Record, listed
from support.commitments import Json, Objects, hard, sums
from support.findings import Findings, describe, first, stages, study

EVERY = 0.05
BOUND = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
JOIN_SECONDS = 60.0


@dataclass
class Samples:
    """What the sampler saw: looks taken, looks the API server did not answer, oversold ones."""

    taken: int = 0
    blind: int = 0
    oversold: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Observer:
    """Watches one cluster from `begin` to `end`.

    Attributes:
        capacity_lost: set by a test that takes nodes away: then there may be an excess, and no raise in it.
        changes_of_mind: set by a test whose teams want GPUs, then not, then again: notices come and go.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.capacity_lost = False
        self.changes_of_mind = False
        self.samples = Samples()
        self.findings = Findings()
        self.gaps = 0
        self._kubeconfig = kubeconfig
        self._capture = Capture(kubeconfig)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="observer", daemon=True)

    def begin(self) -> None:
        """Start looking."""
        self._capture.begin()
        self._thread.start()

    def end(self) -> Findings:
        """Stop looking, and say what was found."""
        self._over.set()
        self._thread.join(JOIN_SECONDS)
        self._capture.close()
        self.gaps = self._capture.gaps
        self.findings = study(self._capture.start, self._capture.records())
        return self.findings

    def records(self) -> list[Record]:
        """All changes captured so far, in order."""
        return self._capture.records()

    def stages(self, namespace: str, name: str) -> list[str]:
        """The stages of a request's timer so far."""
        return stages(self.records(), namespace, name)

    def hards(self, namespace: str) -> list[int]:
        """What our quota in a namespace has allowed so far, one entry per change."""
        quotas = (r.obj for r in self.records() if r.kind == "quotas" and r.key[0] == namespace)
        numbers = (hard(q, "nvidia.com/gpu") for q in quotas)
        return [n for n in numbers if n is not None]

    def first_asked_to_go(self, namespace: str) -> float:
        """When the first pod of a namespace was asked to leave, by the API server's own clock; 0 if none was.

        A deletionTimestamp is the moment of the request and the pod's grace period.
        """
        pods = (r.obj["metadata"] for r in self.records() if r.kind == "pods" and r.key[0] == namespace)
        return min((_asked_at(m) for m in pods if "deletionTimestamp" in m), default=0.0)

    def judge(self) -> None:
        """Fail on whatever the laws do not allow, at any sample and any revision."""
        found = self.findings
        assert self.samples.taken, "no sample was taken"
        assert not found.raised, f"raised into an excess (law 2)\n{first(found.raised)}"
        assert not found.moved, f"timers moved sooner (law 5)\n{first(found.moved)}"
        assert not found.doubled, f"done twice\n{first(found.doubled)}"
        if not self.capacity_lost:
            assert not self.samples.oversold, f"oversold (law 2)\n{first(self.samples.oversold)}"
            assert not found.oversold, f"oversold (law 2)\n{first(found.oversold)}"
        if not self.changes_of_mind:
            assert not found.again, f"a notice was lost (law 5)\n{first(found.again)}"

    # ------------------------------------------------------------------ sampler

    def _sample(self) -> None:
        began = due = time.monotonic()
        with Kube.from_kubeconfig(self._kubeconfig, timeout=5.0) as kube:
            while not self._over.is_set():
                self._look(kube)
                # A look that took longer than its time is not made up for.
                due = max(due + EVERY, time.monotonic())
                self._over.wait(due - time.monotonic())
        self.samples.seconds = time.monotonic() - began

    def _look(self, kube: Kube) -> None:
        try:
            version, quotas = listed(kube, "quotas")
            pods = listed(kube, "pods", at=version, fields=BOUND)[1]
            nodes, pools = self._capture.now("nodes"), self._capture.now("pools")
            seen = Objects(pools, nodes, quotas, pods)
            if any(book.excess for book in sums(seen).values()):
                # Nodes and pools come from the watch: before anything is said, they are asked too.
                seen.nodes, seen.pools = (listed(kube, kind, at=version)[1] for kind in ("nodes", "pools"))
        except (httpx.HTTPError, KubeError):
            self.samples.blind += 1
            return
        self.samples.taken += 1
        for (pool, resource), book in sums(seen).items():
            if book.excess:
                self.samples.oversold.append(describe(pool, resource, book, f"sampled at {version}"))


def _asked_at(metadata: Json) -> float:
    ends = datetime.fromisoformat(metadata["deletionTimestamp"]).timestamp()
    return ends - int(metadata.get("deletionGracePeriodSeconds", 0))

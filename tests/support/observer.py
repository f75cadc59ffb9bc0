"""An observer of its own: looks at the API server every 50 ms, and afterwards at every state there was.

It has an admin connection past the operator's proxy and shares no code with the product. Two looks: the
sampler lists quotas and then pods exactly as of that list, so that no race between two reads looks like an
excess; the capture follows watches, and `study` replays them revision by revision.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from localplane.kube import Kube, KubeError
from support.capture import Capture, Record, listed
from support.commitments import Fleet, Json, Objects, hard, sums
from support.faultproxy.asked import Asked
from support.findings import Findings, excess, stages, study
from support.takings import ended_twice, takings
from support.verdict import none_of

EVERY = 0.05
"""Seconds between two looks, where the machine is fast enough."""
SELDOM = 0.25
"""Seconds between two looks, on average, with which a test has not been watched."""
BLIND = 0.1
"""Part of the time without an answer with which it has not, where nobody took the API server away."""
BOUND = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
JOIN_SECONDS = 60.0


@dataclass
class Samples:
    """What the sampler saw.

    Attributes:
        taken: looks that were answered.
        blind: looks that the API server did not answer.
        seconds: of the whole test.
        blind_seconds: of it without an answer.
        oversold: what must not be.
        excused: what lost nodes left uncovered.
    """

    taken: int = 0
    blind: int = 0
    seconds: float = 0.0
    blind_seconds: float = 0.0
    oversold: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)

    @property
    def gap(self) -> float:
        """Seconds between two looks, on average over the time in which there were answers."""
        return (self.seconds - self.blind_seconds) / max(1, self.taken)


class Observer:
    """Watches one cluster from `begin` to `end`.

    Args:
        kubeconfig: of an admin.
        journal: every request of the operator, as it grows; empty where none is kept.

    Attributes:
        capacity_lost: set by a test whose nodes go, or are not Ready: what is missing with them is excused.
        changes_of_mind: set by a test whose teams ask anew all the time: notices come and go with it.
        outage: set by a test that ends the API server or etcd: then looks are blind and watches lose changes.
    """

    def __init__(self, kubeconfig: Path, journal: Sequence[Asked] = ()) -> None:
        self.capacity_lost = False
        self.changes_of_mind = False
        self.outage = False
        self.samples = Samples()
        self.findings = Findings()
        self.gaps = 0
        self._kubeconfig = kubeconfig
        self._journal = journal
        self._asked_before = len(journal)
        self._capture = Capture(kubeconfig)
        self._missed = ""
        self._fleet = Fleet()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="observer", daemon=True)
        self._began = 0.0

    def begin(self) -> None:
        """Start looking."""
        self._capture.begin()
        self._began = time.monotonic()
        self._thread.start()

    def end(self) -> Findings:
        """Stop looking, and say what was found; what was missed is for `judge` to say."""
        self._over.set()
        self._thread.join(JOIN_SECONDS)
        self.samples.seconds = time.monotonic() - self._began
        try:
            self._capture.close()
        except AssertionError as error:
            self._missed = str(error)
        self.gaps = self._capture.gaps
        found = study(self._capture.start, self._capture.records(), per_ask=self.changes_of_mind)
        found.doubled += ended_twice(self._asked)
        self.findings = found
        return found

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

    def asked_to_go(self, namespace: str) -> int:
        """How many pods of a namespace anybody asked to leave, or took away, so far."""
        pods = (r for r in self.records() if r.kind == "pods" and r.key[0] == namespace)
        return len(
            {r.obj["metadata"]["uid"] for r in pods if r.gone or "deletionTimestamp" in r.obj["metadata"]}
        )

    def takings(self, namespace: str = "") -> int:
        """Evictions and deletes of pods by the operator that the API server accepted so far."""
        return sum(a.namespace == namespace or not namespace for a in takings(self._asked))

    def judge(self) -> None:
        """Fail on whatever the laws do not allow, at any sample and revision; then on what was not seen."""
        found, samples = self.findings, self.samples
        excused = [] if self.capacity_lost else [*samples.excused, *found.excused]
        none_of(found.raised, "raised into an excess (law 2)")
        none_of([*samples.oversold, *found.oversold, *excused], "oversold (law 2)")
        none_of(found.moved, "timers moved sooner (law 5)")
        none_of(found.again, "a notice was lost (law 5)")
        none_of(found.doubled, "done twice")
        self._judge_the_view()

    def _judge_the_view(self) -> None:
        """Fail where too little was seen to say that nothing was wrong: a slow moment's matter."""
        samples, blind = self.samples, self.samples.blind_seconds
        assert not self._missed, self._missed
        assert samples.taken, "no sample was taken"
        assert samples.gap <= SELDOM, f"a look in {samples.gap * 1000:.0f} ms is no watch"
        if not self.outage:
            assert blind <= BLIND * samples.seconds, f"blind for {blind:.0f} s"
            assert not self.gaps, f"{self.gaps} watches lost changes"

    @property
    def _asked(self) -> list[Asked]:
        return list(self._journal[self._asked_before :])

    # ------------------------------------------------------------------ sampler

    def _sample(self) -> None:
        due = time.monotonic()
        with Kube.from_kubeconfig(self._kubeconfig, timeout=5.0) as kube:
            while not self._over.is_set():
                began = time.monotonic()
                seen = self._look(kube)
                # A look that took longer than its time is not made up for.
                due = max(due + EVERY, time.monotonic())
                self._over.wait(due - time.monotonic())
                if not seen:
                    self.samples.blind_seconds += time.monotonic() - began

    def _look(self, kube: Kube) -> bool:
        """Look once; whether the API server answered."""
        try:
            version, seen = self._see(kube)
        except (httpx.HTTPError, KubeError):
            self.samples.blind += 1
            return False
        self.samples.taken += 1
        self._fleet.see(seen.nodes)
        where = f"sampled at {version}"
        excess(seen, self._fleet, where, self.samples.oversold, self.samples.excused)
        return True

    def _see(self, kube: Kube) -> tuple[int, Objects]:
        version, quotas = listed(kube, "quotas")
        pods = listed(kube, "pods", at=version, fields=BOUND)[1]
        seen = Objects(self._capture.now("pools"), self._capture.now("nodes"), quotas, pods)
        if any(book.excess for book in sums(seen).values()):
            # Nodes and pools come from the watch: before anything is said, they are asked too.
            seen.nodes, seen.pools = (listed(kube, kind, at=version)[1] for kind in ("nodes", "pools"))
        return version, seen


def _asked_at(metadata: Json) -> float:
    ends = datetime.fromisoformat(metadata["deletionTimestamp"]).timestamp()
    return ends - int(metadata.get("deletionGracePeriodSeconds", 0))

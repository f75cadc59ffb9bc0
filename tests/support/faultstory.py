"""Words for stories in which parts of the world fail: a stage, kills, and the books at the end."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typing_extensions import override

from localplane.cluster import Cluster
from localplane.processes import wait_until
from support.capture import listed
from support.commitments import Json, Objects, of_pool
from support.faultproxy.asked import Asked
from support.faultproxy.faults import Match, Stroke, writes
from support.faultproxy.proxy import FaultProxy
from support.killer import Killer
from support.killing import kill_all, kill_sender
from support.replicas import leaders_page
from support.story import QUICK, RESOURCE, Story
from support.verdict import law

FULL = os.environ.get("GPUPOOL_FAULTS") == "full"
"""Whether all variants are asked for (`make test-faults`)."""
variant = pytest.mark.skipif(not FULL, reason="a variant: runs in make test-faults")
"""For stories whose likes run in every `make test`."""
REST = 3.0
"""Seconds without enough requests after which an operator counts as resting."""
LONG = 240.0
"""Seconds that a story full of kills may take for one step, on a busy machine."""


@dataclass(kw_only=True)
class FaultStory(Story):
    """A story on the cluster whose operator speaks through the proxy."""

    cluster: Cluster
    proxy: FaultProxy
    counts: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    """Of this story."""

    # ------------------------------------------------------------------ scenes

    def promised_eight_uses_two(self, *, asks: int = 4, **pool: Any) -> tuple[str, str]:
        """An owner that was granted 8 of 8 and runs 2; beside it a borrower that waits for some."""
        self.add_nodes(1)
        owner, other = self.team("owner"), self.team("other")
        self.pool(shares=[self.share(owner, 8), self.share(other)], **{**QUICK, **pool})
        self.until_enforced()  # first: what is granted and not used begins to be measured at once
        self.ask(owner, "serve", 8)
        self.until_phase(owner, "serve", "Granted", seconds=60)
        self.deploy(owner, "serve", 2)
        self.until(lambda: self.held(owner) == 2, "the owner runs two", 60)
        self.ask(other, "batch", asks, preemptible=True)
        self.until_phase(other, "batch", "Queued", seconds=60)
        return owner, other

    def until_lent(self, owner: str, other: str, seconds: float = LONG) -> None:
        """Until what the owner does not use works for the borrower."""
        self.until_stage(owner, "serve", "Lent", seconds)
        self.until_phase(other, "batch", "Granted", seconds=seconds)
        self.deploy(other, "batch", int(self.status(other, "batch")["granted"]))
        self.until(
            lambda: self.held(other) == self.status(other, "batch")["granted"], "the borrower runs", seconds
        )

    def until_returned(self, owner: str, other: str, seconds: float = LONG) -> None:
        """Until the owner, who wants all eight, has them, and everything is at rest."""
        self.until(
            lambda: self.seen(owner, "serve") == ("Granted", 8, 8, "None"),
            f"the owner has everything back (now {self.seen(owner, 'serve')})",
            seconds,
        )
        self.wake(owner)
        self.until(lambda: self.held(owner) == 8, "all eight run for their owner", seconds)
        self.until(lambda: self.held(other) == 0, "the borrower's pods are gone", seconds)
        self.until_phase(other, "batch", "Queued", seconds=seconds)

    @override
    def until_enforced(self, seconds: float = LONG) -> Json:
        """Wait until quotas, labels and policies stand as the spec now says and were probed."""
        return super().until_enforced(seconds)

    def wake(self, namespace: str) -> None:
        """Wake ReplicaSets that sleep after refusals: a long story makes them sleep for minutes."""
        for found in self.kube.list(f"/apis/apps/v1/namespaces/{namespace}/replicasets"):
            path = f"/apis/apps/v1/namespaces/{namespace}/replicasets/{found['metadata']['name']}"
            note = {"test.example/woken-at": found["metadata"]["resourceVersion"]}
            self.kube.patch(path, {"metadata": {"annotations": note}})

    def until_stage(self, namespace: str, name: str, stage: str, seconds: float = LONG) -> None:
        """Until a taking is at a stage."""
        self.until(lambda: self.seen(namespace, name)[3] == stage, f"{name} is {stage}", seconds)

    def seen(self, namespace: str, name: str) -> tuple[str, int, int, str]:
        """A request's phase, granted, allowance and stage."""
        status = self.status(namespace, name)
        stage = status.get("reclaim", {}).get("stage", "None")
        return status.get("phase", ""), status.get("granted", 0), status.get("allowance", 0), stage

    # ------------------------------------------------------------------ deaths

    def kill_all(self) -> int:
        """Kill, as by `kill -9`, every process of the operator; says how many there were."""
        victims = kill_all(self.cluster, self.kube)
        self._count(kills=int(victims > 0))
        return victims

    def kill_sender(self, asked: Asked) -> int:
        """Kill, as by `kill -9`, the process that sent a request; says how many that were."""
        victims = kill_sender(self.cluster, asked.port)
        self._count(kills=victims)
        return victims

    def _count(self, kills: int) -> None:
        self.kills += kills
        self.counts["kills"] += kills

    @contextmanager
    def killed_at_writes(self, most: int, *, both: bool, match: Match = writes) -> Iterator[Killer]:
        """Kill at every write that says something new, while the block lasts.

        Args:
            most: kills at most.
            both: before it reaches the API server and again after it was stored; else in turn.
            match: at which writes; by default at all.
        """
        killer = Killer(kill=self.kill_all, most=most, both=both, match=match)
        with self.proxy.failing(killer):
            yield killer
        self.counts["writes that a cap on kills spared"] += len(killer.spared)

    @contextmanager
    def killed_at_request(self, number: int, *, alone: bool = False) -> Iterator[None]:
        """Kill when the operator sends its so-and-so-manieth request from now on, a read or a write.

        One that has nothing to ask is killed where it rests.

        Args:
            number: which request.
            alone: kill only the process that sent it, so that another may take over; else all.
        """
        last = self.proxy.number() + number
        once = threading.Lock()  # one death for all requests that come at the same time

        def killed(kill: Callable[[], int]) -> bool:
            if not once.acquire(blocking=False):
                return False
            if kill() > 0:
                return True
            once.release()  # nobody was there
            return False

        def strike(asked: Asked) -> bool:
            return killed(partial(self.kill_sender, asked) if alone else self.kill_all)

        stroke = Stroke(lambda a: a.number >= last, ahead=strike)
        with self.proxy.failing(stroke):
            yield
            if not wait_until(lambda: bool(stroke.hits), REST):
                self.until(lambda: stroke.hits or killed(self.kill_all), "there is something to kill", LONG)

    def passes(self, seconds: float) -> None:
        """Let time pass: what happens in it is the observer's."""
        wait_until(lambda: False, seconds)

    def stays(self, holds: Callable[[], bool], what: str, seconds: float) -> None:
        """See that something stays as it is."""
        law(not wait_until(lambda: not holds(), seconds), f"no more: {what}")

    # ------------------------------------------------------------------ books

    def drift(self) -> dict[str, Any]:
        """What the pool's status says and the API server's objects do not: (said, counted) by name."""
        version, quotas = listed(self.kube, "quotas")
        pools = listed(self.kube, "pools", at=version)[1]
        nodes, pods = (listed(self.kube, kind, at=version)[1] for kind in ("nodes", "pods"))
        requests = listed(self.kube, "requests", at=version)[1]
        pool = pools["", self.name]
        book = of_pool(Objects(pools, nodes, quotas, pods), pool, RESOURCE)
        said = pool.get("status", {})
        statuses = {k: o.get("status", {}) for k, o in requests.items() if k[0] in book.rows}
        granted = sum(s.get("granted", 0) for s in statuses.values())
        allowed = {
            n: sum(s.get("allowance", 0) for (ns, _), s in statuses.items() if ns == n) for n in book.rows
        }
        rows = {
            "usable": (_of(said.get("capacity", {}), "usable"), book.capacity),
            "granted": (_of(said, "granted"), granted),
            "held": (_of(said, "held"), book.held),
            "lent": (_of(said, "lent"), granted - sum(allowed.values())),
            **{f"hard of {n}": (allowed[n], row[0]) for n, row in book.rows.items()},
        }
        return {what: pair for what, pair in rows.items() if pair[0] != pair[1]}

    def until_settled(self, seconds: float = 60) -> None:
        """Until status, quotas and pods tell the same, and no mirror ever differed from the API server."""
        self.until(lambda: not self.drift(), lambda: f"the books agree (now {self.drift()})", seconds)
        drifts = self.metric("gpupool_reflector_drifts_total")
        self.counts["ledger drifts"] += int(drifts) + len(self.drift())
        law(drifts == 0, "a mirror differed from the API server")

    def metric(self, name: str, **labels: str) -> float:
        """A metric of the replica that leads, summed over its series; 0 while it is not there."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(leaders_page(self.cluster))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def _of(status: Json, name: str) -> int:
    return int((status.get(name) or {}).get(RESOURCE, 0))

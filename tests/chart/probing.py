"""Somebody who tries the forbidden and the allowed the whole time, and notes what was answered otherwise."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from localplane.kube import Kube, KubeError
from support.gpupods import gpu_pod
from support.marks import two_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chart.living import Tenancy

Json = dict[str, Any]
PAUSE = 0.1
FORBIDDEN = 403


@dataclass
class Prober:
    """Every 100 ms, by dry run, one attempt at the forbidden and one pod that a team may have.

    Attributes:
        forbidden: to a node by name, past the taint, past the quota.
        allowed: a pod that says where it belongs, and one that leaves it to us.
        tried: rounds that the API server answered.
        passed: what was not refused, and when (seconds since the start).
        denied: what was not let in, and when.
    """

    kube: Kube
    forbidden: list[Json]
    allowed: list[Json]
    tried: int = 0
    passed: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, tenancy: Tenancy, kube: Kube) -> Self:
        """Attempts in the namespace of a tenancy, whose quota has room for one pod more."""
        lines = two_lines(tenancy.story.name)
        wildcard = [{"operator": "Exists"}]
        named = _pod(tenancy.team, "named", 1, **{**lines, "nodeName": tenancy.story.nodes[0]})
        tolerant = _pod(tenancy.team, "tolerant", 1, **{**lines, "tolerations": wildcard})
        greedy = _pod(tenancy.team, "greedy", 64, **lines)
        good = [_pod(tenancy.team, "placed", 1, **lines), _pod(tenancy.team, "plain", 1)]
        return cls(kube, [named, tolerant, greedy], good)

    def run(self) -> None:
        """Try until told to stop."""
        began = time.monotonic()
        rounds = zip(itertools.cycle(self.forbidden), itertools.cycle(self.allowed), strict=False)
        for forbidden, allowed in rounds:
            if self._stop.wait(PAUSE):
                return
            when = f"{time.monotonic() - began:.1f} s, {forbidden['metadata']['name']}"
            error = self._said(forbidden)
            if error is None or error.status != FORBIDDEN:
                self.passed.append(f"{when}: {error or 'got in'}")
            when = f"{time.monotonic() - began:.1f} s, {allowed['metadata']['name']}"
            if (error := self._said(allowed)) is not None:
                self.denied.append(f"{when}: {error}")
            self.tried += 1

    def _said(self, pod: Json) -> KubeError | None:
        try:
            self.kube.create(pod, dry_run=True)
        except KubeError as error:
            return error
        return None

    def stop(self) -> None:
        """End after the attempt under way."""
        self._stop.set()


def _pod(namespace: str, name: str, gpus: int, **spec: Any) -> Json:
    pod = gpu_pod(namespace, f"probe-{name}", gpus)
    pod["spec"] |= spec
    return pod


@contextmanager
def probing(tenancy: Tenancy) -> Iterator[Prober]:
    """Try the whole time; in the end nothing may have been let through, and nobody kept out."""
    with Kube(tenancy.kube.credentials) as kube:
        prober = Prober.of(tenancy, kube)
        thread = threading.Thread(target=prober.run)
        thread.start()
        try:
            yield prober
        finally:
            prober.stop()
            thread.join(60)
    assert prober.passed == [], f"of {prober.tried} attempts at the forbidden"
    assert prober.denied == [], f"of {prober.tried} pods that are allowed"
    assert prober.tried > 20
    print(f"{prober.tried} attempts at the forbidden, none let in; {prober.tried} allowed pods, none denied")

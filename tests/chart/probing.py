"""Somebody who tries the forbidden the whole time, and counts what was let through."""

from __future__ import annotations

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
    """Every 100 ms one attempt by dry run: to a node by name, past the taint, past the quota.

    Attributes:
        tried: attempts that the API server answered.
        passed: what was not refused, and when (seconds since the start).
    """

    kube: Kube
    attempts: list[Json]
    tried: int = 0
    passed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, tenancy: Tenancy, kube: Kube) -> Self:
        """Attempts in the namespace of a tenancy."""
        lines = two_lines(tenancy.story.name)
        wildcard = [{"operator": "Exists"}]
        named = _pod(tenancy.team, "named", 1, **{**lines, "nodeName": tenancy.story.nodes[0]})
        tolerant = _pod(tenancy.team, "tolerant", 1, **{**lines, "tolerations": wildcard})
        greedy = _pod(tenancy.team, "greedy", 64, **lines)
        return cls(kube, [named, tolerant, greedy])

    def run(self) -> None:
        """Try until told to stop."""
        began = time.monotonic()
        while not self._stop.wait(PAUSE):
            attempt = self.attempts[self.tried % len(self.attempts)]
            try:
                self.kube.create(attempt, dry_run=True)
            except KubeError as error:
                if error.status == FORBIDDEN:
                    self.tried += 1
                    continue
                self.passed.append(f"{time.monotonic() - began:.1f} s: {error}")
            else:
                self.passed.append(f"{time.monotonic() - began:.1f} s: {attempt['metadata']['name']} got in")
            self.tried += 1

    def stop(self) -> None:
        """End after the attempt under way."""
        self._stop.set()


def _pod(namespace: str, name: str, gpus: int, **spec: Any) -> Json:
    pod = gpu_pod(namespace, f"probe-{name}", gpus)
    pod["spec"] |= spec
    return pod


@contextmanager
def probing(tenancy: Tenancy) -> Iterator[Prober]:
    """Try the whole time; nothing may have been let through in the end."""
    with Kube(tenancy.kube.credentials) as kube:
        prober = Prober.of(tenancy, kube)
        thread = threading.Thread(target=prober.run)
        thread.start()
        try:
            yield prober
        finally:
            prober.stop()
            thread.join(60)
    assert prober.passed == [], f"of {prober.tried} attempts"
    assert prober.tried > 20
    print(f"{prober.tried} attempts at the forbidden, none was let through")

"""What is said of a rollout: the two revisions, the verdict, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Notice, Status
from gpupool.model.rollout import GuardMode, Release, Rollout, Verdict
from gpupool.model.slo import Endpoint, Slo, SloSnapshot
from gpupool.policy.slo.guard import Watched, watch
from gpupool.policy.slo.revisions import Seen, promised

TELLING: Final = 600.0
"""Seconds for which a new verdict is told by an Event; the Event itself is one."""
ROLLOUT_HEALTHY: Final = "RolloutHealthy"
_STATUS: Final = {Verdict.PROMOTE: Status.TRUE, Verdict.WAIT: Status.UNKNOWN, Verdict.BAD: Status.FALSE}


@dataclass(frozen=True, slots=True)
class Guarded:
    """One endpoint's rollout.

    Attributes:
        watched: what is remembered, and the verdict.
        release: what the API server shows.
        action: what was done about it, or why nothing, as a machine reason; empty where there is no need.
        said: the same in a sentence.
    """

    watched: Watched = field(default_factory=lambda: Watched(Rollout()))
    release: Release = field(default_factory=Release)
    action: str = ""
    said: str = ""

    @property
    def memory(self) -> Rollout:
        """What is remembered."""
        return self.watched.memory


def guarded(
    snapshot: SloSnapshot, slo: Slo, endpoint: Endpoint, left: Sequence[float | None]
) -> Guarded | None:
    """Watch the revisions of one endpoint; None where nobody asks for it.

    Args:
        snapshot: of all.
        slo: the promise, with what is remembered.
        endpoint: what was read.
        left: percent of each objective's budget.
    """
    if slo.guard is GuardMode.OFF:
        return None
    release = snapshot.releases.get(slo.key)
    if release is None:
        return Guarded(Watched(slo.rollout))
    seen = Seen(
        release=release,
        promised=promised(slo.objectives, left),
        readings=endpoint.revisions,
        min_events=slo.min_events,
        window=slo.window.total_seconds(),
    )
    return Guarded(watch(slo.rollout, seen, snapshot.now.timestamp()), release)


def conditions(found: Guarded | None) -> Iterable[Condition]:
    """Whether the newest revision is good; nothing before there are two."""
    if found is None or found.memory.verdict is None:
        return
    memory = found.memory
    said = f"{memory.message} {found.said}".strip()
    reason = found.action or memory.reason
    yield Condition(ROLLOUT_HEALTHY, _STATUS[found.memory.verdict], reason, said)


def notices(key: Key, uid: str, found: Guarded | None, snapshot: SloSnapshot) -> Iterable[Notice]:
    """An Event for a verdict that has just come."""
    if found is None or found.memory.verdict not in {Verdict.BAD, Verdict.PROMOTE}:
        return
    memory, now = found.memory, snapshot.now
    candidate = memory.candidate
    if candidate is None or now.timestamp() - memory.at > TELLING:
        return
    bad = memory.verdict is Verdict.BAD
    since = datetime.fromtimestamp(memory.at, UTC)
    reason = "RolloutBad" if bad else "RolloutPromoted"
    yield Notice("InferenceSLO", key, uid, reason, memory.message, warning=bad, since=since)

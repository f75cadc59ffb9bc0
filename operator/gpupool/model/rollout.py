"""The words of rollouts: revisions of a workload, what was counted of each, and what that comes to.

A revision is named by the hash that Kubernetes writes on its pods. Counts are events as objectives have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gpupool.model.objects import Key

TEMPLATE_HASH: Final = "pod-template-hash"
"""The label by which a ReplicaSet of a Deployment, and its pods, name their revision."""


class GuardMode(StrEnum):
    """What is done about a revision that is worse than the one before."""

    OFF = "Off"
    OBSERVE = "Observe"
    PAUSE = "Pause"
    ROLLBACK = "Rollback"


class Verdict(StrEnum):
    """What is known of a new revision."""

    PROMOTE = "Promote"
    WAIT = "Wait"
    BAD = "Bad"


@dataclass(frozen=True, slots=True)
class Tally:
    """Events of one objective at the pods of one revision.

    Attributes:
        what: the objective, as it is told.
        good, total: events.
        looks: looks that saw any.
        square: the sum over them of bad events squared by all events: how unevenly bad ones came.
        seconds: time in which they were counted.
        silent: seconds for which requests have been under way and nothing came of any, up to now.
    """

    what: str
    good: float = 0.0
    total: float = 0.0
    looks: float = 0.0
    square: float = 0.0
    seconds: float = 0.0
    silent: float = 0.0

    @property
    def bad(self) -> float:
        """Events that were not good."""
        return max(0.0, self.total - self.good)

    @property
    def ratio(self) -> float | None:
        """Part of the events that were bad; None without any."""
        return self.bad / self.total if self.total > 0 else None


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision: since when it is known (unix seconds), and what was counted.

    Attributes:
        tallies: of about the last hour, or since it came.
        beside: of the time in which another revision served beside it, where that is the older one.
    """

    name: str
    since: float
    tallies: tuple[Tally, ...] = ()
    beside: tuple[Tally, ...] = ()


@dataclass(frozen=True, slots=True)
class Rollout:
    """What is remembered of an endpoint's revisions.

    Attributes:
        stable: the last revision that was good, or the first that was seen.
        candidate: what came after it; None before the first.
        verdict: on the candidate; None without one.
        reason, message: of the verdict.
        at: unix seconds at which it came to that verdict.
        settled: the candidate was promoted and serves alone: the next one is compared with it.
    """

    stable: Revision | None = None
    candidate: Revision | None = None
    verdict: Verdict | None = None
    reason: str = ""
    message: str = ""
    at: float = 0.0
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Population:
    """Pods of one revision: how many there are, have a node, are Ready; and how long start-ups took."""

    pods: int = 0
    bound: int = 0
    ready: int = 0
    started: tuple[float, ...] = ()


NOBODY = Population()


@dataclass(frozen=True, slots=True)
class Release:
    """What the API server shows of a workload's revisions.

    Attributes:
        newest: the revision that its template makes; empty where nobody knows.
        pods: by revision.
        failed: its controller has given up on the newest: the progress deadline is over.
    """

    newest: str = ""
    pods: Mapping[str, Population] = field(default_factory=dict)
    failed: bool = False

    def of(self, name: str) -> Population:
        """The pods of a revision."""
        return self.pods.get(name, NOBODY)


@dataclass(frozen=True, slots=True)
class Acted:
    """What we noted on a workload: what we did, to which revision, and to which template of it."""

    action: str
    revision: str
    template: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Rollable:
    """A Deployment, as far as its rollout can be stopped or turned back.

    Attributes:
        version: as it was seen.
        template: digest of its pod template.
        paused: by anybody.
        ours: the pause was written by us and by nobody since.
        acted: what we noted on it, the oldest first.
        noted: a note of ours stands on it.
        failed: the progress deadline of its newest revision is over.
    """

    uid: str = ""
    version: str = ""
    template: str = ""
    paused: bool = False
    ours: bool = False
    acted: tuple[Acted, ...] = ()
    noted: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class PauseRollout:
    """Stop a rollout where it is."""

    slo: Key
    target: Key
    uid: str
    version: str
    acted: tuple[Acted, ...]


@dataclass(frozen=True, slots=True)
class ResumeRollout:
    """Take off what we noted, and our pause (`paused`) with it; `slo` is None where the promise is gone."""

    slo: Key | None
    target: Key
    uid: str
    version: str
    paused: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class RollBack:
    """Put the template of a good revision back; `source` is the ReplicaSet that keeps it."""

    slo: Key
    target: Key
    uid: str
    version: str
    source: str
    acted: tuple[Acted, ...]


RolloutWrite = PauseRollout | ResumeRollout | RollBack

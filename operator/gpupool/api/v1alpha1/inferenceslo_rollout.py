"""Rollouts of an endpoint: what is asked, and what the operator says of the two revisions."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Timestamp
from gpupool.api.v1alpha1.durations import Duration

MAX_RESULTS = 9
Sentence = Annotated[str, StringConstraints(max_length=1024)]
Word = Annotated[str, StringConstraints(max_length=64)]
Name = Annotated[str, StringConstraints(max_length=253)]
Count = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Pods = Annotated[int, Field(ge=0)]


class Guard(StrEnum):
    """What is done about a new revision that is worse than the one before."""

    OFF = "Off"
    OBSERVE = "Observe"
    PAUSE = "Pause"
    ROLLBACK = "Rollback"


class RolloutSpec(ApiModel):
    """How rollouts of the workload are guarded."""

    guard: Guard = Guard.OBSERVE
    """Off: revisions are not compared. Observe: it is told when a new one is worse. Pause: the rollout of a
    Deployment is paused then, and goes on when the template changes. Rollback: its template is set back to
    that of the good revision, once per bad one. Both write under an enforced pool or without any."""


class Verdict(StrEnum):
    """What is known of the newest revision."""

    PROMOTE = "Promote"
    WAIT = "Wait"
    BAD = "Bad"


class Counted(ApiModel):
    """Events of one objective at the pods of one revision."""

    good: Count
    """Good ones."""
    total: Count
    """All."""
    looks: Count
    """Looks that saw any."""
    square: Count
    """Bad ones squared by all, summed over looks: how unevenly they came."""
    seconds: Count
    """Time in which they were counted."""
    silent: Count = 0
    """Seconds for which requests have been under way and nothing came of any, up to now."""


class RevisionResult(Counted):
    """One objective at one revision."""

    objective: Word
    """Which one; errors: requests without an answer, where availability is not promised."""
    attainment: Percent | None = None
    """Percent of good events."""
    low: Percent | None = None
    """The least percent of bad events, at the confidence that the message names."""
    high: Percent | None = None
    """The most."""
    beside: Counted | None = None
    """Of these the events in the time in which the newer revision served too."""


class RevisionStatus(ApiModel):
    """One revision of the workload."""

    name: Name
    """Its hash, as its pods carry it."""
    since: Timestamp
    """Since when it is known."""
    pods: Pods = 0
    """Pods that it has."""
    ready: Pods = 0
    """Those that are Ready."""
    startup: Duration | None = None
    """The longest start-up of its pods, until Ready."""
    results: Annotated[tuple[RevisionResult, ...], Field(max_length=MAX_RESULTS)] = Field(
        default_factory=tuple
    )
    """Its objectives."""


class RolloutStatus(ApiModel):
    """The newest revision beside the one before."""

    verdict: Verdict | None = None
    """Promote: it is no worse. Wait: not known yet. Bad: it is worse than promised and than the old one.
    Absent before a second revision was seen."""
    reason: Word | None = None
    """Machine reason of the verdict."""
    message: Sentence | None = None
    """The arithmetic, and the error budget that it would burn fully rolled out."""
    since: Timestamp | None = None
    """When the verdict came."""
    action: Word | None = None
    """What was done about it, or why nothing was."""
    settled: bool = False
    """It was promoted and serves alone: the next one is compared with it."""
    stable: RevisionStatus | None = None
    """The last good revision, or the first that was seen."""
    candidate: RevisionStatus | None = None
    """The one after it."""

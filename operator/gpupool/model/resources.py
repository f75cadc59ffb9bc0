"""The words of a container's CPU and memory: what it used, what a VerticalPodAutoscaler may give it.

CPU is cores, memory bytes, times unix seconds. What was not seen is None, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from gpupool.model.objects import Key, ObjectRef

CPU: Final = "cpu"
MEMORY: Final = "memory"
BOTH: Final = (CPU, MEMORY)


class VpaMode(StrEnum):
    """What the owner of an endpoint lets us do with its VerticalPodAutoscaler."""

    CREATE = "Create"
    ADOPT = "Adopt"
    ADVISE = "Advise"
    OFF = "Off"


@dataclass(frozen=True, slots=True)
class UseDay:
    """The most that a replica's container used on a day.

    Attributes:
        at: when the day began.
        cpu: the highest mean over a window.
        memory: the highest working set.
        raised: the least CPU that a diagnosis of CPUBound asks for; 0 where there was none.
    """

    at: float
    cpu: float = 0.0
    memory: float = 0.0
    raised: float = 0.0


@dataclass(frozen=True, slots=True)
class Use:
    """The use of a container over the last days, oldest first; `until` says how far it was looked at."""

    container: str = ""
    since: float = 0.0
    until: float = 0.0
    days: tuple[UseDay, ...] = ()

    @property
    def cpu(self) -> float:
        """The most of all days."""
        return max((d.cpu for d in self.days), default=0.0)

    @property
    def memory(self) -> float:
        """The most of all days."""
        return max((d.memory for d in self.days), default=0.0)

    @property
    def raised(self) -> float:
        """The most that a diagnosis asked for."""
        return max((d.raised for d in self.days), default=0.0)


UNSEEN: Final = Use()
"""Nothing was measured yet."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what a container's requests may be, as quantities; empty where a resource is not steered."""

    low: Mapping[str, str] = field(default_factory=dict)
    high: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What a recommender says of a container, as it wrote it: quantities by resource."""

    target: Mapping[str, str] = field(default_factory=dict)
    lower: Mapping[str, str] = field(default_factory=dict)
    upper: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VpaNote:
    """What stands on a VPA of ours or that we adopted: container policies as canonical JSON, empty for none.

    Attributes:
        theirs: its owner's.
        written: ours.
        rewrites: when somebody else wrote over ours.
        made: it was made by us.
    """

    theirs: str
    written: str
    rewrites: tuple[datetime, ...] = ()
    made: bool = False


@dataclass(frozen=True, slots=True)
class Vpa:
    """A VerticalPodAutoscaler.

    Attributes:
        mode: its updateMode; empty for the default, which restarts pods.
        policies: its container policies, as canonical JSON.
        recommendations: by container.
        note: ours; None where there is none.
        writers: managers beside us that own the policies.
        noted: the note stands on it; else it was taken off by somebody, and we remember it.
    """

    key: Key
    uid: str
    version: str
    target: ObjectRef
    mode: str = ""
    policies: str = ""
    recommendations: Mapping[str, Recommendation] = field(default_factory=dict)
    note: VpaNote | None = None
    writers: tuple[str, ...] = ()
    noted: bool = True


@dataclass(frozen=True, slots=True)
class WriteVpa:
    """Make a VPA of ours (`uid` is empty), or write our policies to the one that is there.

    `force` takes them over from others; then it is exactly the version that was seen.
    """

    slo: Key
    slo_uid: str
    vpa: Key
    uid: str
    version: str
    target: ObjectRef
    mode: str
    note: VpaNote
    force: bool


@dataclass(frozen=True, slots=True)
class LeaveVpa:
    """Put the policies of a VPA back as its owner had them; one that we made is deleted."""

    vpa: Key
    uid: str
    policies: str
    note: VpaNote


VpaWrite = WriteVpa | LeaveVpa


@dataclass(frozen=True, slots=True)
class Resources:
    """What is said of the CPU and memory of an endpoint's inference container."""

    use: Use = UNSEEN
    vpa: str = ""
    mode: str = ""
    bounds: Bounds = field(default_factory=Bounds)
    recommendation: Recommendation = field(default_factory=Recommendation)
    reason: str = ""
    message: str = ""

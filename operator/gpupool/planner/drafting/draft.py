"""What `gpupool adopt` drafts: requests of workloads that run, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpupool.model.objects import Key, ObjectRef


@dataclass(frozen=True, slots=True)
class Workload:
    """What a draft is for: a controller or pod, or pods with a label."""

    namespace: str
    resource: str
    ref: ObjectRef | None = None
    label: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """How people call it."""
        return self.ref.name if self.ref is not None else self.label[1] if self.label else ""

    def __str__(self) -> str:
        what = str(self.ref) if self.ref is not None else "pods with {}={}".format(*self.label or ("", ""))
        return f"{self.namespace} {what}"


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known beside the snapshot.

    Attributes:
        teams: namespace -> team, as somebody labelled it.
        contacts: pod -> whom its annotations or its namespace's name; absent where nobody is named.
        peaks: namespace and name of a workload -> most GPUs it held in the recorded past.
        use: pod -> GPU-seconds seen busy and held over the window.
    """

    teams: Mapping[str, str] = field(default_factory=dict)
    contacts: Mapping[Key, str] = field(default_factory=dict)
    peaks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    use: Mapping[Key, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """One CapacityRequest to be reviewed: `peak` and `use` (percent) are None where they are not known."""

    name: str
    workload: Workload
    team: str
    contact: str | None
    gpus: int
    held: int
    pods: int
    peak: int | None = None
    use: int | None = None

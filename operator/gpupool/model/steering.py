"""The words of steering: what is scaled, what scales it, and what was decided about both.

Replicas are whole pods; GPUs are of one resource. Behaviours are canonical JSON: equal texts, equal rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gpupool.model.objects import Counts, Key, ObjectRef
from gpupool.model.resources import VpaMode
from gpupool.model.rollout import Rollable


class HpaMode(StrEnum):
    """What the owner of an endpoint lets us do with its HorizontalPodAutoscaler."""

    CREATE = "Create"
    ADOPT = "Adopt"
    ADVISE = "Advise"


class DataPolicy(StrEnum):
    """What missing data does in steering."""

    HOLD = "Hold"
    """Nothing moves."""
    UP_ONLY = "UpOnly"
    """The floor may rise from what is known, and never falls."""


@dataclass(frozen=True, slots=True)
class Need:
    """Replicas that are needed at least, and the arithmetic."""

    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class Scaling:
    """What `spec.scaling` asks: the least and the most replicas (None: not said), and by which means.

    `wake` is the series that tells, while no pod runs, that somebody asks; only with it `low` is 0.
    """

    low: int = 1
    high: int | None = None
    hpa: HpaMode = HpaMode.ADVISE
    wake: str = ""
    vpa: VpaMode = VpaMode.ADVISE


@dataclass(frozen=True, slots=True)
class Wake:
    """Whether somebody asks for an endpoint that may sleep.

    Attributes:
        series: that tells it.
        asked: None where it is not known.
        age: seconds since it was known.
        quiet: it was known, and nobody asked.
        problem: why it is not known.
        reason: the same as one word.
    """

    series: str
    asked: bool | None = None
    age: float = 0.0
    quiet: bool = False
    problem: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A workload that is scaled.

    Attributes:
        replicas: wanted by its spec.
        existing: pods it has, old and new ones.
        gpus: of one pod.
        labels: of its pods.
        surge, unavailable: of its rolling update, as written: a number or a percentage.
        recreate: all old pods go before a new one comes.
        rolling: a rollout is under way, and within its deadline.
        old: pods of revisions before the newest.
        stepped: when its rollout came further last; None while none is under way.
        patience: after so long without a step its rollout has failed.
        rollable: how its rollout can be stopped; None where it is no Deployment.
    """

    key: Key
    ref: ObjectRef
    replicas: int
    existing: int
    gpus: Counts
    labels: Mapping[str, str] = field(default_factory=dict)
    surge: str = "25%"
    unavailable: str = "25%"
    recreate: bool = False
    rolling: bool = False
    old: int = 0
    stepped: datetime | None = None
    patience: timedelta = timedelta(minutes=10)
    rollable: Rollable | None = None


class ScalerKind(StrEnum):
    """What scales a workload: an HPA, or KEDA's ScaledObject, which makes and owns one."""

    HPA = "HPA"
    SCALED_OBJECT = "ScaledObject"

    @property
    def low(self) -> str:
        """Its field of the fewest replicas."""
        return "minReplicas" if self is ScalerKind.HPA else "minReplicaCount"

    @property
    def high(self) -> str:
        """Its field of the most replicas."""
        return "maxReplicas" if self is ScalerKind.HPA else "maxReplicaCount"


@dataclass(frozen=True, slots=True)
class Limits:
    """What we steer of a scaler; `behavior` is empty where it has none.

    `unsaid` names the numbers that are not written, so that giving them back leaves them out again.
    """

    low: int
    high: int
    behavior: str = ""
    unsaid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Originals:
    """What stands on a scaler that we adopted.

    Attributes:
        theirs: the limits before us, or as somebody else has written them since.
        written: what we wrote last; anything else in their place was written by somebody else.
        rewrites: when somebody else did.
        asleep: replicas of the workload before we let it sleep; 0 while it is awake.
    """

    theirs: Limits
    written: Limits
    rewrites: tuple[datetime, ...] = ()
    asleep: int = 0


@dataclass(frozen=True, slots=True)
class Scaler:
    """A HorizontalPodAutoscaler, or a ScaledObject.

    Attributes:
        keda: the ScaledObject that owns an HPA; else empty.
        originals: what we noted on it; None where we did not adopt it.
        writers: managers beside us that own one of the fields which we steer.
        noted: the note stands on it; else it was taken off by somebody, and we remember it.
        made: uid of the InferenceSLO that we made it for; empty where it is its owner's.
        exact: it tolerates no difference; False on API servers that know no tolerance.
        paused: the annotation with which its owner paused it; else empty.
        idle: replicas of a ScaledObject while nothing triggers it; None where its owner has none.
        on: resources that it scales on by their utilisation, which is of what pods request.
    """

    key: Key
    uid: str
    version: str
    target: ObjectRef
    limits: Limits
    keda: str = ""
    originals: Originals | None = None
    writers: tuple[str, ...] = ()
    noted: bool = True
    made: str = ""
    exact: bool = False
    kind: ScalerKind = ScalerKind.HPA
    paused: str = ""
    idle: int | None = None
    on: frozenset[str] = frozenset()


class Pace(StrEnum):
    """How fast replicas may come and go."""

    SAVE = "Save"
    """Much of the error budget is left: replicas go sooner."""
    STEADY = "Steady"
    """As the HPA's owner has it."""
    PROTECT = "Protect"
    """The budget burns or is used up: replicas come faster, and none goes."""
    HOLD = "Hold"
    """Not known how the users fare: none goes."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An alternative that was not taken, and why."""

    alternative: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Lack:
    """GPUs that are missing for the floor: how many, and the arithmetic."""

    gpus: int
    message: str


@dataclass(frozen=True, slots=True)
class Needed:
    """Replicas that the objectives need, with the arithmetic, and which term of it decided."""

    replicas: int
    why: str = ""
    term: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas an endpoint may have; `lack` is set where the ceiling is below what is needed.

    `needed` is the floor before the ceiling: whatever a grant affords. `floor_reason` is what decided it.
    """

    floor: int
    ceiling: int
    reason: str
    message: str
    pace: Pace = Pace.STEADY
    rejected: tuple[Rejected, ...] = ()
    lack: Lack | None = None
    needed: int = 0
    floor_reason: str = ""


def canonical(value: Any) -> str:
    """A behaviour as text; empty for none."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")) if value else ""

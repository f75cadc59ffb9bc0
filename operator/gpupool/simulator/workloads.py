"""What the simulated cluster is made of, beside the words of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.rollout import Rollable
from gpupool.model.steering import Target


class Samples(StrEnum):
    """What the exporter says about a pod's GPUs."""

    OK = "OK"
    MISSING = "Missing"
    PARTIAL = "Partial"
    STALE = "Stale"
    CONFLICTING = "Conflicting"


@dataclass(frozen=True, slots=True)
class Template:
    """How the pods of a workload behave.

    Attributes:
        gpus: per pod.
        busy: part of the time with activity, 0 to 1.
        starts: whether a container ever runs.
        protected: a disruption budget allows no eviction.
        grace: between a delete and the end of the container.
        lingers: time the GPUs stay held after the grace, when quota has stopped counting the pod.
    """

    gpus: int = 1
    resource: str = "nvidia.com/gpu"
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: str = "ReplicaSet"
    busy: float = 1.0
    samples: Samples = Samples.OK
    starts: bool = True
    protected: bool = False
    grace: timedelta = timedelta(seconds=30)
    lingers: timedelta = timedelta()


@dataclass(slots=True)
class Workload:
    """A controller that keeps `replicas` pods.

    Attributes:
        refused: pods that quota denied at the last try.
        beyond: pods that a rollout under way has beside its replicas.
        stepped: when the rollout came further last; None while none is under way.
        promised: an InferenceSLO speaks of it.
    """

    namespace: str
    ref: ObjectRef
    replicas: int
    template: Template = field(default_factory=Template)
    refused: int = 0
    beyond: int = 0
    stepped: datetime | None = None
    promised: bool = False

    @property
    def pods(self) -> int:
        """Pods that it wants now."""
        return self.replicas + self.beyond if self.replicas else 0

    def target(self) -> Target:
        """The workload as the API shows it."""
        return Target(
            key=Key(self.namespace, self.ref.name),
            ref=self.ref,
            replicas=self.replicas,
            existing=self.replicas,
            gpus={self.template.resource: self.template.gpus},
            labels=self.template.labels,
            surge=str(self.beyond),
            unavailable="0",
            rolling=self.stepped is not None,
            old=0 if self.stepped is None else self.replicas,
            stepped=self.stepped,
            rollable=Rollable(template=f"{self.stepped}"),
        )


@dataclass(slots=True)
class Running:
    """A pod from its creation to its end."""

    key: Key
    uid: str
    template: Template
    created: datetime
    owner: ObjectRef | None = None
    node: str | None = None
    started: datetime | None = None
    deleted: datetime | None = None
    stuck: bool = False

    def charged(self, now: datetime) -> bool:
        """Whether quota counts it: a Terminating pod only until its grace has passed."""
        return self.deleted is None or now < self.deleted + self.template.grace

    def gone(self, now: datetime) -> bool:
        """Whether its GPUs are free: not while a finalizer of somebody keeps it."""
        if self.stuck:
            return False
        end = None if self.deleted is None else self.deleted + self.template.grace + self.template.lingers
        return end is not None and (now >= end or self.node is None)

    def pod(self) -> Pod:
        """The pod as the API shows it."""
        template = self.template
        return Pod(
            key=self.key,
            uid=self.uid,
            gpus={template.resource: template.gpus},
            node=self.node,
            created=self.created,
            started=self.started,
            running=template.starts,
            terminating=self.deleted is not None,
            labels=template.labels,
            owner=self.owner,
            direct_owner_kind=template.kind if self.owner else "",
        )

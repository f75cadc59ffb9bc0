"""The kinds of the group: names, scope, printed columns, selectable fields."""

from dataclasses import dataclass, field
from typing import Literal

from gpupool.api.v1alpha1.base import ApiModel
from gpupool.api.v1alpha1.capacityrequest import CapacityRequest
from gpupool.api.v1alpha1.gpupool import GpuPool
from gpupool.api.v1alpha1.inferenceslo import InferenceSLO


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; wide ones are printed with `-o wide` only."""

    name: str
    path: str
    type: Literal["string", "integer", "number", "date"] = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """What a CustomResourceDefinition says beside the schema."""

    model: type[ApiModel]
    plural: str
    short: str
    scope: Literal["Cluster", "Namespaced"]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The kind's name."""
        return self.model.__name__


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

GPU_POOL = Kind(
    model=GpuPool,
    plural="gpupools",
    short="gpool",
    scope="Cluster",
    columns=(
        Column("Mode", ".spec.mode"),
        Column("Usable", ".status.summary.usable", "integer"),
        Column("Granted", ".status.summary.granted", "integer"),
        Column("Held", ".status.summary.held", "integer"),
        Column("Busy", ".status.summary.busy", "integer"),
        Column("Queued", ".status.summary.queued", "integer"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Purpose", ".spec.purpose", wide=True),
        Column("Lent", ".status.summary.lent", "integer", wide=True),
        Column("Enforced", '.status.conditions[?(@.type=="Enforced")].status', wide=True),
        Column("Telemetry", '.status.conditions[?(@.type=="TelemetryHealthy")].status', wide=True),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True),
        _AGE,
    ),
    selectable=(".spec.mode",),
)

CAPACITY_REQUEST = Kind(
    model=CapacityRequest,
    plural="capacityrequests",
    short="capreq",
    scope="Namespaced",
    columns=(
        Column("Phase", ".status.phase"),
        Column("GPUs", ".spec.gpus", "integer"),
        Column("Granted", ".status.granted", "integer"),
        Column("Allowance", ".status.allowance", "integer"),
        Column("Held", ".status.held", "integer"),
        Column("Busy", ".status.busy", "integer"),
        Column("Position", ".status.position", "integer"),
        Column("Reason", ".status.decision.reason"),
        Column("Deadline", ".status.reclaim.deadline"),
        Column("Team", ".spec.owner.team", wide=True),
        Column("Pool", ".status.pool", wide=True),
        Column("Efficiency", ".status.efficiency", "integer", wide=True),
        Column("Activity", ".status.activity", "integer", wide=True),
        Column("Data", ".status.dataState", wide=True),
        Column("Message", ".status.decision.message", wide=True),
        _AGE,
    ),
    selectable=(".spec.pool", ".spec.priority", ".status.phase"),
)

INFERENCE_SLO = Kind(
    model=InferenceSLO,
    plural="inferenceslos",
    short="islo",
    scope="Namespaced",
    columns=(
        Column("Target", ".spec.targetRef.name"),
        Column("Met", '.status.conditions[?(@.type=="Met")].status'),
        Column("Attainment", ".status.attainment", "number"),
        Column("Budget", ".status.budgetRemaining", "number"),
        Column("Cause", ".status.diagnosis.cause"),
        Column("Data", ".status.dataState"),
        Column("Ready", ".status.readyReplicas", "integer"),
        Column("Floor", ".status.decision.floor", "integer"),
        Column("Ceiling", ".status.decision.ceiling", "integer"),
        Column("Steering", '.status.conditions[?(@.type=="Steering")].reason', wide=True),
        Column("Engine", ".status.engine", wide=True),
        Column("Help", ".status.diagnosis.replicasHelp", wide=True),
        Column("Window", ".spec.window", wide=True),
        Column("Message", '.status.conditions[?(@.type=="Met")].message', wide=True),
        _AGE,
    ),
    selectable=(".spec.targetRef.name",),
)

KINDS = (GPU_POOL, CAPACITY_REQUEST, INFERENCE_SLO)

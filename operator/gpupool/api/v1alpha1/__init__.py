"""Version v1alpha1 of the API group gpupool.dev."""

from gpupool.api.v1alpha1.base import API_VERSION, GROUP, VERSION, explain, write_time
from gpupool.api.v1alpha1.capacityrequest import CapacityRequest, CapacityRequestSpec, Priority
from gpupool.api.v1alpha1.capacityrequest_status import (
    Blocker,
    CapacityRequestStatus,
    DataState,
    Decision,
    Phase,
    Reclaim,
    ReclaimStage,
)
from gpupool.api.v1alpha1.common import (
    Condition,
    ConditionStatus,
    LabelSelector,
    Mode,
    ObjectMeta,
    Purpose,
    Requirement,
    Visibility,
)
from gpupool.api.v1alpha1.durations import Duration, format_duration, parse_duration
from gpupool.api.v1alpha1.gpupool import GpuPool, GpuPoolSpec
from gpupool.api.v1alpha1.gpupool_status import EffectivePolicy, GpuPoolStatus, ShareStatus
from gpupool.api.v1alpha1.inferenceslo import InferenceSLO, InferenceSLOSpec, Objective
from gpupool.api.v1alpha1.inferenceslo_status import InferenceSLOStatus, Kept, Sums

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "Blocker",
    "CapacityRequest",
    "CapacityRequestSpec",
    "CapacityRequestStatus",
    "Condition",
    "ConditionStatus",
    "DataState",
    "Decision",
    "Duration",
    "EffectivePolicy",
    "GpuPool",
    "GpuPoolSpec",
    "GpuPoolStatus",
    "InferenceSLO",
    "InferenceSLOSpec",
    "InferenceSLOStatus",
    "Kept",
    "LabelSelector",
    "Mode",
    "ObjectMeta",
    "Objective",
    "Phase",
    "Priority",
    "Purpose",
    "Reclaim",
    "ReclaimStage",
    "Requirement",
    "ShareStatus",
    "Sums",
    "Visibility",
    "explain",
    "format_duration",
    "parse_duration",
    "write_time",
]

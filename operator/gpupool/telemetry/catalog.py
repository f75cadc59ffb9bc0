"""Every metric of the operator: name, kind, labels, help. The documentation is generated from here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Prometheus' types that are used."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric name. Counters are named as they are exported, with `_total`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE
    buckets: tuple[float, ...] = ()


_POOL: Final = ("pool", "resource")
_SHARE: Final = ("pool", "team", "resource")
_REQUEST: Final = ("namespace", "request", "pool", "resource")
_OBJECTIVE: Final = ("namespace", "slo", "sli", "threshold")

# Read back by the operator: the keys of peaks and of dead pods (collector/prometheus/ownqueries.py).
USED: Final = Metric(
    "gpupool_request_used_gpus",
    "GPUs that non-terminal pods of a request ask for, Pending ones included; request is empty for those of a"
    " namespace that no request answers for. Its peak over reclaim.lookback is never lent.",
    _REQUEST,
)
POD: Final = Metric(
    "gpupool_pod_gpus",
    "GPUs that a bound pod with a running container holds; dead pods are read back from it.",
    ("namespace", "pod", "node", "request", "pool", "resource"),
)

REQUEST_GRANTED: Final = Metric("gpupool_request_granted_gpus", "GPUs granted to a request.", _REQUEST)
REQUEST_ALLOWANCE: Final = Metric(
    "gpupool_request_allowance_gpus", "Granted GPUs less those that are lent out.", _REQUEST
)
REQUEST_HELD: Final = Metric(
    "gpupool_request_held_gpus", "GPUs of a request's pods that are bound to a node of the pool.", _REQUEST
)
REQUEST_BUSY: Final = Metric(
    "gpupool_request_busy_gpus",
    "Held GPUs with a busy sample in reclaim.window; absent where it is not known.",
    _REQUEST,
)
REQUEST_DEMAND: Final = Metric(
    "gpupool_request_demand_gpus", "GPUs that a request's controllers want beyond what exists.", _REQUEST
)
REQUEST_EFFICIENCY: Final = Metric(
    "gpupool_request_efficiency_percent",
    "Busy GPU-hours over granted GPU-hours of reclaim.window; absent where it is not known.",
    _REQUEST,
)
REQUEST_ACTIVITY: Final = Metric(
    "gpupool_request_activity_percent",
    "Mean activity of held GPUs over reclaim.window; absent where it is not known.",
    _REQUEST,
)
REQUEST_COVERAGE: Final = Metric(
    "gpupool_request_coverage_percent", "Part of held GPU-hours of reclaim.window with samples.", _REQUEST
)
DEADLINE: Final = Metric(
    "gpupool_reclaim_deadline_timestamp_seconds",
    "When GPUs of a request will be lent, released or recalled; absent where nothing is due.",
    ("namespace", "request"),
)

POOL_TOTAL: Final = Metric(
    "gpupool_pool_total_gpus", "Allocatable GPUs of the member nodes, or as declared.", _POOL
)
POOL_USABLE: Final = Metric(
    "gpupool_pool_usable_gpus", "GPUs that can be granted: of Ready, schedulable nodes, less reserve.", _POOL
)
POOL_GRANTED: Final = Metric("gpupool_pool_granted_gpus", "GPUs granted to requests.", _POOL)
POOL_LENT: Final = Metric("gpupool_pool_lent_gpus", "Granted GPUs that are lent out.", _POOL)
POOL_HELD: Final = Metric("gpupool_pool_held_gpus", "GPUs of pods bound to the pool's nodes.", _POOL)
POOL_BUSY: Final = Metric("gpupool_pool_busy_gpus", "Held GPUs with a busy sample in reclaim.window.", _POOL)
POOL_UNATTRIBUTED: Final = Metric(
    "gpupool_pool_unattributed_gpus", "GPUs asked for by pods that no request answers for.", _POOL
)
OVERCOMMITTED: Final = Metric(
    "gpupool_overcommitted_gpus", "GPUs committed beyond capacity; above 0 nothing is raised.", _POOL
)
SURGE_LENT: Final = Metric(
    "gpupool_pool_surge_lent_gpus",
    "GPUs lent to rolling updates beside all grants, out of the reserve first.",
    _POOL,
)
UNCONFIRMED_QUOTAS: Final = Metric(
    "gpupool_pool_unconfirmed_quotas",
    "Quotas of ours whose status.hard is not spec.hard yet: what was lowered there is not free.",
    ("pool",),
)
POOL_CONDITION: Final = Metric(
    "gpupool_pool_condition",
    "1 for the status and reason that a condition of a pool has.",
    ("pool", "type", "status", "reason"),
)

SHARE_GUARANTEED: Final = Metric("gpupool_share_guaranteed_gpus", "GPUs guaranteed to a share.", _SHARE)
SHARE_LIMIT: Final = Metric("gpupool_share_limit_gpus", "The most a share may be granted.", _SHARE)
SHARE_GRANTED: Final = Metric("gpupool_share_granted_gpus", "GPUs granted to a share's requests.", _SHARE)
SHARE_LENT: Final = Metric("gpupool_share_lent_gpus", "Granted GPUs of a share that are lent out.", _SHARE)
SHARE_HELD: Final = Metric("gpupool_share_held_gpus", "GPUs of a share's pods on the pool's nodes.", _SHARE)
SHARE_BUSY: Final = Metric(
    "gpupool_share_busy_gpus", "Held GPUs of a share with a busy sample in reclaim.window.", _SHARE
)

REQUESTS: Final = Metric("gpupool_requests", "CapacityRequests by phase.", ("pool", "phase"))
TELEMETRY_FRESH: Final = Metric(
    "gpupool_telemetry_fresh", "1 when use was measured freshly in the last cycle, else 0.", ("pool",)
)
LEADER: Final = Metric("gpupool_leader", "1 in the replica that leads and writes, 0 in those that stand by.")
LAST_CYCLE: Final = Metric(
    "gpupool_last_cycle_timestamp_seconds", "When a pool's last cycle was completed.", ("pool",)
)

SLO_ATTAINMENT: Final = Metric(
    "gpupool_slo_attainment_percent",
    "Good events of an objective's window; absent before the first.",
    _OBJECTIVE,
)
SLO_BUDGET: Final = Metric(
    "gpupool_slo_budget_remaining_percent",
    "What is left of the error budget of the window; below 0 the promise is broken.",
    _OBJECTIVE,
)
SLO_COVERAGE: Final = Metric(
    "gpupool_slo_coverage_percent", "Part of the window that was measured.", _OBJECTIVE
)
SLO_BURNING: Final = Metric(
    "gpupool_slo_burning",
    "1 while both windows of an alarm burn the budget too fast, else 0; `alarm` is the longer one's seconds."
    " Absent below spec.minEvents.",
    (*_OBJECTIVE, "alarm"),
)
SLO_DATA: Final = Metric(
    "gpupool_slo_data_state", "1 for what is known of an objective now.", (*_OBJECTIVE, "state")
)
SLO_REQUIRED: Final = Metric(
    "gpupool_required_replicas",
    "Replicas that the objectives of an endpoint need, whatever its grant affords; until the profile is"
    " learned the larger of scaling.minReplicas and the HPA's own.",
    ("namespace", "slo"),
)
SLO_DIAGNOSIS: Final = Metric(
    "gpupool_slo_diagnosis",
    "1 for what limits an endpoint now; absent before the first look at its signals.",
    ("namespace", "slo", "cause", "confidence", "replicas_help"),
)

SLO_ROLLOUT: Final = Metric(
    "gpupool_slo_rollout",
    "1 for what is known of an endpoint's newest revision; absent before a second one was seen.",
    ("namespace", "slo", "revision", "verdict"),
)
SLO_ROLLOUT_BURN: Final = Metric(
    "gpupool_slo_rollout_burn_rate",
    "Error budgets that the newest revision would use in a window, fully rolled out; while it is compared.",
    ("namespace", "slo", "revision", "objective"),
)

SLO_DRIFT: Final = Metric(
    "gpupool_slo_drift_ratio",
    "How requests or answers are lately, divided by how they were when the profile was learned; only while"
    " that differs by more than it may.",
    ("namespace", "slo", "gpu", "trait"),
)

SLO_EFFECT: Final = Metric(
    "gpupool_slo_advice_effect",
    "What the last advice of a kind that was followed brought: `value` is before, predicted or real.",
    ("namespace", "slo", "kind", "measure", "value"),
)

_ENDPOINT: Final = ("namespace", "slo")
SLO_GPU_HOURS: Final = Metric(
    "gpupool_slo_gpu_hours", "GPU-hours that an endpoint's pods held in its window.", (*_ENDPOINT, "resource")
)
SLO_TOKENS: Final = Metric(
    "gpupool_slo_tokens_per_gpu_hour",
    "Tokens written by GPU-hour of the window; absent where the engine does not tell. `which` is all, or"
    " at_slo for those whose requests met the objectives.",
    (*_ENDPOINT, "which"),
)
SLO_COST: Final = Metric(
    "gpupool_slo_cost",
    "Cost of the GPU-hours of the window; absent without spec.cost of the pool.",
    (*_ENDPOINT, "currency"),
)
SLO_TOKEN_COST: Final = Metric(
    "gpupool_slo_cost_per_million_tokens",
    "Cost of a million tokens written; absent without spec.cost of the pool, or tokens.",
    (*_ENDPOINT, "currency"),
)
SLO_JOULES: Final = Metric(
    "gpupool_slo_joules_per_token",
    "Energy of the GPUs by token written; absent unless each of them tells its power.",
    _ENDPOINT,
)

CYCLE_SECONDS: Final = Metric(
    "gpupool_cycle_duration_seconds",
    "How long the steps of a cycle take.",
    ("step",),
    Kind.HISTOGRAM,
    (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
CYCLES: Final = Metric("gpupool_cycles_total", "Cycles by result.", ("result",), Kind.COUNTER)
WRITES: Final = Metric(
    "gpupool_writes_total", "Writes to the API server.", ("kind", "verb", "result"), Kind.COUNTER
)
RECHECK_REFUSALS: Final = Metric(
    "gpupool_recheck_refusals_total",
    "Actions that no longer held, or whose ground was too old, when they were to be applied.",
    ("reason",),
    Kind.COUNTER,
)
PROMETHEUS_QUERIES: Final = Metric(
    "gpupool_prometheus_queries_total", "Questions to Prometheus.", (), Kind.COUNTER
)
PROMETHEUS_SAMPLES: Final = Metric(
    "gpupool_prometheus_samples_total", "Samples in Prometheus' answers.", (), Kind.COUNTER
)
PROMETHEUS_ERRORS: Final = Metric(
    "gpupool_prometheus_errors_total", "Questions without a whole answer.", ("reason",), Kind.COUNTER
)
PROMETHEUS_SECONDS: Final = Metric(
    "gpupool_prometheus_query_duration_seconds",
    "How long Prometheus takes to answer.",
    (),
    Kind.HISTOGRAM,
    (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
REFLECTOR_LISTS: Final = Metric(
    "gpupool_reflector_lists_total", "Lists completed, the first included.", ("kind",), Kind.COUNTER
)
REFLECTOR_EVENTS: Final = Metric(
    "gpupool_reflector_events_total", "Changes told by watches.", ("kind",), Kind.COUNTER
)
REFLECTOR_DRIFTS: Final = Metric(
    "gpupool_reflector_drifts_total",
    "Counts that differed from the API server's, each followed by a list.",
    ("kind",),
    Kind.COUNTER,
)
REFLECTOR_FAILURES: Final = Metric(
    "gpupool_reflector_failures_total", "Lists and watches that ended in an error.", ("kind",), Kind.COUNTER
)
REFLECTOR_AGE: Final = Metric(
    "gpupool_reflector_age_seconds", "Seconds since the API server was last heard.", ("kind",)
)

CATALOG: Final = tuple(
    sorted((v for v in list(globals().values()) if isinstance(v, Metric)), key=lambda m: m.name)
)
"""All of them, by name."""

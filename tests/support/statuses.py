"""Statuses with every field filled, so that a test sees each of them travel."""

from datetime import datetime, timedelta

from gpupool.api.v1alpha1 import (
    CapacityRequestStatus,
    Condition,
    ConditionStatus,
    EffectivePolicy,
    GpuPoolStatus,
    InferenceSLOStatus,
    Mode,
    Purpose,
    Visibility,
)

GPU = "nvidia.com/gpu"


def condition(type_: str, now: datetime) -> Condition:
    """Return a condition that is True."""
    return Condition(
        type=type_,
        status=ConditionStatus.TRUE,
        observed_generation=3,
        last_transition_time=now,
        reason="AsPlanned",
        message="All is as planned.",
    )


def effective_policy() -> EffectivePolicy:
    """Return a policy with every value resolved."""
    return EffectivePolicy.model_validate(
        {
            "mode": Mode.ENFORCE,
            "purpose": Purpose.BATCH,
            "quota": {"mode": Mode.ENFORCE},
            "isolation": {"mode": Mode.RECOMMEND, "taint": True},
            "reclaim": {
                "mode": Mode.OBSERVE,
                "window": "1h",
                "lookback": "1d",
                "threshold": 100,
                "headroom": 10,
                "coverage": 90,
                "grace": "1d",
                "releaseAfter": "14d",
                "startupGrace": "30m",
            },
            "recall": {"within": "15m", "notice": "5m"},
            "admission": {"slo": "Warn"},
            "visibility": Visibility.TEAMS,
            "telemetry": {"jobs": ["dcgm-exporter"]},
        }
    )


def full_pool_status(now: datetime) -> GpuPoolStatus:
    """Return a GpuPool's status with every field filled."""
    counts = {
        name: {GPU: number} for name, number in (("granted", 40), ("lent", 8), ("held", 20), ("busy", 12))
    }
    row = {"team": "vision", "declared": True, "namespaces": ["vision-lab"], "guaranteed": {GPU: 32}}
    entry = {"namespace": "nlp", "name": "bert", "team": "nlp", "resource": GPU, "gpus": 32, "position": 1}
    return GpuPoolStatus.model_validate(
        {
            "observedGeneration": 3,
            "effectivePolicy": effective_policy(),
            "capacity": {"total": {GPU: 64}, "usable": {GPU: 56}},
            **counts,
            "unattributed": {GPU: 2},
            "overcommitted": {GPU: 1},
            "summary": {"usable": 56, "granted": 40, "lent": 8, "held": 20, "busy": 12, "queued": 32},
            "shares": [{**row, "limit": {GPU: 64}, **counts}],
            "queue": [{**entry, "reason": "InsufficientCapacity", "since": now}],
            "counts": {"requests": 6, "pending": 1, "queued": 1, "granted": 2, "partial": 1, "refused": 1},
            "conditions": [condition("Ready", now), condition("Enforced", now)],
        }
    )


def full_request_status(now: datetime) -> CapacityRequestStatus:
    """Return a CapacityRequest's status with every field filled."""
    blocker = {"team": "nlp", "namespace": "nlp", "request": "bert", "gpus": 16, "reason": "HoldsGuarantee"}
    deadline = now + timedelta(hours=1)
    return CapacityRequestStatus.model_validate(
        {
            "observedGeneration": 3,
            "phase": "Granted",
            "pool": "lab",
            "resource": GPU,
            "granted": 32,
            "allowance": 24,
            "used": 22,
            "held": 20,
            "busy": 12,
            "demand": 30,
            "position": 3,
            "efficiency": 37,
            "activity": 55,
            "coverage": 98,
            "dataState": "OK",
            "decision": {
                "reason": "InsufficientCapacity",
                "message": "64 usable, 40 committed: 24 are free.",
                "arithmetic": "64 usable - 40 committed = 24 free, asked 32",
                "grantableNow": 24,
                "blockers": [blocker],
            },
            "reclaim": {
                "stage": "Warned",
                "since": now,
                "deadline": deadline,
                "forcedAt": deadline,
                "quietSince": now,
                "keep": 22,
                "message": "Soon.",
            },
            "askedGpus": 64,
            "queuedAt": now,
            "grantedAt": now,
            "lastProvedAt": now,
            "conditions": [condition("Granted", now), condition("UnderUsed", now)],
        }
    )


LEARNED = ("requestsPerSecond", "tokensPerSecond", "batch", "kvCache", "memoryMebibytes", "cacheHits")


def full_slo_status(now: datetime) -> InferenceSLOStatus:
    """Return an InferenceSLO status with every field filled."""
    kept = {"at": now, "good": 98.5, "total": 100, "seconds": 3600}
    learned = {"value": 2.5, "samples": 40, "last": now}
    start = {"p50": timedelta(seconds=40), "p90": timedelta(seconds=90), "seconds": [40, 90], "until": now}
    return InferenceSLOStatus.model_validate(
        {
            "observedGeneration": 3,
            "engine": "vLLM",
            "replicas": 3,
            "readyReplicas": 2,
            "attainment": 98.5,
            "budgetRemaining": -50.25,
            "dataState": "OK",
            "objectives": [
                {
                    "sli": "ttft",
                    "threshold": timedelta(milliseconds=500),
                    "percent": 99,
                    "dataState": "OK",
                    "message": "All is as planned.",
                    "attainment": 98.5,
                    "budgetRemaining": -50.25,
                    "coverage": 12.5,
                    "events": 200,
                    "burnRates": [
                        {
                            "long": timedelta(hours=1),
                            "short": timedelta(minutes=5),
                            "factor": 14.4,
                            "longRate": 20.5,
                            "shortRate": 18,
                            "burning": True,
                        }
                    ],
                    "metric": "vllm:time_to_first_token_seconds",
                    "bucket": "0.5",
                    "sums": {"until": now, "hours": [kept], "days": [kept]},
                }
            ],
            "diagnosis": {
                "cause": "KVCacheBound",
                "confidence": "High",
                "replicasHelp": "Partly",
                "evidence": [{"signal": "KV cache in use", "value": 0.97, "bound": "0.95"}],
                "remedy": "Raise gpu-memory-utilization.",
                "blind": ["node metrics"],
            },
            "profile": [
                {
                    "gpu": "NVIDIA H100",
                    "recipe": "0123456789abcdef",
                    "since": now,
                    "shape": {"prompt": 900, "output": 200, "recentPrompt": 950, "recentOutput": 210},
                    **dict.fromkeys(LEARNED, learned),
                    "coldStart": start,
                    "firstToken": start,
                }
            ],
            "advice": [{"kind": "Quantization", "because": "97 % of the KV cache.", "expect": "Half."}],
            "decision": {
                "floor": 2,
                "ceiling": 8,
                "needed": 3,
                "pace": "Protect",
                "reason": "Floor",
                "message": "2 replicas at least, 8 at most.",
                "rejected": [{"alternative": "9 replicas", "reason": "Grant", "message": "8 GPUs granted."}],
            },
            "economics": {
                "since": now,
                "resource": GPU,
                "gpuHours": 12.5,
                "tokensPerGpuHour": 360000,
                "tokensPerGpuHourAtSlo": 350000.5,
                "cost": 31.25,
                "costPerMillionTokens": 6.9,
                "currency": "USD",
                "joulesPerToken": 1.2,
                "counted": [
                    {
                        "at": now,
                        "gpuSeconds": 45000,
                        "toldSeconds": 45000,
                        "tokens": 4.5e6,
                        "tokensAtSlo": 4.4e6,
                        "joules": 5.4e6,
                        "meteredTokens": 4.5e6,
                    }
                ],
            },
            "conditions": [
                condition("Steering", now),
                condition("DataAvailable", now),
                condition("Met", now).model_copy(update={"status": ConditionStatus.FALSE}),
            ],
        }
    )

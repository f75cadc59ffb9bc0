"""From decisions to the `status` of our kinds, as server-side apply takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gpupool.api.v1alpha1 import format_duration, write_time
from gpupool.api.v1alpha1.base import MAX_GPUS
from gpupool.api.v1alpha1.conditions import set_condition, shorten
from gpupool.model.enforcement import Replay
from gpupool.model.plan import (
    Blocker,
    Condition,
    ForeignRow,
    PoolStatus,
    QueueRow,
    RequestStatus,
    ShareRow,
    Verdict,
)
from gpupool.model.pool import Pool
from gpupool.model.reasons import Stage

Json = dict[str, Any]
MAX_NAMESPACES = 50
MAX_ROWS = 300
MAX_QUEUE = 20
MAX_NAMED = 10
MAX_TEAM = 63
MAX_FOREIGN = 100
MAX_OWNER = 320


def request_status(status: RequestStatus, before: Mapping[str, Any], now: datetime) -> Json:
    """The status of a CapacityRequest.

    Args:
        status: what was decided.
        before: the status as it was last written; its conditions keep their times.
        now: the server's time.
    """
    body: Json = {
        "observedGeneration": status.generation,
        "phase": status.phase.value,
        "pool": status.pool or None,
        "resource": status.resource or None,
        "granted": _gpus(status.granted),
        "allowance": _gpus(status.allowance),
        "used": _gpus(status.used),
        "held": _gpus(status.held),
        "busy": None if status.busy is None else _gpus(status.busy),
        "demand": _gpus(status.demand),
        "position": status.position or None,
        "efficiency": _percent(status.efficiency),
        "activity": _percent(status.activity),
        "coverage": _percent(status.coverage),
        "dataState": status.data_state.value if status.data_state else None,
        "decision": _decision(status.verdict),
        "reclaim": _reclaim(status),
        "askedGpus": status.asked,
        "releasedGpus": status.released,
        "queuedAt": _time(status.queued_at),
        "grantedAt": _time(status.granted_at),
        "lastProvedAt": _time(status.proved_at),
        "conditions": conditions_of(status.conditions, before, status.generation, now),
    }
    return present(body)


def present(body: Json) -> Json:
    """The body without what is absent or empty: an applied map that becomes empty would be stored as null."""
    return {k: v for k, v in body.items() if v is not None and v not in ({}, [])}


def _decision(verdict: Verdict) -> Json:
    body: Json = {
        "reason": verdict.reason.value,
        "message": shorten(verdict.message),
        "arithmetic": shorten(verdict.arithmetic) or None,
        "grantableNow": _gpus(verdict.grantable_now),
        "blockers": [_blocker(b) for b in verdict.blockers[:MAX_NAMED]],
    }
    return present(body)


def _blocker(blocker: Blocker) -> Json:
    body = {
        "gpus": _gpus(blocker.gpus),
        "team": blocker.team,
        "namespace": blocker.namespace,
        "request": blocker.request,
        "reason": blocker.why or "HoldsGpus",
    }
    return present(body)


def _reclaim(status: RequestStatus) -> Json:
    timer = status.timer
    body: Json = {
        "stage": (timer.stage if timer else Stage.NONE).value,
        "quietSince": _time(status.quiet_since),
    }
    if timer is not None:
        body |= {
            "since": _time(timer.since),
            "deadline": _time(timer.deadline),
            "forcedAt": _time(timer.forced_at),
            "keep": timer.target,
            "message": shorten(status.stage_message) or None,
        }
    return present(body)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else write_time(moment)


def conditions_of(
    wanted: Sequence[Condition], before: Mapping[str, Any], generation: int, now: datetime
) -> list[Json]:
    """Our conditions, each with the time of its last change; those not wanted any more are gone."""
    types = {c.type for c in wanted}
    found = [c for c in before.get("conditions", ()) if c.get("type") in types]
    for condition in wanted:
        found = set_condition(
            found,
            type_=condition.type,
            status=condition.status == "True" if condition.status != "Unknown" else condition.status,
            reason=condition.reason,
            message=condition.message,
            generation=generation,
            now=now,
        )
    return [dict(c) for c in found]


def pool_status(pool: Pool, status: PoolStatus, before: Mapping[str, Any], now: datetime) -> Json:
    """The status of a GpuPool; arguments as in `request_status`."""
    first = pool.resources[0]
    body: Json = {
        "observedGeneration": status.generation,
        "effectivePolicy": effective_policy(pool),
        "capacity": _capacity(status),
        "granted": _counts(status.granted),
        "lent": _counts(status.lent),
        "held": _counts(status.held),
        "busy": _counts(status.busy),
        "unattributed": _counts(status.unattributed),
        "overcommitted": _counts(status.overcommitted),
        "summary": {
            "usable": _gpus(status.usable.get(first, 0)),
            "granted": _gpus(status.granted.get(first, 0)),
            "lent": _gpus(status.lent.get(first, 0)),
            "held": _gpus(status.held.get(first, 0)),
            **({"busy": _gpus(status.busy[first])} if first in status.busy else {}),
            "queued": _gpus(status.waiting.get(first, 0)),
        },
        "shares": _shares(status.shares)[:MAX_ROWS],
        "queue": [_queued(q) for q in status.queue[:MAX_QUEUE]],
        "counts": dict(status.counts),
        "wouldBeDenied": [_would_be_denied(r) for r in status.would_be_denied],
        "foreign": [_foreign(f) for f in status.foreign[:MAX_FOREIGN]],
        "conditions": conditions_of(status.conditions, before, status.generation, now),
    }
    return present(body)


def _capacity(status: PoolStatus) -> Json:
    return present(
        {
            "total": _counts(status.total),
            "usable": _counts(status.usable),
            "observed": _counts(status.observed),
            "provisioning": _counts(status.provisioning),
            "surgeLent": _counts({r: n for r, n in status.surge.items() if n}),
        }
    )


def _foreign(row: ForeignRow) -> Json:
    return present(
        {"kind": row.kind, "namespace": row.namespace, "name": row.name, "hard": _counts(row.hard)}
    )


def _would_be_denied(replay: Replay) -> Json:
    return {
        "namespace": replay.namespace,
        "owner": replay.owner[:MAX_OWNER],
        "message": shorten(replay.refusal or ""),
    }


def _counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Numbers as the schema takes them."""
    return {r: _gpus(n) for r, n in sorted(counts.items())}


def _gpus(count: int) -> int:
    """Never negative, and never so many that a whole status is refused for one number."""
    return min(MAX_GPUS, max(0, count))


def _percent(value: int | None) -> int | None:
    return None if value is None else min(100, max(0, value))


def _shares(rows: Sequence[ShareRow]) -> list[Json]:
    """One row per name: a namespace without a share that is called like a team is told apart from it."""
    teams = {row.team for row in rows if row.declared}
    return [
        _share(row, row.team if row.declared or row.team not in teams else f"namespace {row.team}"[:MAX_TEAM])
        for row in rows
    ]


def _share(row: ShareRow, team: str) -> Json:
    body: Json = {
        "team": team,
        "declared": row.declared,
        "namespaces": list(row.namespaces[:MAX_NAMESPACES]),
        "guaranteed": _counts(row.guaranteed),
        "limit": _counts(row.limit),
        "granted": _counts(row.granted),
        "lent": _counts(row.lent),
        "held": _counts(row.held),
        "busy": _counts(row.busy),
    }
    return present(body)


def _queued(row: QueueRow) -> Json:
    return {
        "namespace": row.key.namespace,
        "name": row.key.name,
        "team": row.team,
        "resource": row.resource,
        "gpus": _gpus(row.gpus),
        "position": row.position,
        "reason": row.reason.value,
        "since": write_time(row.since),
    }


def effective_policy(pool: Pool) -> Json:
    """Every value that holds, whether it was written or comes from the purpose."""
    reclaim, recall = pool.reclaim, pool.recall
    return {
        "mode": pool.mode.value,
        "purpose": pool.purpose.value,
        "quota": {"mode": pool.quota_mode.value},
        "isolation": _isolation(pool),
        "reclaim": {
            "mode": reclaim.mode.value,
            "window": format_duration(reclaim.window),
            "lookback": format_duration(reclaim.lookback),
            "threshold": reclaim.threshold,
            "headroom": reclaim.headroom,
            "coverage": reclaim.coverage,
            "grace": format_duration(reclaim.grace),
            "releaseAfter": format_duration(reclaim.release_after),
            "startupGrace": format_duration(reclaim.startup_grace),
        },
        "recall": {"within": format_duration(recall.within), "notice": format_duration(recall.notice)},
        "admission": {"slo": pool.slo_gate.value},
        "visibility": pool.visibility.value,
        "telemetry": {"jobs": list(pool.jobs)},
    }


def _isolation(pool: Pool) -> Json:
    lists = {"priorityClassNames": pool.priority_classes, "schedulerNames": pool.schedulers}
    return {
        "mode": pool.isolation_mode.value,
        "taint": pool.taint,
        "cpuPods": "Allow" if pool.cpu_pods else "Deny",
        **{name: list(names) for name, names in lists.items() if names},
    }

"""InferenceSLO and the words of the domain: reading what is promised, writing what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from gpupool.api import economics, effects, findings, resources, rollouts
from gpupool.api import v1alpha1 as api
from gpupool.api.standing import standing
from gpupool.api.statuses import conditions_of, present
from gpupool.api.v1alpha1 import format_duration, write_time
from gpupool.api.v1alpha1.conditions import shorten
from gpupool.api.v1alpha1.inferenceslo import Scaling as ScalingSpec
from gpupool.api.v1alpha1.inferenceslo_metrics import MetricMap, Unit
from gpupool.model.metrics import Metrics
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.resources import VpaMode
from gpupool.model.rollout import GuardMode
from gpupool.model.slo import DAY, HOUR, Objective, Sli, Slice, Slo, Sums
from gpupool.model.steering import DataPolicy, Decision, HpaMode, Scaling
from gpupool.planner.endpoints import ObjectiveFound, SloStatus
from gpupool.policy.slo.budget import Burn

Json = dict[str, Any]
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PERCENT_DIGITS: Final = 3
MILLISECONDS: Final = 1e-3
FIELDS: Final = {"kv": "kvCache", "prompt_tokens": "promptTokens", "output_tokens": "outputTokens"}
"""Fields of spec.metrics that are written otherwise than the domain has them."""
COUNT_DIGITS: Final = 2


def read(raw: Mapping[str, Any]) -> Slo:
    """Read an InferenceSLO.

    Raises:
        pydantic.ValidationError: it does not keep the rules of this version.
    """
    found = api.InferenceSLO.model_validate({k: v for k, v in raw.items() if k != "status"})
    spec, meta, kept = found.spec, found.metadata, raw.get("status") or {}
    objectives = tuple(_objective(o) for o in spec.objectives)
    return Slo(
        key=Key(meta.namespace or "", meta.name),
        uid=meta.uid,
        generation=meta.generation,
        created=meta.creation_timestamp or EPOCH,
        target=ObjectRef(spec.target_ref.api_version, spec.target_ref.kind, spec.target_ref.name),
        objectives=objectives,
        window=spec.window,
        min_events=spec.min_events,
        engine=spec.engine or "",
        sums=_kept(objectives, kept),
        profiles=findings.profiles(kept),
        ledger=economics.ledger(kept),
        scaling=_scaling(spec.scaling),
        use=resources.use(kept),
        request="" if spec.capacity_request_ref is None else spec.capacity_request_ref.name,
        metrics=None if spec.metrics is None else _metrics(spec.metrics),
        data_policy=DataPolicy(spec.data_policy),
        guard=GuardMode(spec.rollout.guard),
        rollout=rollouts.read(kept),
        effects=effects.read(kept),
        standing=standing(found, kept),
    )


def _metrics(spec: MetricMap) -> Metrics:
    return Metrics(
        running=spec.running,
        waiting=spec.waiting or "",
        kv=spec.kv_cache or "",
        ttft=spec.ttft or "",
        itl=spec.itl or "",
        tpot=spec.tpot or "",
        e2e=spec.e2e or "",
        queue=spec.queue or "",
        succeeded=spec.succeeded or "",
        failed=spec.failed or "",
        prompt_tokens=spec.prompt_tokens or "",
        output_tokens=spec.output_tokens or "",
        unit=MILLISECONDS if spec.unit is Unit.MILLISECONDS else 1.0,
    )


def _scaling(spec: ScalingSpec) -> Scaling:
    return Scaling(
        low=spec.min_replicas,
        high=spec.max_replicas,
        hpa=HpaMode(spec.hpa),
        wake="" if spec.wake_up is None else spec.wake_up.series,
        vpa=VpaMode(spec.vpa),
    )


def _objective(spec: api.Objective) -> Objective:
    return Objective(
        sli=Sli(spec.sli),
        percent=spec.percent,
        threshold=None if spec.threshold is None else spec.threshold.total_seconds(),
        tokens_per_second=spec.tokens_per_second,
    )


def _kept(objectives: Iterable[Objective], raw: Mapping[str, Any]) -> tuple[Sums, ...]:
    """The sums of each objective, where its own are in the status; a new threshold begins anew."""
    try:
        status = api.InferenceSLOStatus.model_validate({"objectives": raw.get("objectives", ())})
    except ValidationError:
        return ()
    told = {
        (Sli(o.sli), None if o.threshold is None else o.threshold.total_seconds()): o.sums
        for o in status.objectives
    }
    return tuple(_sums(told.get((o.sli, o.threshold))) for o in objectives)


def _sums(kept: api.Sums | None) -> Sums:
    if kept is None:
        return Sums()
    until, hours = kept.until.timestamp(), tuple(_slice(k, HOUR) for k in kept.hours)
    return Sums(
        until=until,
        fine=tuple(_part(hour, until) for hour in hours if until - HOUR < hour.end and hour.covered),
        hours=hours,
        days=tuple(_slice(k, DAY) for k in kept.days),
    )


def _part(hour: Slice, until: float) -> Slice:
    """An hour that a restart left: its events lie in the time that was measured, the last of it."""
    end = min(hour.end, until)
    seconds = min(hour.covered, end - hour.start)
    return replace(hour, start=end - seconds, seconds=seconds)


def _slice(kept: api.Kept, seconds: float) -> Slice:
    return Slice(kept.at.timestamp(), seconds, kept.good, kept.total, kept.seconds)


# ------------------------------------------------------------------ and back


def status(found: SloStatus, before: Mapping[str, Any], now: datetime) -> Json:
    """The status of an InferenceSLO.

    Args:
        found: what was found.
        before: the status as it was last written; its conditions keep their times.
        now: the server's time.
    """
    budgets = [o.budget for o in found.objectives]
    return present(
        {
            "observedGeneration": found.generation,
            "engine": found.engine or None,
            "metrics": [
                {"of": FIELDS.get(r.of, r.of), "name": r.name, "seen": r.seen} for r in found.resolved
            ],
            "replicas": found.pods,
            "readyReplicas": found.ready,
            "attainment": _percent(
                min((b.attainment for b in budgets if b.attainment is not None), default=None)
            ),
            "budgetRemaining": _percent(
                min((b.remaining for b in budgets if b.remaining is not None), default=None)
            ),
            "dataState": found.state.value,
            "objectives": [_found(o) for o in found.objectives],
            **findings.written(found.findings),
            "effects": effects.written(found.findings.effects),
            "economics": economics.written(found.economics, found.ledger),
            "decision": None if found.decision is None else _decision(found.decision),
            "rollout": rollouts.written(found.guarded),
            "resources": None if found.resources is None else resources.written(found.resources),
            "conditions": conditions_of(found.conditions, before, found.generation, now),
        }
    )


def _decision(decision: Decision) -> Json:
    return present(
        {
            "floor": decision.floor,
            "ceiling": decision.ceiling,
            "needed": decision.needed,
            "floorReason": decision.floor_reason or None,
            "pace": decision.pace.value,
            "reason": decision.reason,
            "message": shorten(decision.message),
            "rejected": [
                {"alternative": r.alternative, "reason": r.reason, "message": shorten(r.message)}
                for r in decision.rejected
            ],
        }
    )


def _found(found: ObjectiveFound) -> Json:
    objective, reading, budget = found.objective, found.reading, found.budget
    return present(
        {
            "sli": objective.sli.value,
            "threshold": None if objective.threshold is None else _duration(objective.threshold),
            "percent": _number(objective.percent),
            "dataState": reading.state.value,
            "message": shorten(reading.message) or None,
            "attainment": _percent(budget.attainment),
            "budgetRemaining": _percent(budget.remaining),
            "coverage": _percent(budget.coverage),
            "events": _number(budget.events),
            "burnRates": [_burn(b) for b in budget.burns],
            "metric": reading.metric or None,
            "bucket": reading.bucket or None,
            "sums": _written(found.sums),
        }
    )


def _burn(burn: Burn) -> Json:
    return present(
        {
            "long": _duration(burn.alarm.long),
            "short": _duration(burn.alarm.short),
            "factor": _number(burn.alarm.factor, PERCENT_DIGITS),
            "longRate": _rounded(burn.long_rate),
            "shortRate": _rounded(burn.short_rate),
            "burning": burn.burning,
        }
    )


def _written(sums: Sums) -> Json | None:
    if not sums.until:
        return None
    return present(
        {
            "until": write_time(datetime.fromtimestamp(sums.until, UTC)),
            "hours": _slices(sums.hours),
            "days": _slices(sums.days),
        }
    )


def _slices(parts: Sequence[Slice]) -> list[Json]:
    return [
        {
            "at": write_time(datetime.fromtimestamp(part.start, UTC)),
            "good": _number(part.good),
            "total": _number(part.total),
            "seconds": _number(part.covered),
        }
        for part in parts
    ]


def _percent(value: float | None) -> float | None:
    return None if value is None else _number(value, PERCENT_DIGITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else _number(value)


def _number(value: float, digits: int = COUNT_DIGITS) -> float:
    """A number as the API server gives it back: a whole one has no decimal point."""
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded


def _duration(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))

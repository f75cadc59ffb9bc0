"""From the API's kinds to the words of the domain, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from gpupool.api import v1alpha1 as api
from gpupool.api.purposes import DEFAULTS
from gpupool.api.v1alpha1.gpupool_parts import ShareSpec
from gpupool.model import pool as model
from gpupool.model import selector as selectors
from gpupool.model.objects import Key, ObjectRef, Priority, Remembered, Request, Timer
from gpupool.model.reasons import Phase, Stage

ENFORCE_NOW = "gpupool.dev/enforce-now"
"""Annotation of a pool that opens the gate of readiness."""
_LONG_WINDOW = timedelta(minutes=10)
_SLACK = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pool(raw: Mapping[str, Any]) -> model.Pool:
    """Read a GpuPool.

    Args:
        raw: the object as the API server gives it.

    Raises:
        pydantic.ValidationError: it does not keep the rules of this version.
    """
    # Decisions read nothing of a pool's status, so a status of another version hides no pool.
    found = api.GpuPool.model_validate({k: v for k, v in raw.items() if k != "status"})
    spec = found.spec
    mode = model.Mode(spec.mode)
    reclaim, recall = _reclaim(spec), _recall(spec)
    first = spec.resources[0]
    going = found.metadata.deletion_timestamp is not None
    layers = {"quota": spec.quota.mode, "isolation": spec.isolation.mode, "reclaim": spec.reclaim.mode}
    read = model.Pool(
        name=found.metadata.name,
        uid=found.metadata.uid,
        generation=found.metadata.generation,
        created=found.metadata.creation_timestamp or _EPOCH,
        mode=mode,
        quota_mode=model.Mode(spec.quota.mode or mode),
        isolation_mode=model.Mode(spec.isolation.mode or mode),
        overridden=frozenset(layer for layer, own in layers.items() if own is not None),
        purpose=model.Purpose(spec.purpose),
        taint=spec.isolation.taint,
        cpu_pods=spec.isolation.cpu_pods == "Allow",
        priority_classes=spec.isolation.priority_class_names or (),
        schedulers=spec.isolation.scheduler_names,
        node_selector=selector(spec.nodes.selector),
        node_names=spec.nodes.names or (),
        declared=dict(spec.nodes.capacity.declared) if spec.nodes.capacity else {},
        resources=spec.resources,
        shares=tuple(_share(s, first) for s in spec.shares),
        reserve={first: spec.reserve},
        reclaim=reclaim,
        recall=recall,
        visibility=model.Visibility(spec.visibility),
        jobs=spec.telemetry.jobs,
        slo_gate=model.SloGate(spec.admission.slo),
        prices={r: float(p) for r, p in spec.cost.per_gpu_hour.items()} if spec.cost else {},
        currency=spec.cost.currency if spec.cost else "",
        enforce_now=found.metadata.annotations.get(ENFORCE_NOW) == "true",
    )
    return _released(read) if going else read


def _released(pool: model.Pool) -> model.Pool:
    """A pool on its way out, which somebody's finalizer may keep: as if its mode were Observe throughout."""
    observe = model.Mode.OBSERVE
    return replace(
        pool,
        mode=observe,
        quota_mode=observe,
        isolation_mode=observe,
        reclaim=replace(pool.reclaim, mode=observe),
        shares=tuple(replace(s, mode=None) for s in pool.shares),
    )


def _reclaim(spec: api.GpuPoolSpec) -> model.Reclaim:
    given, defaults = spec.reclaim, DEFAULTS[model.Purpose(spec.purpose)]

    def of(name: str) -> Any:
        value = getattr(given, name)
        return getattr(defaults, name) if value is None else value

    window = of("window")
    return model.Reclaim(
        mode=model.Mode(given.mode or spec.mode),
        window=window,
        # A longer window than the purpose's lookback takes the lookback with it.
        lookback=max(of("lookback"), window),
        threshold=of("threshold"),
        headroom=of("headroom"),
        coverage=of("coverage"),
        grace=of("grace"),
        release_after=of("release_after"),
        startup_grace=of("startup_grace"),
    )


def _recall(spec: api.GpuPoolSpec) -> model.Recall:
    defaults = DEFAULTS[model.Purpose(spec.purpose)]
    window = spec.reclaim.window or defaults.window
    slack = _SLACK if window >= _LONG_WINDOW else timedelta()
    within, notice = spec.recall.within, spec.recall.notice
    if notice is None:
        # A short `within` alone shortens the notice; the schema sees only what is written.
        notice = defaults.notice if within is None else max(timedelta(), min(defaults.notice, within - slack))
    return model.Recall(
        within=max(within or defaults.within, notice + (slack if within is None else timedelta())),
        notice=notice,
    )


def _share(spec: ShareSpec, first: str) -> model.Share:
    more = spec.per_resource
    guaranteed = {first: spec.guaranteed} | {r: s.guaranteed for r, s in more.items()}
    limit = {first: spec.limit} | {r: s.limit for r, s in more.items()}
    return model.Share(
        team=spec.team,
        namespaces=spec.namespaces or (),
        selector=selector(spec.namespace_selector),
        guaranteed=guaranteed,
        limit={r: n for r, n in limit.items() if n is not None},
        weight=spec.weight,
        mode=None if spec.mode is None else model.Mode(spec.mode),
    )


def selector(spec: api.LabelSelector | None) -> selectors.Selector | None:
    """A label selector, or None where there is none."""
    if spec is None:
        return None
    return selectors.Selector(
        labels=tuple(sorted(spec.match_labels.items())),
        expressions=tuple(
            selectors.Expression(e.key, selectors.Operator(e.operator), tuple(e.values))
            for e in spec.match_expressions
        ),
    )


def request(raw: Mapping[str, Any]) -> Request:
    """Read a CapacityRequest. An absent `resource` stays empty: the pool's first is filled in by the view.

    Raises:
        pydantic.ValidationError: it does not keep the rules of this version.
    """
    found = api.CapacityRequest.model_validate({k: v for k, v in raw.items() if k != "status"})
    spec, meta = found.spec, found.metadata
    ref = spec.workload.ref
    return Request(
        key=Key(meta.namespace or "", meta.name),
        uid=meta.uid,
        generation=meta.generation,
        created=meta.creation_timestamp or _EPOCH,
        gpus=spec.gpus,
        min_gpus=spec.gpus if spec.min_gpus is None else spec.min_gpus,
        team=spec.owner.team,
        contact=spec.owner.contact,
        expected_utilization=spec.expected_utilization,
        resource=spec.resource or "",
        ref=None if ref is None else ObjectRef(ref.api_version, ref.kind, ref.name),
        selector=selector(spec.workload.selector),
        pool=spec.pool,
        priority=Priority(spec.priority),
        preemptible=spec.preemptible,
        justification=spec.justification or "",
        remembered=remembered(raw.get("status") or {}),
    )


def again(raw: Mapping[str, Any], last: Request) -> Request | None:
    """Read a CapacityRequest whose spec was read before; None where that is another one.

    Of 10,000 requests nearly every event tells of a status that we wrote ourselves.

    Args:
        raw: the object as it stands.
        last: what was read of the same object (its uid).
    """
    if raw["metadata"].get("generation") != last.generation:
        return None
    return replace(last, remembered=remembered(raw.get("status") or {}))


_REMEMBERED = (
    *("phase", "granted", "allowance", "askedGpus", "releasedGpus", "reclaim"),
    *("queuedAt", "grantedAt", "lastProvedAt"),
)
"""Fields of a status that decisions build on; the others are many and tell people."""


def remembered(written: Mapping[str, Any]) -> Remembered:
    """What earlier cycles wrote; fields that cannot be read count as not written, and hide no request."""
    raw = {name: written[name] for name in _REMEMBERED if name in written}
    try:
        status = api.CapacityRequestStatus.model_validate(raw)
    except ValidationError as error:
        broken = {str(e["loc"][0]) for e in error.errors() if e["loc"]}
        status = api.CapacityRequestStatus.model_validate({k: v for k, v in raw.items() if k not in broken})
    return Remembered(
        granted=status.granted,
        allowance=status.allowance,
        asked=status.asked_gpus,
        queued_at=status.queued_at,
        granted_at=status.granted_at,
        proved_at=status.last_proved_at,
        quiet_since=None if status.reclaim is None else status.reclaim.quiet_since,
        timer=_timer(status.reclaim, status.granted),
        phase=None if status.phase is None else Phase(status.phase),
        released=status.released_gpus,
    )


def moment(text: str | None) -> datetime:
    """A time as the API server writes it; one that is absent lies far back."""
    return _EPOCH if not text else datetime.fromisoformat(text)


def _timer(reclaim: api.Reclaim | None, granted: int | None) -> Timer | None:
    if reclaim is None or reclaim.since is None or reclaim.stage is api.ReclaimStage.NONE:
        return None
    return Timer(
        stage=Stage(reclaim.stage),
        since=reclaim.since,
        deadline=reclaim.deadline,
        target=reclaim.keep,
        forced_at=reclaim.forced_at,
        # What is lent stays its owner's claim, which is the number beside it.
        granted=granted if reclaim.stage is api.ReclaimStage.LENT else None,
    )

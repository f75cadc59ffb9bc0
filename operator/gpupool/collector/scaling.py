"""Projections of what is scaled and of what scales it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gpupool.collector.controllers import Controller
from gpupool.collector.fields import controller_of, moment
from gpupool.collector.owning import others_writing
from gpupool.collector.quantities import pod_gpus
from gpupool.collector.rolling import rollable
from gpupool.kube.resources import Json
from gpupool.model.hpanote import ORIGINALS, limits_of, read_note
from gpupool.model.madehpa import made_for, tolerates_nothing, without_tolerance
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Scaler, Target

STEERED: Final = ("f:minReplicas", "f:maxReplicas", "f:behavior")
KEDA: Final = "keda.sh/"
DEFAULT: Final = "25%"
PATIENCE: Final = 600
"""Seconds."""


def deployment(raw: Json) -> Target | None:
    """A Deployment whose pods ask for GPUs."""
    spec, meta, status = raw["spec"], raw["metadata"], raw.get("status", {})
    template = spec.get("template", {})
    gpus = pod_gpus(template.get("spec", {}))
    if not gpus:
        return None
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    return Target(
        key=Key(meta["namespace"], meta["name"]),
        ref=ObjectRef("apps/v1", "Deployment", meta["name"]),
        replicas=spec.get("replicas", 1),
        existing=status.get("replicas", 0),
        gpus=gpus,
        labels=template.get("metadata", {}).get("labels") or {},
        surge=str(rolling.get("maxSurge", DEFAULT)),
        unavailable=str(rolling.get("maxUnavailable", DEFAULT)),
        recreate=strategy.get("type") == "Recreate",
        rolling=_rolling(meta, status),
        old=status.get("replicas", 0) - status.get("updatedReplicas", 0),
        stepped=_stepped(meta, status),
        patience=timedelta(seconds=spec.get("progressDeadlineSeconds", PATIENCE)),
        rollable=rollable(raw),
    )


def _rolling(meta: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether a Deployment has not finished what was asked of it, and has not given up."""
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        return True
    return _goes_on(_conditions(status).get("Progressing"))


def _conditions(status: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {c["type"]: c for c in status.get("conditions", ())}


def _goes_on(progress: Mapping[str, Any] | None) -> bool:
    """Whether a Deployment's controller sees a rollout that is neither done nor given up."""
    done = "NewReplicaSetAvailable"
    return progress is not None and progress["status"] == "True" and progress.get("reason") != done


def _stepped(meta: Mapping[str, Any], status: Mapping[str, Any]) -> datetime | None:
    """When a rollout came further last; None where none goes on, it has failed, or is held.

    To its controller one to a revision that was there before, as of `rollout undo`, is no progress while
    quota refuses its first pod: then the moment of that refusal counts.
    """
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        return None
    rows = _conditions(status)
    progress, refused = rows.get("Progressing"), rows.get("ReplicaFailure")
    if progress is not None and progress["status"] != "True":
        return None
    told = progress if _goes_on(progress) else refused
    return None if told is None or told["status"] != "True" else moment(told.get("lastUpdateTime"))


def of_controller(found: Controller) -> Target:
    """A StatefulSet: its rolling update ends a pod before it makes the next."""
    return Target(
        key=Key(found.namespace, found.ref.name),
        ref=found.ref,
        replicas=found.wanted,
        existing=found.existing,
        gpus=found.gpus,
        labels=found.labels,
        surge="0",
        unavailable="1",
    )


def targets(
    deployments: Iterable[Target], sets: Iterable[Controller]
) -> Mapping[tuple[str, ObjectRef], Target]:
    """What can be scaled, by namespace and reference."""
    return {(t.key.namespace, t.ref): t for t in (*deployments, *map(of_controller, sets))}


def autoscaler(raw: Json) -> Scaler:
    """A HorizontalPodAutoscaler."""
    meta, spec = raw["metadata"], raw["spec"]
    target = spec["scaleTargetRef"]
    owner = controller_of(meta)
    made = made_for(meta)
    return Scaler(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        version=meta["resourceVersion"],
        target=ObjectRef(target.get("apiVersion", ""), target["kind"], target["name"]),
        limits=without_tolerance(limits_of(spec)) if made else limits_of(spec),
        keda=owner.name if owner is not None and owner.api_version.startswith(KEDA) else "",
        originals=read_note((meta.get("annotations") or {}).get(ORIGINALS, "")),
        writers=others_writing(raw, lambda fields: any(name in fields for name in STEERED)),
        made=made,
        exact=bool(made) and tolerates_nothing(spec),
        on=frozenset(_on(spec)),
    )


def _on(spec: Mapping[str, Any]) -> Iterable[str]:
    for metric in spec.get("metrics") or ():
        source = metric.get("resource") or metric.get("containerResource") or {}
        if (source.get("target") or {}).get("type") == "Utilization":
            yield source["name"]

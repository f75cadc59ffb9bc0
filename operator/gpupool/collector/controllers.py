"""What creates pods, what it still wants, and when our quota refused it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gpupool.collector.fields import controller_of, moment
from gpupool.collector.quantities import pod_gpus
from gpupool.collector.templates import template as judged
from gpupool.kube.resources import Json
from gpupool.model.annotations import QUOTA_NAME
from gpupool.model.objects import ObjectRef

REVISION = "deployment.kubernetes.io/revision"
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Controller:
    """Something that creates pods, or owns what does.

    `wanted` and `existing` are pods; `gpus` of one pod; `refused` says that our quota is named as the reason
    for a missing pod; `suspended` that its owner waits for capacity. `template` is what admission judges of
    its pods, empty where it makes no more of them; `revision` orders the ReplicaSets of one Deployment;
    `update` names the newest revision of a StatefulSet.
    """

    namespace: str
    ref: ObjectRef
    uid: str
    owner: ObjectRef | None
    labels: Mapping[str, str]
    gpus: Mapping[str, int]
    wanted: int = 0
    existing: int = 0
    refused: bool = False
    suspended: bool = False
    template: str = ""
    revision: int = 0
    update: str = ""


def replicaset(raw: Json) -> Controller | None:
    """A ReplicaSet that asks for GPUs."""
    status = raw.get("status", {})
    refused = any(
        c["type"] == "ReplicaFailure" and c["status"] == "True" and names_our_quota(c.get("message", ""))
        for c in status.get("conditions", ())
    )
    return _controller(
        raw,
        "apps/v1",
        "ReplicaSet",
        raw["spec"].get("replicas", 1),
        status.get("replicas", 0),
        refused=refused,
    )


def statefulset(raw: Json) -> Controller | None:
    """A StatefulSet that asks for GPUs."""
    status = raw.get("status", {})
    wanted, existing = raw["spec"].get("replicas", 1), status.get("replicas", 0)
    found = _controller(raw, "apps/v1", "StatefulSet", wanted, existing)
    return None if found is None else replace(found, update=status.get("updateRevision", ""))


def job(raw: Json) -> Controller | None:
    """A Job that asks for GPUs; one that has ended wants nothing."""
    spec, status = raw["spec"], raw.get("status", {})
    ended = any(
        c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in status.get("conditions", ())
    )
    parallelism = spec.get("parallelism", 1)
    left = spec.get("completions", parallelism) - status.get("succeeded", 0)
    wanted = 0 if ended else max(0, min(parallelism, left))
    return _controller(
        raw,
        "batch/v1",
        "Job",
        wanted,
        status.get("active", 0),
        suspended=bool(spec.get("suspend")) and not ended,
        ended=wanted == 0,
    )


def cronjob(raw: Json) -> Controller | None:
    """A CronJob whose Jobs ask for GPUs: by itself it wants nothing."""
    spec = raw["spec"]
    inner = {"metadata": raw["metadata"], "spec": {"template": spec["jobTemplate"]["spec"]["template"]}}
    return _controller(inner, "batch/v1", "CronJob", 0, 0, ended=bool(spec.get("suspend")))


def _controller(
    raw: Json,
    api_version: str,
    kind: str,
    wanted: int,
    existing: int,
    *,
    refused: bool = False,
    suspended: bool = False,
    ended: bool = False,
) -> Controller | None:
    meta, template = raw["metadata"], raw["spec"].get("template", {})
    gpus = pod_gpus(template.get("spec", {}))
    if not gpus:
        return None
    return Controller(
        namespace=meta["namespace"],
        ref=ObjectRef(api_version, kind, meta["name"]),
        uid=meta["uid"],
        owner=controller_of(meta),
        labels=template.get("metadata", {}).get("labels", {}),
        gpus=gpus,
        wanted=wanted,
        existing=existing,
        refused=refused,
        suspended=suspended,
        template="" if ended or "deletionTimestamp" in meta else judged(template),
        revision=_revision(meta.get("annotations", {}).get(REVISION, "")),
    )


def _revision(text: str) -> int:
    """Which revision of its Deployment a ReplicaSet is; 0 where somebody wrote something else there."""
    return int(text) if _NUMBER.fullmatch(text) else 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An Event that says our quota refused a pod of a controller."""

    uid: str
    at: datetime


def refusal(raw: Json) -> Refusal | None:
    """A FailedCreate Event that names our quota; others are of no interest."""
    at = moment(raw.get("lastTimestamp") or raw.get("eventTime") or raw["metadata"].get("creationTimestamp"))
    series = moment(raw.get("series", {}).get("lastObservedTime")) if raw.get("series") else None
    if at is None or not names_our_quota(raw.get("message", "")):
        return None
    return Refusal(uid=raw.get("involvedObject", {}).get("uid", ""), at=max(at, series or at))


def names_our_quota(message: str) -> bool:
    """Whether a refusal is our quota's. The API server has no machine-readable cause for it, only this."""
    return f"exceeded quota: {QUOTA_NAME}," in message


def names(values: Iterable[Controller]) -> dict[tuple[str, str, str], Controller]:
    """Controllers by namespace, kind and name."""
    return {(c.namespace, c.ref.kind, c.ref.name): c for c in values}

"""From raw objects to the few facts decisions need; everything else is forgotten at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpupool.kube.resources import Json
from gpupool.model.annotations import EPOCH, IMPLICIT, QUOTA_NAME, REQUESTS, TIMERS, read_json, read_timers
from gpupool.model.selector import Selector
from gpupool.model.snapshot import Key, ObjectRef, Pod, Timer
from gpupool.model.world import DaemonSetFacts, NodeFacts, Toleration
from gpupool.policy.membership import NAMESPACE_LABEL


def moment(text: str | None) -> datetime | None:
    """A time as the API server writes it."""
    return None if not text else datetime.fromisoformat(text)


def extended(quantities: Mapping[str, Any]) -> dict[str, int]:
    """The extended resources among some quantities: names with a domain that is not Kubernetes' own."""
    return {
        name: count
        for name, value in quantities.items()
        if "/" in name and "kubernetes.io/" not in name and (count := _count(value)) > 0
    }


def _count(value: Any) -> int:
    """Extended resources are whole numbers; a decimal suffix is allowed by the API and used by nobody."""
    text = str(value)
    return int(text) if text.isdigit() else 0


# ------------------------------------------------------------------ nodes, namespaces, daemonsets


def node(raw: Json) -> NodeFacts:
    """A node."""
    status, spec = raw.get("status", {}), raw.get("spec", {})
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
    return NodeFacts(
        name=raw["metadata"]["name"],
        labels=raw["metadata"].get("labels", {}),
        gpus=extended(status.get("allocatable", {})),
        ready=ready,
        schedulable=not spec.get("unschedulable", False),
        taints=tuple(f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in spec.get("taints", ())),
    )


@dataclass(frozen=True, slots=True)
class NamespaceLabels:
    """A namespace's name and labels."""

    name: str
    labels: Mapping[str, str]


def namespace(raw: Json) -> NamespaceLabels | None:
    """A namespace that is not on its way out."""
    meta = raw["metadata"]
    return None if meta.get("deletionTimestamp") else NamespaceLabels(meta["name"], meta.get("labels", {}))


def daemonset(raw: Json) -> DaemonSetFacts:
    """A DaemonSet."""
    meta, template = raw["metadata"], raw["spec"]["template"]["spec"]
    chosen = template.get("nodeSelector")
    return DaemonSetFacts(
        namespace=meta["namespace"],
        name=meta["name"],
        node_selector=Selector(tuple(sorted(chosen.items()))) if chosen else None,
        tolerations=tuple(
            Toleration(t.get("key", ""), t.get("operator", "Equal"), t.get("value", ""), t.get("effect", ""))
            for t in template.get("tolerations", ())
        ),
    )


# ------------------------------------------------------------------ pods


def pod_gpus(spec: Mapping[str, Any]) -> dict[str, int]:
    """Extended resources of a pod, as the scheduler and quota count them.

    Containers and sidecars run together; an init container runs with the sidecars before it.
    """
    running: dict[str, int] = {}
    for container in spec.get("containers", ()):
        _add(running, _asks(container))
    beside: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers", ()):
        asks = _asks(container)
        if container.get("restartPolicy") == "Always":
            _add(beside, asks)
            asks = {}
        for name in {*beside, *asks}:
            peak[name] = max(peak.get(name, 0), beside.get(name, 0) + asks.get(name, 0))
    _add(running, beside)
    return {n: max(running.get(n, 0), peak.get(n, 0)) for n in {*running, *peak}}


def _asks(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources", {})
    return extended({**resources.get("limits", {}), **resources.get("requests", {})})


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def pod(raw: Json) -> Pod | None:
    """A non-terminal pod that asks for an extended resource; its top owner is found later."""
    spec, status, meta = raw["spec"], raw.get("status", {}), raw["metadata"]
    gpus = pod_gpus(spec)
    if not gpus or status.get("phase") in {"Succeeded", "Failed"}:
        return None
    owner = controller_of(meta)
    started = [
        found
        for c in status.get("containerStatuses", ())
        if (found := moment(c.get("state", {}).get("running", {}).get("startedAt"))) is not None
    ]
    return Pod(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        gpus=gpus,
        node=spec.get("nodeName"),
        created=moment(meta.get("creationTimestamp")),
        started=min(started, default=None),
        running=bool(started),
        terminating="deletionTimestamp" in meta,
        labels=meta.get("labels", {}),
        owner=owner,
        direct_owner_kind="" if owner is None else owner.kind,
    )


def controller_of(meta: Mapping[str, Any]) -> ObjectRef | None:
    """The controlling owner of an object."""
    for owner in meta.get("ownerReferences", ()):
        if owner.get("controller"):
            return ObjectRef(owner["apiVersion"], owner["kind"], owner["name"])
    return None


# ------------------------------------------------------------------ quotas


@dataclass(frozen=True, slots=True)
class QuotaFacts:
    """A ResourceQuota that counts an extended resource; counts without the `requests.` prefix."""

    namespace: str
    name: str
    ours: bool
    hard: Mapping[str, int]
    status_hard: Mapping[str, int]
    used: Mapping[str, int]
    resource_version: str
    created: datetime | None
    timers: Mapping[str, Timer] = field(default_factory=dict)
    implicit: Mapping[str, int] = field(default_factory=dict)
    epoch: str = ""
    uid: str = ""
    pool: str = ""


def quota(raw: Json) -> QuotaFacts | None:
    """A ResourceQuota; None where it counts nothing that could be a GPU and is not ours."""
    meta, status = raw["metadata"], raw.get("status", {})
    ours = (
        meta["name"] == QUOTA_NAME and meta.get("labels", {}).get("app.kubernetes.io/managed-by") == "gpupool"
    )
    hard = _requests(raw.get("spec", {}).get("hard", {}))
    if not hard and not ours:
        return None
    notes = meta.get("annotations", {})
    return QuotaFacts(
        namespace=meta["namespace"],
        name=meta["name"],
        ours=ours,
        hard=hard,
        status_hard=_requests(status.get("hard", {})),
        used=_requests(status.get("used", {})),
        resource_version=meta["resourceVersion"],
        created=moment(meta.get("creationTimestamp")),
        timers=read_timers(notes.get(TIMERS, "")),
        implicit=_numbers(notes.get(IMPLICIT, "")),
        epoch=notes.get(EPOCH, ""),
        uid=meta["uid"],
        pool=meta.get("labels", {}).get(NAMESPACE_LABEL, ""),
    )


def _requests(quantities: Mapping[str, Any]) -> dict[str, int]:
    return {
        name.removeprefix(REQUESTS): _count(value)
        for name, value in quantities.items()
        if name.startswith(REQUESTS) and "/" in name
    }


def _numbers(text: str) -> dict[str, int]:
    found = read_json(text)
    return {str(k): v for k, v in found.items() if isinstance(v, int)}


# ------------------------------------------------------------------ controllers


@dataclass(frozen=True, slots=True)
class Controller:
    """Something that creates pods, or owns what does.

    `wanted` and `existing` are pods; `gpus` of one pod; `refused` says that our quota is named as the reason
    for a missing pod; `suspended` that its owner waits for capacity.
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
    existing = raw.get("status", {}).get("replicas", 0)
    return _controller(raw, "apps/v1", "StatefulSet", raw["spec"].get("replicas", 1), existing)


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
    )


def _controller(
    raw: Json,
    api_version: str,
    kind: str,
    wanted: int,
    existing: int,
    *,
    refused: bool = False,
    suspended: bool = False,
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
    )


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

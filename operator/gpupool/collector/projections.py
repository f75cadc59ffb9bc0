"""From raw objects to the few facts decisions need; everything else is forgotten at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpupool.collector.fields import controller_of, moment
from gpupool.collector.owning import label_is_ours, taint_is_ours
from gpupool.collector.quantities import count_of, extended, pod_gpus
from gpupool.collector.recipes import inference_containers, recipe
from gpupool.collector.templates import of_pod
from gpupool.kube.resources import Json
from gpupool.model.annotations import (
    EPOCH,
    IMPLICIT,
    LEFT_OUT,
    LOANS,
    OPENING,
    QUOTA_NAME,
    REQUESTS,
    TIMERS,
    half_made,
    our_quota,
    pool_owners,
    read_count,
    read_json,
    read_loans,
    read_timers,
    scoped,
)
from gpupool.model.marks import MANAGED, NODE_LABEL, POOL_LABEL
from gpupool.model.objects import Key, Loan, Pod, Timer
from gpupool.model.selector import Selector
from gpupool.model.world import DaemonSetFacts, NodeFacts, Toleration

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
        uid=raw["metadata"].get("uid", ""),
        ours=label_is_ours(raw, NODE_LABEL) or taint_is_ours(raw),
    )


@dataclass(frozen=True, slots=True)
class NamespaceLabels:
    """A namespace's name, labels and identity; `ending`: being deleted; `ours`: we wrote the pool's label."""

    name: str
    labels: Mapping[str, str]
    uid: str = ""
    ending: bool = False
    ours: bool = False


def namespace(raw: Json) -> NamespaceLabels:
    """A namespace, also one on its way out: what is in it stands until its last pod is gone."""
    meta = raw["metadata"]
    return NamespaceLabels(
        name=meta["name"],
        labels=meta.get("labels", {}),
        uid=meta.get("uid", ""),
        ending="deletionTimestamp" in meta,
        ours=label_is_ours(raw, POOL_LABEL),
    )


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


def local_queue(raw: Json) -> Key:
    """A LocalQueue of Kueue: that it is there is all that matters."""
    return Key(raw["metadata"]["namespace"], raw["metadata"]["name"])


# ------------------------------------------------------------------ pods


def pod(raw: Json) -> Pod | None:
    """A non-terminal pod that asks for an extended resource; its top owner is found later."""
    spec, status, meta = raw["spec"], raw.get("status", {}), raw["metadata"]
    gpus = pod_gpus(spec)
    if not gpus or status.get("phase") in {"Succeeded", "Failed"}:
        return None
    owner = controller_of(meta)
    started = [
        found
        for c in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        if (found := moment(c.get("state", {}).get("running", {}).get("startedAt"))) is not None
    ]
    ready_since = _ready_since(status)
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
        selects=(spec.get("nodeSelector") or {}).get(NODE_LABEL, ""),
        template=of_pod(raw),
        ready=ready_since is not None,
        ready_at=moment(ready_since),
        recipe=recipe(spec),
        containers=inference_containers(spec),
    )


def _ready_since(status: Json) -> str | None:
    """When a pod became Ready, as text that may be empty; None while it is not."""
    ready = (c for c in status.get("conditions", ()) if c["type"] == "Ready" and c["status"] == "True")
    return next((c.get("lastTransitionTime", "") for c in ready), None)


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
    scoped: bool = False
    opening: bool = False
    owners: tuple[str, ...] = ()
    labelled: bool = True
    left_out: int = 0
    loans: Mapping[str, Loan] = field(default_factory=dict)


def quota(raw: Json) -> QuotaFacts | None:
    """A ResourceQuota; None where it counts nothing that could be a GPU, is not ours and not in our way."""
    meta, status = raw["metadata"], raw.get("status", {})
    ours = our_quota(raw)
    hard = _requests(raw.get("spec", {}).get("hard", {}))
    if not (hard or ours or (meta["name"] == QUOTA_NAME and not half_made(raw))):
        return None
    notes, labels, owners = meta.get("annotations", {}), meta.get("labels", {}), pool_owners(raw)
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
        pool=labels.get(POOL_LABEL) or next((o["name"] for o in owners), ""),
        scoped=scoped(raw),
        opening=notes.get(OPENING) == "true",
        owners=tuple(o["uid"] for o in owners),
        left_out=read_count(notes.get(LEFT_OUT, "")),
        loans=read_loans(notes.get(LOANS, "")),
        labelled=POOL_LABEL in labels and MANAGED.items() <= labels.items(),
    )


def _requests(quantities: Mapping[str, Any]) -> dict[str, int]:
    return {
        name.removeprefix(REQUESTS): count_of(value)
        for name, value in quantities.items()
        if name.startswith(REQUESTS) and "/" in name
    }


def _numbers(text: str) -> dict[str, int]:
    found = read_json(text)
    return {k: v for k, v in found.items() if type(v) is int and v >= 0}

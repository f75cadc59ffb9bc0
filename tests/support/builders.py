"""Short words for what a decision looks at: pools, shares, requests, pods, quotas, whole snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gpupool.model.objects import Key, Namespace, Node, ObjectRef, Pod, Quota, Remembered, Request, Timer
from gpupool.model.plan import Condition, Plan, RequestStatus, SetQuota
from gpupool.model.pool import Mode, Pool, Recall, Reclaim, Share
from gpupool.model.selector import Selector
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Peak, PodUsage, Usage

GPU = "nvidia.com/gpu"
NOW = datetime(2030, 1, 7, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

RECLAIM = Reclaim(
    mode=Mode.ENFORCE,
    window=HOUR,
    lookback=6 * HOUR,
    threshold=100,
    headroom=10,
    coverage=90,
    grace=2 * HOUR,
    release_after=7 * DAY,
    startup_grace=30 * MINUTE,
)


def a_share(team: str, guaranteed: int = 0, limit: int | None = None, **more: Any) -> Share:
    """A share whose one namespace is called like the team."""
    more.setdefault("namespaces", (team,))
    limits = {} if limit is None else {GPU: limit}
    return Share(team=team, guaranteed={GPU: guaranteed}, limit=limits, **more)


def a_pool(*shares: Share, mode: Mode = Mode.ENFORCE, reserve: int = 0, **more: Any) -> Pool:
    """A pool called lab in one mode throughout; `reclaim` may be a dict of changes."""
    reclaim = more.pop("reclaim", {})
    changed = reclaim if isinstance(reclaim, Reclaim) else replace(RECLAIM, **{"mode": mode, **reclaim})
    more = {"quota_mode": mode, "isolation_mode": mode, "mode": mode} | more
    more.setdefault("recall", Recall(within=15 * MINUTE, notice=5 * MINUTE))
    more.setdefault("node_selector", Selector((("group", "lab"),)))
    return Pool(
        name=more.pop("name", "lab"),
        uid="uid-lab",
        generation=1,
        created=NOW - 30 * DAY,
        reclaim=changed,
        shares=shares,
        reserve={GPU: reserve},
        **more,
    )


def nodes(count: int = 1, gpus: int = 8, *, prefix: str = "node", **more: Any) -> tuple[Node, ...]:
    """Member nodes, labelled and in order."""
    more.setdefault("pool_label", "lab")
    more.setdefault("taints", ("gpupool.dev/pool=lab:NoSchedule",))
    more.setdefault("ours", True)
    return tuple(Node(f"{prefix}-{i + 1}", {GPU: gpus}, **more) for i in range(count))


def a_request(name: str, gpus: int, namespace: str = "vision", **more: Any) -> Request:
    """A request made an hour ago; `remembered` is what its status says."""
    more.setdefault("min_gpus", gpus)
    more.setdefault("created", NOW - HOUR)
    if "ref" not in more and "selector" not in more:
        more["selector"] = Selector((("app", name),))
    return Request(
        key=Key(namespace, name),
        uid=f"uid-{name}",
        generation=more.pop("generation", 1),
        gpus=gpus,
        team=namespace,
        contact="people@example.com",
        expected_utilization=more.pop("expected_utilization", 80),
        resource=more.pop("resource", GPU),
        **more,
    )


def granted(
    name: str, gpus: int, namespace: str = "vision", *, of: int | None = None, **more: Any
) -> Request:
    """A request that was granted `gpus` (of `of` asked) ten days ago; `allowance` and `timer` are memory."""
    memory = {k: more.pop(k) for k in ("allowance", "timer", "released", "quiet_since") if k in more}
    more.setdefault("created", NOW - 10 * DAY)
    asked = gpus if of is None else of
    remembered = Remembered(
        granted=gpus,
        allowance=memory.pop("allowance", gpus),
        asked=more.pop("asked", asked),
        queued_at=more.get("queued_at", more["created"]),
        granted_at=more.pop("granted_at", more["created"]),
        phase=more.pop("phase", None),
        **memory,
    )
    more.pop("queued_at", None)
    return a_request(name, asked, namespace, remembered=remembered, **more)


def pods(
    count: int,
    app: str = "",
    namespace: str = "vision",
    *,
    gpus: int = 1,
    node: str | None = "node-1",
    prefix: str | None = None,
    **more: Any,
) -> tuple[Pod, ...]:
    """Replicas of a Deployment called `app`, with label app, that run since an hour."""
    more.setdefault("owner", ObjectRef("apps/v1", "Deployment", app) if app else None)
    more.setdefault("direct_owner_kind", "ReplicaSet" if app else "")
    more.setdefault("labels", {"app": app} if app else {})
    more.setdefault("created", NOW - 10 * DAY)
    more.setdefault("started", None if node is None else more["created"])
    stem = prefix or app or "pod"
    resource = more.pop("resource", GPU)
    return tuple(
        Pod(Key(namespace, f"{stem}-{i}"), f"uid-{namespace}-{stem}-{i}", {resource: gpus}, node, **more)
        for i in range(count)
    )


def a_quota(hard: int, used: int = 0, status_hard: int | None = None, **more: Any) -> Quota:
    """Our quota on one resource, written by pool lab, in force unless `status_hard` says otherwise."""
    more.setdefault("resource_version", "7")
    more.setdefault("pool", "lab")
    more.setdefault("owners", ("uid-lab",))
    more.setdefault("created", NOW - 20 * DAY)
    implicit = more.pop("implicit", 0)
    return Quota(
        hard={GPU: hard},
        status_hard={GPU: hard if status_hard is None else status_hard},
        used={GPU: used},
        implicit={GPU: implicit} if implicit else {},
        **more,
    )


def a_timer(stage: Any, deadline: timedelta, **more: Any) -> Timer:
    """A timer whose deadline lies so far from now; it began two hours before."""
    more.setdefault("since", NOW + min(deadline, timedelta()) - 2 * HOUR)
    return Timer(stage=stage, deadline=NOW + deadline, **more)


def sampled(found: Iterable[Pod], *, busy: float = 1.0, seen: float = 1.0, **more: Any) -> Usage:
    """Good samples of pods over the hour of the window, and a peak from `peaks` (request key -> GPUs)."""
    peaks: Mapping[Key, int] = more.pop("peaks", {})
    window = more.pop("window", HOUR).total_seconds()
    rows = tuple(
        PodUsage(
            key=p.key,
            gpus=sum(p.gpus.values()),
            held_seconds=window * sum(p.gpus.values()),
            seen_seconds=window * sum(p.gpus.values()) * seen,
            busy_seconds=window * sum(p.gpus.values()) * seen * busy,
            busy_gpus=sum(p.gpus.values()) if busy else 0,
            activity=100 * busy,
            age=more.get("age", 0.0),
            conflicting=more.get("conflicting", False),
        )
        for p in found
        if p.node is not None
    )
    history = more.get("history", 12 * 3600.0)
    return Usage(
        fresh=more.get("fresh", True),
        problem=more.get("problem", ""),
        pods=(*rows, *more.get("dead", ())),
        peaks={k: Peak(n, history, more.get("recent", history)) for k, n in peaks.items()},
        asked=more.get("asked", NOW),
    )


def a_snapshot(pool: Pool, *requests: Request, **more: Any) -> Snapshot:
    """One node of eight unless told; a namespace per share, with the quota of `quotas` where there is one."""
    quotas: Mapping[str, Quota] = more.pop("quotas", {})
    labels: Mapping[str, str] = more.pop("labels", {})
    listed = tuple(
        Namespace(
            n, s.team, pool_label=labels.get(n, pool.name if quotas else None), quota=quotas.get(n), ours=True
        )
        for s in pool.shares
        for n in s.namespaces
    )
    found = more.pop("pods", ())
    known = {n.name for n in listed} | {n.name for n in more.get("strangers", ())}
    strangers = more.pop("strangers", ()) + tuple(
        Namespace(n, None) for n in sorted({p.key.namespace for p in found} - known)
    )
    return Snapshot(
        now=more.pop("now", NOW),
        uninterrupted_since=more.pop("uninterrupted_since", NOW - DAY),
        pool=pool,
        nodes=more.pop("nodes", nodes()),
        namespaces=(*listed, *strangers),
        requests=requests,
        pods=tuple(found),
        usage=more.pop("usage", sampled(found)),
        **more,
    )


def status_of(plan: Plan, name: str) -> RequestStatus:
    """The status of a request, by name."""
    return next(r for r in plan.requests if r.key.name == name)


def condition_of(plan: Plan, type_: str, name: str | None = None) -> Condition:
    """A condition of a request, or of the pool."""
    assert plan.status is not None
    found = plan.status.conditions if name is None else status_of(plan, name).conditions
    return next(c for c in found if c.type == type_)


def quotas_of(plan: Plan) -> dict[str, int]:
    """What the plan writes into quotas: namespace -> GPUs."""
    return {a.namespace: a.hard[GPU] for a in plan.actions if isinstance(a, SetQuota)}


def grants(plan: Plan) -> dict[str, int]:
    """Granted GPUs by request name."""
    return {r.key.name: r.granted for r in plan.requests}

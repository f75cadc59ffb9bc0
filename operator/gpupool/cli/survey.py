"""The cluster read once, for a command line: the facts of the operator's mirrors, and nothing written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gpupool.api import convert
from gpupool.collector import controllers
from gpupool.collector import projections as see
from gpupool.collector.assemble import Projections, world
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.peaks import read_peaks
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.errors import GpupoolError
from gpupool.kube import resources as kinds
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, Resource, Selection
from gpupool.model.objects import Key
from gpupool.model.pool import Pool
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import Template
from gpupool.planner.drafting.draft import Hints
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from gpupool.runtime.mirror import LIVE_PODS

TEAMS = ("gpupool.dev/team", "team", "owner-team", "app.kubernetes.io/part-of")
"""Labels of a namespace that name its team; the first one found counts."""
CONTACTS = ("gpupool.dev/contact", "contact", "owner", "maintainer", "slack-channel")
"""Annotations, then labels, that name whom to talk to; the pod's own before its namespace's."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found.

    Attributes:
        raw: the GpuPool as it stands.
        snapshot: what the pool may look at.
        hints: what is known beside it.
        unmeasured: why use and past are not known; empty where Prometheus answered.
        templates: all from which GPU pods are made, of every namespace.
    """

    raw: Json
    snapshot: Snapshot
    hints: Hints
    unmeasured: str = ""
    templates: tuple[Template, ...] = ()


async def survey(
    client: KubeClient, pool: str, *, exempt: Iterable[str], prometheus: PrometheusClient | None
) -> Survey:
    """Read the cluster as one pool sees it.

    Raises:
        KubeError: the pool is not there (NotFound), or reading is not allowed.
        GpupoolError: the pool breaks the rules of this version.
    """
    raw = await client.get(kinds.GPU_POOLS, pool)
    everything = await _read(client)
    found = world(_projected(everything), client.server_time(), frozenset(exempt))
    known = next((p for p in found.pools if p.name == pool), None)
    if known is None:
        raise GpupoolError(f"GpuPool {pool} breaks the rules of this version: see its Events")
    snapshot = view(found, resolve(found), known, uninterrupted_since=found.now)
    hints = _people(everything["pods"], everything["namespaces"])
    unmeasured = "no Prometheus was named"
    if prometheus is not None:
        hints, unmeasured = await _measured(prometheus, snapshot, hints)
    return Survey(raw, snapshot, hints, unmeasured, found.templates)


async def _read(client: KubeClient) -> dict[str, list[Json]]:
    wanted: tuple[tuple[Resource, str], ...] = (
        (kinds.GPU_POOLS, ""),
        (kinds.CAPACITY_REQUESTS, ""),
        (kinds.NODES, ""),
        (kinds.NAMESPACES, ""),
        (kinds.RESOURCE_QUOTAS, ""),
        (kinds.PODS, LIVE_PODS),
        (kinds.REPLICA_SETS, ""),
        (kinds.STATEFUL_SETS, ""),
        (kinds.JOBS, ""),
        (kinds.CRON_JOBS, ""),
        (kinds.DAEMON_SETS, ""),
    )
    lists = await asyncio.gather(*(client.list_all(Selection(r, fields=f)) for r, f in wanted))
    return {r.plural: found for (r, _), found in zip(wanted, lists, strict=True)}


def _projected(raw: dict[str, list[Json]]) -> Projections:
    def of(resource: Resource, project: Callable[[Json], Any]) -> list[Any]:
        values = (project(r) for r in raw[resource.plural])
        return [v for v in values if v is not None]

    pools = of(kinds.GPU_POOLS, _valid(convert.pool))
    names = frozenset(r["metadata"]["name"] for r in raw[kinds.GPU_POOLS.plural])
    return Projections(
        pools=pools,
        nodes=of(kinds.NODES, see.node),
        namespaces=of(kinds.NAMESPACES, see.namespace),
        quotas=of(kinds.RESOURCE_QUOTAS, see.quota),
        pods=of(kinds.PODS, see.pod),
        requests=of(kinds.CAPACITY_REQUESTS, _valid(convert.request)),
        controllers=[
            *of(kinds.REPLICA_SETS, controllers.replicaset),
            *of(kinds.STATEFUL_SETS, controllers.statefulset),
            *of(kinds.JOBS, controllers.job),
            *of(kinds.CRON_JOBS, controllers.cronjob),
        ],
        daemonsets=of(kinds.DAEMON_SETS, see.daemonset),
        unreadable_pools=names - {p.name for p in pools},
    )


def _valid(read: Callable[[Json], Any]) -> Callable[[Json], Any]:
    """What breaks the rules of this version is not looked at here: the operator tells of it."""

    def project(raw: Json) -> Any:
        try:
            return read(raw)
        except ValidationError:
            return None

    return project


# ------------------------------------------------------------------ people


def _people(pods: Iterable[Json], namespaces: Iterable[Json]) -> Hints:
    by_name = {n["metadata"]["name"]: n["metadata"] for n in namespaces}
    contacts = {}
    for pod in pods:
        meta = pod["metadata"]
        contact = _said(meta, CONTACTS) or _said(by_name.get(meta["namespace"], {}), CONTACTS)
        if contact:
            contacts[Key(meta["namespace"], meta["name"])] = contact[:256]
    teams = {name: team for name, meta in by_name.items() if (team := _said(meta, TEAMS))}
    return Hints(teams=teams, contacts=contacts)


def _said(meta: Json, keys: Iterable[str]) -> str:
    """The first of the keys that annotations or labels carry."""
    said = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    return next((str(said[k]).strip() for k in keys if str(said.get(k, "")).strip()), "")


# ------------------------------------------------------------------ Prometheus


async def _measured(prometheus: PrometheusClient, snapshot: Snapshot, hints: Hints) -> tuple[Hints, str]:
    """The hints with use and past, and why they are not known where Prometheus does not say."""
    pool: Pool = snapshot.pool
    usage = await UsageReader(prometheus).read(pool, snapshot.pods, snapshot.now)
    peaks, problem = await read_peaks(prometheus, pool.name)
    use = {u.key: (u.busy_seconds, u.seen_seconds) for u in usage.pods if u.alive and u.seen_seconds > 0}
    found = Hints(hints.teams, hints.contacts, peaks, use if usage.fresh else {})
    return found, "; ".join(filter(None, (usage.problem if not usage.fresh else "", problem)))

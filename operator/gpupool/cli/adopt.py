"""`gpupool adopt POOL`: drafts of shares and requests for what runs today, as YAML to be read and changed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import yaml

from gpupool.cli.manifests import pool_manifest, request_manifest
from gpupool.cli.survey import Survey, survey
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.kube.auth import load
from gpupool.kube.client import KubeClient
from gpupool.model.enforcement import Replay
from gpupool.model.objects import ForeignQuota
from gpupool.model.snapshot import Snapshot
from gpupool.planner.drafting.adopt import Adoption, adopt
from gpupool.planner.drafting.draft import Draft
from gpupool.policy.foretold import foretold

Json = dict[str, Any]
EXEMPT = ("kube-system", "gpu-operator", "monitoring")
"""Namespaces of the system where nobody says otherwise: the chart's own."""
WIDTH = 100
TELLING = {"ReadyToEnforce": "True", "DaemonSetsTolerate": "True", "Conflict": "False"}
"""Conditions of a pool that say what would break, and the status in which they say nothing."""
TRIED = {"NoDenial", "WouldBeDenied"}
"""The reasons of ReadyToEnforce that say that templates of all that runs in the shares were tried."""


async def adopt_pool(
    environ: Mapping[str, str], pool: str, *, prometheus: str, exempt: Iterable[str], retire: bool
) -> str:
    """The drafts as one text of YAML documents. Nothing is written to the cluster.

    Raises:
        GpupoolError: no credentials, no such pool, or no permission to read.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubeClient(load(environ)))
        measuring = PrometheusClient(Endpoint(url=prometheus)) if prometheus else None
        if measuring is not None:
            await stack.enter_async_context(measuring)
        found = await survey(client, pool, exempt=exempt, prometheus=measuring)
    return "".join(_text(found, adopt(found.snapshot, found.hints), retire=retire))


def _text(found: Survey, adoption: Adoption, *, retire: bool) -> Iterable[str]:
    yield from _comment(_opening(found, adoption))
    yield _document(pool_manifest(found.raw, adoption))
    for draft in adoption.drafts:
        yield "---\n"
        yield from _comment(_about(draft))
        yield _document(request_manifest(draft))
    yield "---\n"
    yield from _comment(_closing(found, adoption, retire=retire))


def _document(manifest: Json) -> str:
    return yaml.safe_dump(manifest, sort_keys=False, width=WIDTH, allow_unicode=True)


def _comment(lines: Iterable[str]) -> Iterable[str]:
    """Comment lines, long ones wrapped; a line that begins with a blank is kept as it is."""
    for line in lines:
        parts = [line] if line.startswith(" ") else textwrap.wrap(line, WIDTH) or [""]
        yield from (f"# {part}".rstrip() + "\n" for part in parts)


def _opening(found: Survey, adoption: Adoption) -> Iterable[str]:
    snapshot = found.snapshot
    yield f"Drafts for pool {snapshot.pool.name}, made of what ran at {snapshot.now:%Y-%m-%dT%H:%M:%SZ}."
    yield "Nothing was written. Read every line, change what is wrong, then apply; mode stays as it is."
    yield from adoption.remarks
    if found.unmeasured:
        yield f"Use and peaks are not known ({found.unmeasured}): gpus is what is held now."
    for team, names in sorted(adoption.widened.items()):
        yield f"Share {team} is given the namespaces {', '.join(names)}."


def _about(draft: Draft) -> Iterable[str]:
    peak = "no peak is recorded" if draft.peak is None else f"at most {draft.peak} in 30 days"
    use = "not measured, 80 is a guess" if draft.use is None else f"busy {draft.use} % of the window"
    yield f"{draft.workload}: {draft.pods} pods hold {draft.held} now, {peak}; {use}."


def _closing(found: Survey, adoption: Adoption, *, retire: bool) -> Iterable[str]:
    yield "What would break under Enforce, as far as it is known:"
    yield from _breaking(found, adoption)
    quotas = list(_foreign(found.snapshot))
    if quotas:
        yield "ResourceQuotas of others count these GPUs too; the smaller number holds. None is touched:"
    for namespace, quota in quotas:
        numbers = ", ".join(f"{r} {n}" for r, n in sorted(quota.hard.items()))
        yield f"  {namespace}/{quota.name}: {numbers}"
        if retire:
            yield f"  kubectl delete resourcequota {quota.name} -n {namespace}"
    if quotas and not retire:
        yield "--retire-quota prints the commands that delete them, for people to run."


def _breaking(found: Survey, adoption: Adoption) -> Iterable[str]:
    status = found.raw.get("status", {})
    rows = {c["type"]: c for c in status.get("conditions", ())}
    if "ReadyToEnforce" not in rows:
        yield "  the operator has not looked at this pool yet."
    told = list(_told(rows))
    denied = list(_denied(status, _certain(found, adoption)))
    yield from (*told, *denied)
    tried = rows.get("ReadyToEnforce", {}).get("reason") in TRIED
    if not tried or adoption.shares or adoption.widened:
        yield from _untried(found.snapshot.pool.name)
    elif not told and not denied:
        yield "  nothing that is known."


def _told(rows: Mapping[str, Json]) -> Iterable[str]:
    for kind, good in TELLING.items():
        row = rows.get(kind)
        if row is not None and row["status"] != good:
            yield f"  {kind} is {row['status']} ({row['reason']}): {row['message']}"


def _denied(status: Json, certain: Iterable[Replay]) -> Iterable[str]:
    """Who would be denied: what the API server said, and what is certain of others."""
    rows = {(d["namespace"], d["owner"]): d["message"] for d in status.get("wouldBeDenied", ())}
    more = {(r.namespace, r.owner): r.refusal for r in certain}
    for (namespace, owner), message in {**more, **rows}.items():
        yield f"  {namespace} {owner}: {message}"


def _certain(found: Survey, adoption: Adoption) -> tuple[Replay, ...]:
    """Of the namespaces that have a share, or are drafted one."""
    shared = {n.name for n in found.snapshot.namespaces if n.team is not None and not n.system}
    drafted = {d.workload.namespace for d in adoption.drafts}
    templates = (t for t in found.templates if t.namespace in shared | drafted)
    return foretold(found.snapshot.pool, templates)


def _untried(pool: str) -> Iterable[str]:
    yield "The other templates were not tried yet: the API server tries them from mode Recommend on."
    yield "When shares and requests stand, let it; nobody is denied. The second line tells what came of it:"
    yield f"""  kubectl patch gpool {pool} --type merge -p '{{"spec": {{"mode": "Recommend"}}}}'"""
    yield f"  kubectl describe gpool {pool}   # ReadyToEnforce, and Would Be Denied"


def _foreign(snapshot: Snapshot) -> Iterable[tuple[str, ForeignQuota]]:
    governed = set(snapshot.pool.resources)
    for namespace in snapshot.namespaces:
        yield from ((namespace.name, q) for q in namespace.foreign if governed & set(q.hard))

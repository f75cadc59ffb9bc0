"""`gpupool check`: whether an install works, seen with the operator's own rights; what `helm test` runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from pydantic import ValidationError

from gpupool.api import convert
from gpupool.applier.admission import AdmissionObjects
from gpupool.applier.policies import PoolPolicySpec, probe_pods
from gpupool.applier.serverside import Writer
from gpupool.cli.prometheus import endpoint
from gpupool.collector.policies import chart_guards, policy_facts
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.errors import PrometheusError
from gpupool.errors import KubeError
from gpupool.kube import resources as kinds
from gpupool.kube.auth import load
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, ObjectKey, Resource, Selection
from gpupool.model.marks import NAMED
from gpupool.model.pool import Pool
from gpupool.planner.chartguards import sentence
from gpupool.policy.chartguards import opened
from gpupool.runtime.settings import Settings

KINDS = (kinds.GPU_POOLS, kinds.CAPACITY_REQUESTS, kinds.INFERENCE_SLOS)
OPERATOR = "app.kubernetes.io/name=gpupool,app.kubernetes.io/component=operator"
PATIENCE = 30
"""Seconds that each part may take to come."""
Say = Callable[[str], None]
Ask = Callable[[], Awaitable[str]]
"""Says what is well.

Raises:
    MissingError: what is not.
"""


class MissingError(Exception):
    """A part of the install is not as it must be."""


class _Nobody:
    """Nothing is mirrored here."""

    def written(self, resource: Resource, obj: Json) -> None:
        """Ignore."""

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Ignore."""


async def check(environ: Mapping[str, str], settings: Settings, say: Say) -> int:
    """Look at every part and say how it is, one line each; 0 when all is well, else 1."""
    async with KubeClient(load(environ)) as client:
        install = _Install(client, settings)
        parts: dict[str, Ask] = {
            "kinds": install.kinds,
            "operator": install.operator,
            "leader": install.leader,
            "guards": install.guards,
            "policies": install.policies,
            "prometheus": install.prometheus,
        }
        wrong = [name for name, ask in parts.items() if not await _try(name, ask, say)]
    say(f"check: {', '.join(wrong)} not as they must be" if wrong else "check: all is well")
    return 1 if wrong else 0


async def _try(name: str, ask: Ask, say: Say) -> bool:
    said = ""
    for _ in range(PATIENCE):
        try:
            said = await ask()
        except (MissingError, KubeError, PrometheusError) as error:
            said = str(error)
            await asyncio.sleep(1)
        else:
            say(f"ok    {name}: {said}")
            return True
    say(f"WRONG {name}: {said}")
    return False


class _Install:
    def __init__(self, client: KubeClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def kinds(self) -> str:
        """The CRDs are served."""
        for kind in KINDS:
            if not await self._client.has_resource(kind.group, kind.version, kind.plural):
                raise MissingError(f"{kind.kind} is not served: install the CRDs (crds.enabled)")
        *others, last = [kind.kind for kind in KINDS]
        return f"{', '.join(others)} and {last} are served"

    async def operator(self) -> str:
        """A replica is ready."""
        place = Selection(kinds.PODS, self._settings.pod_namespace, labels=OPERATOR)
        pods = await self._client.list_all(place)
        ready = [p["metadata"]["name"] for p in pods if _ready(p)]
        if not ready:
            raise MissingError(f"none of {len(pods)} pods of the operator is ready")
        return f"{len(ready)} of {len(pods)} pods are ready"

    async def leader(self) -> str:
        """One of them leads."""
        where = (self._settings.deployment, self._settings.pod_namespace)
        lease = await self._client.get(kinds.LEASES, *where)
        holder = lease.get("spec", {}).get("holderIdentity")
        if not holder:
            raise MissingError("nobody holds the Lease")
        return f"{holder} leads"

    async def guards(self) -> str:
        """The guards that the chart installs stand and deny."""
        facts = [
            policy_facts(resource.kind)(raw)
            for resource in (kinds.VALIDATING_POLICIES, kinds.VALIDATING_BINDINGS)
            for raw in await self._client.list_all(Selection(resource, labels=NAMED))
        ]
        guards = chart_guards(self._settings.guards, facts)
        if lost := opened(guards):
            raise MissingError(sentence(lost))
        if not guards.installed:
            return "none are installed (policies.enabled): RBAC alone keeps quotas, labels and statuses"
        return f"{len(guards.installed)} bindings of the chart's guards stand and deny"

    async def policies(self) -> str:
        """What every enforced pool must refuse is refused, by dry run in the probe namespace."""
        pools = [p for p in await self._pools() if p.isolates]
        standing = AdmissionObjects(self._client, Writer(self._client, _Nobody()), lambda _pool: {})
        opened = [
            f"{p.name}/{name}" for p in pools for name in await standing.open(probe_pods(self._spec(p)))
        ]
        if opened:
            raise MissingError(f"not answered as they must be: {', '.join(opened)}")
        return f"{len(pools)} enforced pools refuse what they must"

    async def _pools(self) -> list[Pool]:
        found = []
        for raw in await self._client.list_all(Selection(kinds.GPU_POOLS)):
            try:
                found.append(convert.pool(raw))
            except ValidationError as error:
                name = raw["metadata"]["name"]
                raise MissingError(f"GpuPool {name} breaks the rules of this version") from error
        return found

    def _spec(self, pool: Pool) -> PoolPolicySpec:
        return PoolPolicySpec(
            pool=pool.name,
            uid=pool.uid,
            resources=pool.resources,
            enforce=True,
            probe_namespace=self._settings.probe_namespace,
            priority_classes=pool.priority_classes,
            schedulers=pool.schedulers,
        )

    async def prometheus(self) -> str:
        """It answers, where one is named."""
        settings = self._settings
        if not settings.prometheus_url:
            return "not configured: use is not measured and nothing is taken for under-use"
        async with PrometheusClient(endpoint(settings)) as client:
            await client.query("vector(1)")
            return f"{client.url} answers"


def _ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

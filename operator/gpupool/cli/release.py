"""`gpupool release --all`: takes back everything the operator wrote, also without the CRDs.

In the order in which nothing is denied meanwhile, and nothing waits: the operator itself, the APIService of
its metrics, bindings, policies, the limits of adopted HPAs and ScaledObjects, the HPAs and VPAs that were
made, paused rollouts, taints and labels of nodes, quotas, labels of namespaces. Objects are found by our
labels, autoscalers and Deployments by the note on them. The operator's replicas are stopped, and the Lease is
held meanwhile, so that one that could not be stopped does not write again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from gpupool.applier import autoscalers, bodies, metricsapi, rollouts, vpas
from gpupool.applier.policies.outside_probe import GATE
from gpupool.applier.rescaling import rescale
from gpupool.applier.serverside import Writer
from gpupool.collector.rolling import rollable
from gpupool.collector.scaledobjects import scaled_object
from gpupool.collector.scaling import autoscaler
from gpupool.collector.vpas import vpa
from gpupool.errors import Conflict, FencedError, Forbidden, KubeError, NotFound
from gpupool.kube import resources as kinds
from gpupool.kube.auth import load
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import Json, ObjectKey, Resource, Selection, key_of
from gpupool.model.annotations import QUOTA_NAME, our_quota
from gpupool.model.marks import NODE_LABEL, OURS, POOL_LABEL, TAINT
from gpupool.model.objects import Key
from gpupool.model.scalerwrites import Rescale
from gpupool.model.steering import Scaler
from gpupool.planner.guarding import let_go
from gpupool.policy.slo.adoption import give_back
from gpupool.policy.slo.vpa import leave
from gpupool.runtime.election.elector import Elector, identity
from gpupool.runtime.election.rules import Timing

OPERATOR = "app.kubernetes.io/name=gpupool,app.kubernetes.io/component=operator"
LAST = (1 << 31) - 1
"""The epoch of a release: nothing the operator still writes counts after it."""
LEASE_WAIT = 20.0
"""Seconds that a Lease which a killed operator left behind is waited for; it runs out after ten."""
Say = Callable[[str], None]
SCALERS: Final = ((kinds.AUTOSCALERS, autoscaler), (kinds.SCALED_OBJECTS, scaled_object))
"""What may carry a note of ours."""


class _Nobody:
    """Nothing is mirrored here."""

    def written(self, resource: Resource, obj: Json) -> None:
        """Ignore."""

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Ignore."""


async def release_all(environ: Mapping[str, str], say: Say) -> int:
    """Take everything back; 0 when nothing is left, 1 when something could not be removed.

    Of the configuration only the name of our Deployment is read: a wrong setting, which ends the operator,
    must not keep it from being uninstalled.
    """
    async with KubeClient(load(environ)) as client:
        release = _Release(client, say)
        operator = await release.find_operator(environ)
        if operator is not None:
            await release.stop_operator(operator)
        async with release.leading(operator):
            await release.metrics_api(operator)  # once more: it may have been written meanwhile
            await release.everything()
        say(f"release: {release.count} objects taken back, {release.failures} failures")
        return 1 if release.failures else 0


class _Release:
    def __init__(self, client: KubeClient, say: Say) -> None:
        self._client = client
        self._writer = Writer(client, _Nobody())
        self._say = say
        self.count = 0
        self.failures = 0

    async def everything(self) -> None:
        """Take back all that the operator wrote."""
        for resource in (kinds.VALIDATING_BINDINGS, kinds.MUTATING_BINDINGS):
            await self.delete(resource)
        for resource in (kinds.VALIDATING_POLICIES, kinds.MUTATING_POLICIES):
            await self.delete(resource)
        await self.delete(kinds.PODS)  # those kept for audits
        await self.autoscalers()
        await self.vpas()
        await self.rollouts()
        await self.nodes()
        await self.delete(kinds.RESOURCE_QUOTAS)
        await self.namespaces()

    async def find_operator(self, environ: Mapping[str, str]) -> ObjectKey | None:
        """Our own Deployment: as the chart says it to its hook, else by its labels."""
        if namespace := environ.get("POD_NAMESPACE"):
            return ObjectKey(namespace, environ.get("GPUPOOL_DEPLOYMENT", "gpupool"))
        try:
            found = await self._client.list_all(Selection(kinds.DEPLOYMENTS, labels=OPERATOR))
        except KubeError as error:
            self._failed("find the operator", error)
            return None
        return key_of(found[0]) if found else None

    @asynccontextmanager
    async def leading(self, operator: ObjectKey | None) -> AsyncIterator[None]:
        """Hold the Lease, so that no operator leads meanwhile; it is gone afterwards."""
        if operator is None:
            yield
            return
        elector = Elector(
            self._client, (operator.namespace, operator.name), identity("release"), Timing(), floor=lambda: 0
        )
        try:
            await asyncio.wait_for(elector.acquire(), LEASE_WAIT)
        except TimeoutError:
            self._say("release: somebody else holds the lease; going on")
            yield
            return
        holding = asyncio.create_task(elector.hold())
        try:
            yield
        finally:
            holding.cancel()
            with suppress(asyncio.CancelledError, FencedError):
                await holding
            with suppress(KubeError):
                await self._client.delete(kinds.LEASES, operator.name, operator.namespace)

    async def stop_operator(self, operator: ObjectKey) -> None:
        """Scale our own Deployment to 0 and wait for its pods to end, so that nothing is written again."""
        patch: Json = {"spec": {"replicas": 0}}
        try:
            await self._client.merge_patch(
                kinds.DEPLOYMENTS, operator.name, patch, namespace=operator.namespace, subresource="scale"
            )
        except NotFound:
            return
        except KubeError as error:
            self._failed(f"stop {operator.name}", error)
            return
        # Deletions of namespaces wait while an APIService leads to nobody.
        await self.metrics_api(operator)
        await self._until_gone(operator.namespace)

    async def metrics_api(self, operator: ObjectKey | None) -> None:
        """Delete the APIService of our metrics; who may not read it has never written it."""
        if operator is None:
            return
        try:
            if await metricsapi.withdraw(self._client, self._writer, operator.namespace, epoch=LAST):
                self.count += 1
                self._say(f"release: delete APIService {metricsapi.NAME}")
        except Forbidden:
            return
        except KubeError as error:
            self._failed(f"delete APIService {metricsapi.NAME}", error)

    async def _until_gone(self, namespace: str) -> None:
        for _ in range(120):
            if not await self._client.list_all(Selection(kinds.PODS, namespace, labels=OPERATOR)):
                return
            await asyncio.sleep(0.5)
        self._say("release: the operator's pod is still there; going on")

    async def delete(self, resource: Resource) -> None:
        """Delete our objects of one kind."""
        try:
            found = await self._client.list_all(_ours(resource))
        except NotFound:  # this server does not serve the kind
            return
        for raw in found:
            if not _written_by_us(resource, raw):
                continue
            await self._attempt(f"delete {resource} {key_of(raw).name}", self._delete(resource, raw))

    async def _delete(self, resource: Resource, raw: Json) -> None:
        options = DeleteOptions(uid=raw["metadata"]["uid"])
        await self._writer.delete(resource, key_of(raw), epoch=LAST, options=options)

    async def autoscalers(self) -> None:
        """Give HPAs and ScaledObjects that we adopted back, paused ones too; delete HPAs that we made."""
        for resource, project in SCALERS:
            try:
                found = await self._client.list_all(Selection(resource))
            except NotFound:  # this server does not serve the kind
                continue
            for raw in found:
                await self._scaler(resource, raw, project(raw))

    async def _scaler(self, resource: Resource, raw: Json, scaler: Scaler | None) -> None:
        if scaler is None:
            return
        if scaler.made:
            await self._attempt(f"delete HPA {scaler.key}", self._delete(resource, raw))
        elif scaler.originals is not None:
            if scaler.originals.asleep:
                await self._wake(scaler, scaler.originals.asleep)
            action = give_back(scaler, scaler.originals)
            what = f"give back {scaler.kind.value} {scaler.key}"
            await self._attempt(what, autoscalers.give_back(self._writer, action, epoch=LAST))

    async def vpas(self) -> None:
        """Give every VPA that we adopted back to its owner; delete those that we made."""
        try:
            found = await self._client.list_all(Selection(kinds.VPAS))
        except NotFound:  # this server does not serve the kind
            return
        for scaler in filter(None, map(vpa, found)):
            if scaler.note is not None:
                action = leave(scaler, scaler.note)
                what = f"give back VPA {scaler.key}"
                await self._attempt(what, vpas.leave(self._writer, action, epoch=LAST))

    async def _wake(self, scaler: Scaler, replicas: int) -> None:
        """Give a workload that sleeps its replicas back: nobody would wake it any more."""
        key = Key(scaler.key.namespace, scaler.target.name)
        wake = Rescale(key, scaler.target, 0, replicas)
        work = rescale(self._client, self._writer, wake, epoch=LAST)
        await self._attempt(f"wake {scaler.target} in {key.namespace}", work)

    async def rollouts(self) -> None:
        """Take our notes off Deployments, and the pauses that are ours."""
        for raw in await self._client.list_all(Selection(kinds.DEPLOYMENTS)):
            found = rollable(raw)
            if found.noted:
                key = key_of(raw)
                action = let_go(Key(key.namespace, key.name), found)
                what = f"let go of the rollout of Deployment {key.namespace}/{key.name}"
                await self._attempt(what, rollouts.resume(self._writer, action, epoch=LAST))

    async def nodes(self) -> None:
        """Remove our label and taint from every node that carries one of them."""
        for raw in await self._client.list_all(Selection(kinds.NODES)):
            taints = raw.get("spec", {}).get("taints", [])
            labelled = NODE_LABEL in raw["metadata"].get("labels", {})
            if labelled or any(t["key"] == TAINT for t in taints):
                await self._attempt(f"unmark node {raw['metadata']['name']}", self._node(raw))

    async def _node(self, raw: Json) -> None:
        name = raw["metadata"]["name"]
        patch: Json = {"metadata": {"labels": {NODE_LABEL: None}}}
        node = await self._client.merge_patch(kinds.NODES, name, patch)
        present = node.get("spec", {}).get("taints", [])
        wanted = bodies.taints(present, None)
        if wanted != present:
            version = int(node["metadata"]["resourceVersion"])
            operation = {"op": "add", "path": "/spec/taints", "value": wanted}
            await self._writer.json_patch(
                kinds.NODES, ObjectKey("", name), [operation], version=version, epoch=LAST
            )

    async def namespaces(self) -> None:
        """Remove our label from every namespace that carries it."""
        for raw in await self._client.list_all(Selection(kinds.NAMESPACES, labels=POOL_LABEL)):
            name = raw["metadata"]["name"]
            patch: Json = {"metadata": {"labels": {POOL_LABEL: None}}}
            await self._attempt(
                f"unlabel namespace {name}", self._client.merge_patch(kinds.NAMESPACES, name, patch)
            )

    async def _attempt(self, what: str, work: object) -> None:
        try:
            await work  # type: ignore[misc] # any awaitable; its result is not needed
        except Conflict:
            self._say(f"release: {what}: changed meanwhile, left to its new owner")
        except KubeError as error:
            self._failed(what, error)
        else:
            self.count += 1
            self._say(f"release: {what}")

    def _failed(self, what: str, error: KubeError) -> None:
        self.failures += 1
        self._say(f"release: {what}: {error}")


def _ours(resource: Resource) -> Selection:
    """What may be ours: by our labels, but quotas by their name, because a wall without labels is one too."""
    if resource is kinds.RESOURCE_QUOTAS:
        return Selection(resource, fields=f"metadata.name={QUOTA_NAME}")
    return Selection(resource, labels=OURS)


def _written_by_us(resource: Resource, raw: Json) -> bool:
    """Whether it is ours beyond its labels, which anybody may write."""
    if resource is kinds.RESOURCE_QUOTAS:
        return our_quota(raw)
    if resource is kinds.PODS:
        return any(g["name"] == GATE for g in raw["spec"].get("schedulingGates", []))
    return True

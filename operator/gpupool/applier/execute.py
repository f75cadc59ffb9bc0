"""Carries out a plan, in its order, each write with the leader's epoch.

Lowerings are confirmed before any raise is sent; marks and policies follow in the order the plan gives
them, because isolation must not send pods to nodes that are not marked yet; evictions come last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from gpupool.applier import bodies
from gpupool.applier.evict import BlockedByBudget, delete_pod, evict
from gpupool.applier.fence import lower, settle
from gpupool.applier.policyset import PolicySet
from gpupool.applier.serverside import Writer
from gpupool.errors import Conflict, KubeError
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import DeleteOptions, Precondition
from gpupool.kube.resources import (
    NAMESPACES,
    NODES,
    RESOURCE_QUOTAS,
    Json,
    ObjectKey,
    Resource,
    key_of,
)
from gpupool.model.annotations import QUOTA_NAME
from gpupool.model.marks import NODE_LABEL, POOL_LABEL
from gpupool.model.plan import Action, DropQuota, Evict, LabelNamespace, MarkNode, SetPolicies, SetQuota
from gpupool.model.pool import Pool

ATTEMPTS = 3
"""How often a node's taints may change between two of our writes."""


log = logging.getLogger(__name__)

SEEN_TOO_LONG_AGO = "SeenTooLongAgo"
"""Why a raise is decided anew: what it rests on is old, or not known for sure."""
TIMELY = 2.0
"""Seconds that lowerings may take before raises of the same plan are decided anew."""


@dataclass(slots=True)
class Results:
    """What became of a plan's actions.

    Attributes:
        done: actions that the server confirmed.
        failed: actions and the errors that stopped them.
        blocked: evictions that a disruption budget holds for now.
        refused: actions that the recheck kept from being tried.
        unwalled: namespaces whose quota could not be written; nothing new is said to be granted there.
    """

    done: list[Action] = field(default_factory=list)
    failed: list[tuple[Action, KubeError]] = field(default_factory=list)
    blocked: list[Evict] = field(default_factory=list)
    refused: list[Action] = field(default_factory=list)

    @property
    def unwalled(self) -> frozenset[str]:
        """Namespaces whose quota could not be written."""
        missed = [*self.refused, *(action for action, _ in self.failed)]
        return frozenset(a.namespace for a in missed if isinstance(a, SetQuota))


class Executor:
    """Applies the actions of plans, one executor for all pools.

    Args:
        client: for reading a node's taints before they are changed.
        writer: the only way to write.
        policies: the pool policies, kept as the plan asks.
    """

    def __init__(
        self,
        client: KubeClient,
        writer: Writer,
        policies: PolicySet,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._writer = writer
        self._policies = policies
        self._monotonic = monotonic
        self._unsure: dict[str, set[str]] = {}
        """Pool -> namespaces whose quota may have been raised though nobody said so."""

    async def run(self, pool: Pool, actions: Sequence[Action], *, epoch: int) -> Results:
        """Carry out the actions; a failure is noted and does not stop those that do not depend on it."""
        results = Results()
        await self.walls(pool, actions, results, epoch=epoch)
        await self.marks(pool, actions, results, epoch=epoch)
        return results

    async def walls(self, pool: Pool, actions: Sequence[Action], results: Results, *, epoch: int) -> None:
        """The quotas: what requests are told rests on them alone.

        Raises rest on what was seen just now (law 2): where lowering took long, or where it is not known
        whether an earlier raise was taken, they are decided anew.
        """
        began = self._monotonic()
        quotas = [a for a in actions if isinstance(a, SetQuota | DropQuota)]
        raises = [a for a in quotas if _raises(a)]
        await self._together(pool, [a for a in quotas if not _raises(a)], results, epoch)
        unsure = await self._settle(pool, epoch)
        if unsure or self._monotonic() - began > TIMELY:
            results.refused += raises
        else:
            await self._together(pool, raises, results, epoch)

    async def _settle(self, pool: Pool, epoch: int) -> bool:
        """Find out how quotas stand whose raise got no answer; whether there were any."""
        found = self._unsure.pop(pool.name, set())
        for namespace in sorted(found):
            try:
                await settle(self._client, self._writer, namespace, epoch)
            except KubeError as error:
                log.warning("quota not settled", extra={"namespace": namespace, "error": str(error)})
                self._unsure.setdefault(pool.name, set()).add(namespace)
        return bool(found)

    async def marks(self, pool: Pool, actions: Sequence[Action], results: Results, *, epoch: int) -> None:
        """Labels, taints and policies, of which there may be thousands; evictions come last."""
        for group in _runs(a for a in actions if isinstance(a, MarkNode | LabelNamespace | SetPolicies)):
            await self._together(pool, group, results, epoch)
        await self._together(pool, [a for a in actions if isinstance(a, Evict)], results, epoch)

    async def _together(self, pool: Pool, actions: Iterable[Action], results: Results, epoch: int) -> None:
        await asyncio.gather(*(self._attempt(pool, a, results, epoch) for a in actions))

    async def _attempt(self, pool: Pool, action: Action, results: Results, epoch: int) -> None:
        try:
            finished = await self._do(pool, action, epoch)
        except KubeError as error:
            results.failed.append((action, error))
            if error.unsure and _raises(action):
                self._unsure.setdefault(pool.name, set()).add(action.namespace)
            return
        if finished:
            results.done.append(action)
        elif isinstance(action, Evict):
            results.blocked.append(action)

    async def _do(self, pool: Pool, action: Action, epoch: int) -> bool:
        match action:
            case SetQuota():
                await self._quota(pool, action, epoch)
            case DropQuota():
                await self._drop_quota(action, epoch)
            case LabelNamespace() | MarkNode():
                await self.mark(action, epoch=epoch)
            case SetPolicies():
                return await self._policies.ensure(pool, action, epoch=epoch)
            case Evict():
                return await self._evict(action, epoch)
        return True

    async def _quota(self, pool: Pool, action: SetQuota, epoch: int) -> None:
        body = bodies.quota(pool, action, epoch)
        if not action.uid:
            await self._writer.raise_quota(body, on=None, epoch=epoch)
            return
        on = Precondition(action.uid, int(action.resource_version))
        if action.raises:
            await self._writer.raise_quota(body, on=on, epoch=epoch)
        else:
            await lower(self._client, self._writer, body, on=on, epoch=epoch)

    async def _drop_quota(self, action: DropQuota, epoch: int) -> None:
        key = ObjectKey(action.namespace, QUOTA_NAME)
        options = DeleteOptions(uid=action.uid, version=int(action.resource_version or 0))
        await self._writer.delete(RESOURCE_QUOTAS, key, epoch=epoch, options=options)

    async def mark(self, action: LabelNamespace | MarkNode, *, epoch: int) -> None:
        """Write the labels and the taint of one node or namespace."""
        if isinstance(action, LabelNamespace):
            body = bodies.namespace_label(action)
            await self._label(NAMESPACES, body, POOL_LABEL, action, epoch)
        else:
            await self._mark(action, epoch)

    async def _mark(self, action: MarkNode, epoch: int) -> None:
        """Label by server-side apply; the taint by a guarded patch, because that list has no owners.

        Others write to nodes all the time. Once its label is off a node nobody looks for the taint: it is
        tried on the node as it is then.
        """
        for last in (False,) * ATTEMPTS + (True,):
            node = await self._label(NODES, bodies.node_label(action), NODE_LABEL, action, epoch)
            present = node.get("spec", {}).get("taints", [])
            wanted = bodies.taints(present, action.pool if action.taint else None)
            if wanted == present:
                return
            try:
                await self._patch(NODES, node, {"op": "add", "path": "/spec/taints", "value": wanted}, epoch)
            except Conflict:
                if last:
                    raise
            else:
                return

    async def _label(
        self, resource: Resource, body: Json, key: str, action: LabelNamespace | MarkNode, epoch: int
    ) -> Json:
        """Write our label, or give it up; somebody else's too is removed where the action says so."""
        obj = await self._writer.apply(resource, body, epoch=epoch, force=True)
        if action.pool is not None or not action.theirs or key not in obj["metadata"].get("labels", {}):
            return obj
        path = f"/metadata/labels/{key.replace('/', '~1')}"
        return await self._patch(resource, obj, {"op": "remove", "path": path}, epoch)

    async def _patch(self, resource: Resource, obj: Json, operation: Json, epoch: int) -> Json:
        """Change an object exactly as it was seen."""
        version = int(obj["metadata"]["resourceVersion"])
        return await self._writer.json_patch(resource, key_of(obj), [operation], version=version, epoch=epoch)

    async def _evict(self, action: Evict, epoch: int) -> bool:
        pod = action.pod
        if action.force:
            await delete_pod(self._writer, pod.namespace, pod.name, action.uid, epoch=epoch)
            return True
        answer = await evict(self._writer, pod.namespace, pod.name, action.uid, epoch=epoch)
        return not isinstance(answer, BlockedByBudget)


def _raises(action: Action) -> TypeGuard[SetQuota]:
    return isinstance(action, SetQuota) and action.raises


def _runs(marks: Iterable[Action]) -> list[list[Action]]:
    """Neighbours of one kind, which may be written together."""
    groups: list[list[Action]] = []
    for action in marks:
        if groups and type(groups[-1][0]) is type(action):
            groups[-1].append(action)
        else:
            groups.append([action])
    return groups

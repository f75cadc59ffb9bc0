"""The only place that writes what is governed.

Beside it write only the election (its Lease has a connection of its own), the publisher (Events may be lost)
and the release hook (no leader runs then). Everything else goes through one Writer: under the field manager
`gpupool`, with bounded concurrency, tried again where that helps, fenced by the leader's epoch, and told to
the store before the caller goes on, so that the next snapshot holds what was just written.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

from gpupool.applier.retry import RetryPolicy, retried
from gpupool.errors import AlreadyExists, FencedError, KubeError, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import DeleteOptions, Precondition
from gpupool.kube.resources import PODS, RESOURCE_QUOTAS, Json, ObjectKey, Resource
from gpupool.model.annotations import half_made

# Measured, 1,000 applies from one process beside its API server on two cores: 8 at once 3.7 s (2.0 s of our
# CPU), 16 at once 5.0 s (3.0 s), 50 at once 7.3 s (5.7 s): the HTTP pool's bookkeeping grows with its
# connections. At 20 ms an answer, 16 at once still make 800 writes a second, more than one process can send.
CONCURRENCY = 16


class Deletion(StrEnum):
    """What a delete found."""

    GONE = "gone"  # it was there and is not any more
    GOING = "going"  # it waits for finalizers or its grace period
    ABSENT = "absent"  # it was not there


class WriteObserver(Protocol):
    """Hears of every write that the server confirmed; the reflectors' side of read-your-writes."""

    def written(self, resource: Resource, obj: Json) -> None:
        """Take the object as the server has it now."""

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Take note that an object is gone (not merely being deleted)."""


class Writer:
    """Writes under the field manager `gpupool`. Dry runs are told to nobody.

    Every method may raise any KubeError, and FencedError when its epoch is older than one seen
    before or when we lead no more. 429, 5xx and silence are tried again until the policy's time is up;
    refusals are not.

    Args:
        client: the connection.
        observer: hears of confirmed writes.
        policy: how long a call is tried.
        concurrency: how many calls are under way at once.
        rng: spreads retries.
        leads: whether we may write still; asked before every attempt.

    Attributes:
        epoch: the highest epoch seen; writes of an older leader are refused.
    """

    def __init__(
        self,
        client: KubeClient,
        observer: WriteObserver,
        *,
        policy: RetryPolicy | None = None,
        concurrency: int = CONCURRENCY,
        rng: random.Random | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self.epoch = 0
        self._leads = leads
        self._client = client
        self._observer = observer
        self._policy = policy or RetryPolicy()
        self._slots = asyncio.Semaphore(concurrency)
        self._rng = rng or random.Random()  # noqa: S311 - it spreads load, it guards nothing

    async def apply(
        self,
        resource: Resource,
        body: Json,
        *,
        epoch: int,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Apply the fields we own.

        Args:
            resource: the kind.
            body: identity and owned fields; a field left out that we owned before is given up. A
                vanished object is created anew, unless the body went through `Precondition.guarding`.
            epoch: the leader's.
            force: take fields over from other managers; without it they are a Conflict whose
                `contested` names them.
            subresource: `status`, or empty for the object.
            dry_run: ask what would happen.

        Returns:
            The object as the server has it now.
        """
        call = self._client.apply
        obj = await self._send(
            epoch,
            lambda: call(resource, body, force=force, subresource=subresource, dry_run=dry_run),
        )
        return self._tell(resource, obj, dry_run=dry_run)

    async def apply_status(self, resource: Resource, body: Json, *, epoch: int) -> Json:
        """Apply the status, which is ours alone: fields that somebody else set are taken over."""
        return await self.apply(resource, body, epoch=epoch, force=True, subresource="status")

    async def raise_quota(self, body: Json, *, on: Precondition | None, epoch: int) -> Json:
        """Apply a ResourceQuota only if it is still what the decision was made on.

        A first quota is made in two steps: an empty one is created, which fails where another
        process was faster, and our fields are applied to exactly that one. (Fields set by a create
        would stay owned by the create, and an apply alone overwrites what it meets.) An empty
        quota limits nothing, so a crash in between leaves the namespace as it was.

        Args:
            body: identity and owned fields.
            on: the quota in the snapshot; None when there was none.
            epoch: the leader's.

        Raises:
            Conflict: the quota changed, vanished or appeared since; decide again. A write whose
                answer was lost and which is tried again ends here too.
        """
        on = on or Precondition.of(await self._first_quota(body, epoch))
        return await self.apply(RESOURCE_QUOTAS, on.guarding(body), epoch=epoch, force=True)

    async def _first_quota(self, body: Json, epoch: int) -> Json:
        """Create an empty quota, or go on with the empty one that a leader before us left behind.

        Scopes cannot be taken off a quota: with them it would look like a wall, and count some pods only.
        """
        identity = {name: body["metadata"][name] for name in ("namespace", "name")}
        try:
            return await self.create(RESOURCE_QUOTAS, {"metadata": identity}, epoch=epoch)
        except AlreadyExists:
            found = await self._client.look_up(RESOURCE_QUOTAS, identity["name"], identity["namespace"])
            if half_made(found):
                return found
            raise

    async def create(self, resource: Resource, body: Json, *, epoch: int, dry_run: bool = False) -> Json:
        """Create an object that must not exist yet.

        Its fields belong to the create, not to our applies: for what is written once (probes, events).

        Raises:
            AlreadyExists: it does.
        """
        identified = {"apiVersion": resource.api_version, "kind": resource.kind} | body
        obj = await self._send(epoch, lambda: self._client.create(resource, identified, dry_run=dry_run))
        return self._tell(resource, obj, dry_run=dry_run)

    async def json_patch(
        self,
        resource: Resource,
        key: ObjectKey,
        operations: list[Json],
        *,
        version: int,
        epoch: int,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Change a list that is atomic for server-side apply (node taints), or a subresource.

        Args:
            resource: the kind.
            key: the object.
            operations: JSON patch.
            version: resourceVersion that the operations were made for.
            epoch: the leader's.
            subresource: `scale`, whose object is another than the store's, or empty.
            dry_run: ask what would happen.

        Raises:
            Conflict: the object is not that version any more.
            Invalid: an operation does not fit.
        """
        guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": str(version)}
        call = self._client.json_patch
        obj = await self._send(
            epoch,
            lambda: call(
                resource,
                key.name,
                [guard, *operations],
                namespace=key.namespace,
                subresource=subresource,
                dry_run=dry_run,
            ),
        )
        return self._tell(resource, obj, dry_run=dry_run or bool(subresource))

    async def delete(
        self, resource: Resource, key: ObjectKey, *, epoch: int, options: DeleteOptions | None = None
    ) -> Deletion:
        """Delete an object.

        Args:
            resource: the kind.
            key: the object.
            epoch: the leader's.
            options: preconditions. With a uid a namesake is never deleted.

        Raises:
            Conflict: a precondition does not hold.
        """
        chosen = options or DeleteOptions()
        call = self._client.delete
        try:
            answer = await self._send(epoch, lambda: call(resource, key.name, key.namespace, options=chosen))
        except NotFound:
            self._tell_deleted(resource, key, chosen.uid)
            return Deletion.ABSENT
        if answer.get("kind") != "Status":
            # On its way out, or its last state: the watch will tell when it is gone.
            return Deletion.GOING
        uid = (answer.get("details") or {}).get("uid", "")
        self._tell_deleted(resource, key, uid)
        return Deletion.GONE

    async def evict(self, key: ObjectKey, *, epoch: int, options: DeleteOptions) -> None:
        """Ask the Eviction API for a pod's end; see `gpupool.applier.evict` for the answers.

        Raises:
            TooManyRequests: with cause DisruptionBudget a budget holds it.
        """
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "deleteOptions": options.fields(),
        }
        await self._send(
            epoch,
            lambda: self._client.create(PODS, body, subresource="eviction"),
            retryable=lambda error: error.retry and not error.has_cause("DisruptionBudget"),
        )

    async def _send(
        self,
        epoch: int,
        call: Callable[[], Awaitable[Json]],
        retryable: Callable[[KubeError], bool] = lambda error: error.retry,
    ) -> Json:
        async def attempt() -> Json:
            async with self._slots:  # not held during pauses
                self._fence(epoch)  # leadership may have changed while we waited
                return await call()

        return await retried(attempt, self._policy, rng=self._rng, retryable=retryable)

    def _fence(self, epoch: int) -> None:
        if not self._leads():
            raise FencedError("write refused: our lease may have run out")
        if epoch < self.epoch:
            raise FencedError(f"write of epoch {epoch} refused: epoch {self.epoch} has begun")
        self.epoch = epoch

    def _tell(self, resource: Resource, obj: Json, *, dry_run: bool) -> Json:
        if not dry_run:
            self._observer.written(resource, obj)
        return obj

    def _tell_deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        if uid:
            self._observer.deleted(resource, key, uid)

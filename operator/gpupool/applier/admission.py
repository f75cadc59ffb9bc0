"""Brings admission objects to exactly what is wanted, and asks whether they deny."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gpupool.applier.policies import ProbePod
from gpupool.applier.serverside import Writer
from gpupool.errors import Forbidden, Invalid, KubeError
from gpupool.kube import resources as kinds
from gpupool.kube.client import FIELD_MANAGER, KubeClient
from gpupool.kube.resources import Json, ObjectKey

RESOURCES = {
    r.kind: r
    for r in (
        kinds.VALIDATING_POLICIES,
        kinds.VALIDATING_BINDINGS,
        kinds.MUTATING_POLICIES,
        kinds.MUTATING_BINDINGS,
    )
}

Versions = dict[tuple[str, str], str]
"""(kind, name) -> resourceVersion."""
Present = Callable[[str], Versions]
"""Pool name -> the policy objects that carry the pool's label."""


class AdmissionObjects:
    """Admission objects as they should stand.

    Args:
        client: for reads and dry runs.
        writer: the only way to write.
        present: what the mirrors show.
    """

    def __init__(self, client: KubeClient, writer: Writer, present: Present) -> None:
        self._client = client
        self._writer = writer
        self.present = present
        self._stood: dict[tuple[str, str], tuple[Json, str, int]] = {}
        self._mended: dict[str, list[tuple[str, str]]] = {}

    def mended(self, pool: str) -> tuple[tuple[str, str], ...]:
        """Kind and name of what somebody had changed and was written back since the last question."""
        return tuple(self._mended.pop(pool, ()))

    async def bring(self, pool: str, wanted: Iterable[Json], *, epoch: int) -> Versions:
        """Write what is wanted under a pool's label and delete what else carries it; returns what stands."""
        keep: Versions = {}
        there = self.present(pool)
        for body in wanted:
            obj = await self._stand(body, epoch)
            key = (str(body["kind"]), obj["metadata"]["name"])
            keep[key] = obj["metadata"]["resourceVersion"]
            self._note(pool, key, body["spec"], obj["metadata"], there=key in there)
        # Bindings go before the policies they bind, so that nothing is bound to what is not there.
        surplus = sorted(set(self.present(pool)) - set(keep), key=lambda k: not k[0].endswith("Binding"))
        for kind, name in surplus:
            self._stood.pop((kind, name), None)
            await self._writer.delete(RESOURCES[kind], ObjectKey("", name), epoch=epoch)
        return keep

    def _note(self, pool: str, key: tuple[str, str], spec: Json, meta: Json, *, there: bool) -> None:
        """Remember how an object stands, and whether it had to be brought back to what it was."""
        before, now = self._stood.get(key), (spec, str(meta.get("uid")), int(meta.get("generation", 0)))
        if before is not None and before[0] == spec and (before != now or not there):
            self._mended.setdefault(pool, []).append(key)
        self._stood[key] = now

    async def _stand(self, body: Json, epoch: int) -> Json:
        """Bring one object to exactly what is wanted; returns it as the server has it.

        Server-side apply merges lists, and leaves fields alone that others set: a `Warn` beside our `Deny`, a
        match condition that is never true. So where somebody else owns a part of the spec, it is replaced.
        """
        resource, name = RESOURCES[str(body["kind"])], body["metadata"]["name"]
        try:
            obj = await self._writer.apply(resource, body, epoch=epoch, force=True)
        except Invalid:  # what others added does not go together with ours; or ours is wrong, said below
            obj = await self._client.get(resource, name)
        else:
            if not _shared(obj):
                return obj
        operation = {"op": "replace", "path": "/spec", "value": body["spec"]}
        version = int(obj["metadata"]["resourceVersion"])
        return await self._writer.json_patch(
            resource, ObjectKey("", name), [operation], version=version, epoch=epoch
        )

    async def attempt(self, body: Json) -> None:
        """Create a pod as a dry run.

        Raises:
            KubeError: it was not let in.
        """
        await self._client.create(kinds.PODS, body, dry_run=True)

    async def open(self, attempts: Iterable[ProbePod]) -> tuple[str, ...]:
        """Names of the attempts that did not get the answer they must get; empty when all did."""
        return tuple([a.name for a in attempts if not await self._as_expected(a)])

    async def _as_expected(self, attempt: ProbePod) -> bool:
        body: Json = dict(attempt.manifest)
        try:
            await self._client.create(kinds.PODS, body, dry_run=True)
        except Forbidden as error:
            denied = attempt.policy in error.failure.message
            return denied if attempt.expect_denied else not denied
        except KubeError:
            return False
        return not attempt.expect_denied


def _shared(obj: Json) -> bool:
    """Whether another manager than ours owns a part of the object's spec."""
    entries = obj["metadata"].get("managedFields", [])
    return any(e.get("manager") != FIELD_MANAGER and "f:spec" in e.get("fieldsV1", {}) for e in entries)

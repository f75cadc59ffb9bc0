"""Keeps the admission policies of the pools as their plans ask, and proves that they deny."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpupool.applier.policies import PoolPolicySpec, ProbePod, pool_policies, probe_pods
from gpupool.applier.serverside import Writer
from gpupool.errors import Forbidden, Invalid, KubeError
from gpupool.kube import resources as kinds
from gpupool.kube.client import FIELD_MANAGER, KubeClient
from gpupool.kube.resources import Json, ObjectKey
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Pool

RESOURCES = {
    r.kind: r
    for r in (
        kinds.VALIDATING_POLICIES,
        kinds.VALIDATING_BINDINGS,
        kinds.MUTATING_POLICIES,
        kinds.MUTATING_BINDINGS,
    )
}

Present = Callable[[str], dict[tuple[str, str], str]]
"""Pool name -> (kind, name) -> resourceVersion of the policy objects that carry the pool's label."""


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What policies depend on beside the pool."""

    exempt_namespaces: tuple[str, ...]
    break_glass_group: str
    probe_namespace: str


@dataclass(slots=True)
class _Written:
    """What was last written for a pool (its uid and generation), and at which versions it stood then."""

    asked: SetPolicies | None = None
    of: tuple[str, int] = ("", -1)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)


class PolicySet:
    """Policies of all pools.

    Args:
        client: for dry-run probes.
        writer: the only way to write.
        context: exempt namespaces and so on.
        present: what the mirrors show.
    """

    def __init__(self, client: KubeClient, writer: Writer, context: PolicyContext, present: Present) -> None:
        self._client = client
        self._writer = writer
        self._context = context
        self._present = present
        self._written: dict[str, _Written] = {}

    def spec(self, pool: Pool, asked: SetPolicies) -> PoolPolicySpec:
        """What the pool's policies are made of."""
        return PoolPolicySpec(
            pool=pool.name,
            uid=pool.uid,
            resources=pool.resources,
            enforce=asked.enforce,
            recommend_namespaces=asked.recommend,
            mutate=asked.mutate,
            exempt_namespaces=self._context.exempt_namespaces,
            break_glass_group=self._context.break_glass_group,
            probe_namespace=self._context.probe_namespace,
            nodes_labelled=asked.nodes_labelled,
        )

    def current(self, pool: Pool, asked: SetPolicies) -> bool:
            rehearse=asked.rehearse,
            priority_classes=pool.priority_classes,
            schedulers=pool.schedulers,
        """Whether what was asked stands as it was written; somebody's change shows as another version."""
        known = self._written.get(pool.name, _Written())
        same = known.asked == asked and known.of == (pool.uid, pool.generation)
        return same and known.versions == self._present(pool.name)

    async def ensure(self, pool: Pool, asked: SetPolicies, *, epoch: int) -> bool:
        """Write what is not as asked; True when something was written."""
        if self.current(pool, asked):
            return False
        wanted = pool_policies(self.spec(pool, asked)) if _any(asked) else []
        keep: dict[tuple[str, str], str] = {}
        for body in wanted:
            obj = await self._stand(body, epoch)
            keep[(str(body["kind"]), obj["metadata"]["name"])] = obj["metadata"]["resourceVersion"]
        # Bindings go before the policies they bind, so that nothing is bound to what is not there.
        surplus = sorted(
            set(self._present(pool.name)) - set(keep), key=lambda k: not k[0].endswith("Binding")
        )
        for kind, name in surplus:
            await self._writer.delete(RESOURCES[kind], ObjectKey("", name), epoch=epoch)
        self._written[pool.name] = _Written(asked, (pool.uid, pool.generation), keep)
        return True

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

    async def probe(self, pool: Pool, asked: SetPolicies) -> tuple[str, ...]:
        """Names of the attempts that did not get the answer they must get; empty when all did."""
        attempts = probe_pods(self.spec(pool, asked))
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


def _any(asked: SetPolicies) -> bool:
    return asked.enforce or bool(asked.recommend)

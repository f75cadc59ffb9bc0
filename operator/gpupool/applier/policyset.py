"""Keeps the admission policies of the pools as their plans ask, and proves that they deny."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpupool.applier.admission import AdmissionObjects, Present, Versions
from gpupool.applier.policies import PoolPolicySpec, enforcing_binding, pool_policies, probe_pods
from gpupool.applier.policies.answers import denying, refusal, warning
from gpupool.applier.policies.replay import replay_pod
from gpupool.applier.serverside import Writer
from gpupool.errors import Forbidden
from gpupool.kube import resources as kinds
from gpupool.kube.client import KubeClient
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Pool
from gpupool.model.world import Template


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
    versions: Versions = field(default_factory=dict)


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
        self._context = context
        self._standing = AdmissionObjects(client, writer, present)
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
            rehearse=asked.rehearse,
            priority_classes=pool.priority_classes,
            schedulers=pool.schedulers,
        )

    def asked(self, pool: Pool) -> SetPolicies | None:
        """What was last written for a pool; None where nothing was decided yet."""
        known = self._written.get(pool.name)
        return None if known is None or known.of[0] != pool.uid else known.asked

    def bound(self, pool: str) -> bool:
        """Whether the policy that denies is bound to the pool's namespaces."""
        return (kinds.VALIDATING_BINDINGS.kind, enforcing_binding(pool)) in self._standing.present(pool)

    def current(self, pool: Pool, asked: SetPolicies) -> bool:
        """Whether what was asked stands as it was written; somebody's change shows as another version."""
        known = self._written.get(pool.name, _Written())
        same = known.asked == asked and known.of == (pool.uid, pool.generation)
        return same and known.versions == self._standing.present(pool.name)

    async def ensure(self, pool: Pool, asked: SetPolicies, *, epoch: int) -> bool:
        """Write what is not as asked; True when something was written."""
        if self.current(pool, asked):
            return False
        wanted = pool_policies(self.spec(pool, asked)) if _any(asked) else []
        keep = await self._standing.bring(pool.name, wanted, epoch=epoch)
        self._written[pool.name] = _Written(asked, (pool.uid, pool.generation), keep)
        return True

    def mended(self, pool: str) -> tuple[tuple[str, str], ...]:
        """Kind and name of policies that somebody changed and that were written back since asked last."""
        return self._standing.mended(pool)

    async def probe(self, pool: Pool, asked: SetPolicies) -> tuple[str, ...]:
        """Names of the attempts that did not get the answer they must get; empty when all did."""
        return await self._standing.open(probe_pods(self.spec(pool, asked)))

    async def rehearse(self, pool: Pool, asked: SetPolicies, template: Template) -> str:
        """What the pool's policies say against the pods of a live template; empty where they let them in.

        Raises:
            KubeError: there was no answer of theirs.
        """
        spec = self.spec(pool, asked)
        heard: list[str] = []
        try:
            body = replay_pod(spec, template.text, loose=template.loose)
            await self._client.create(kinds.PODS, body, dry_run=True, warnings=heard)
        except Forbidden as error:
            found = refusal(denying(spec.pool), error.failure.message)
            if found is None:
                raise
            return found
        return next(filter(None, (warning(spec, text) for text in heard)), "")


def _any(asked: SetPolicies) -> bool:
    return asked.judges or bool(asked.recommend)

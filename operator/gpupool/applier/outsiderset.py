"""Keeps the policies about pods outside the pools, and the pods that audits try things on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from gpupool.applier.admission import AdmissionObjects, Versions
from gpupool.applier.evict import delete_pod
from gpupool.applier.policies.answers import OUTSIDERS, refusal
from gpupool.applier.policies.outside_probe import kept_name, kept_pod, outsider_probes
from gpupool.applier.policies.outsider_policies import NO_POOL, OutsiderSpec, outsider_policies
from gpupool.applier.policies.replay import outsider_replay
from gpupool.applier.policyset import PolicyContext
from gpupool.applier.serverside import Writer
from gpupool.errors import Conflict, Forbidden, KubeError
from gpupool.kube.resources import PODS
from gpupool.model.objects import Pod
from gpupool.model.outsiders import SetOutsiders
from gpupool.model.pool import Pool
from gpupool.model.world import Template

log = logging.getLogger(__name__)


class OutsiderSet:
    """One set for the whole cluster.

    Args:
        standing: how objects are written and probed.
        writer: the only way to write.
        context: exempt namespaces and so on.
    """

    def __init__(self, standing: AdmissionObjects, writer: Writer, context: PolicyContext) -> None:
        self._standing = standing
        self._writer = writer
        self._context = context
        self._written: tuple[SetOutsiders | None, Versions] | None = None

    @property
    def probe_namespace(self) -> str:
        """Where the kept pods are."""
        return self._context.probe_namespace

    def current(self, asked: SetOutsiders | None) -> bool:
        """Whether it stands as it was written; somebody's change shows as another version."""
        return self._written == (asked, self._standing.present(NO_POOL))

    async def ensure(self, asked: SetOutsiders | None, *, epoch: int) -> bool:
        """Write what is not as asked; True when something was written."""
        if self.current(asked):
            return False
        wanted = [] if asked is None else outsider_policies(self._spec(asked))
        self._written = (asked, await self._standing.bring(NO_POOL, wanted, epoch=epoch))
        return True

    async def probe(self, asked: SetOutsiders) -> tuple[str, ...]:
        """Names of the attempts that did not get the answer they must get."""
        return await self._standing.open(outsider_probes(self._spec(asked)))

    async def rehearse(self, template: Template) -> str:
        """What the policies say against the pods of a template outside the pools; empty: they let them in.

        In the probe namespace they deny also while everybody else is only warned.

        Raises:
            KubeError: there was no answer of theirs.
        """
        try:
            await self._standing.attempt(outsider_replay(self.probe_namespace, template.text))
        except Forbidden as error:
            found = refusal(OUTSIDERS, error.failure.message)
            if found is None:
                raise
            return found
        return ""

    def _spec(self, asked: SetOutsiders) -> OutsiderSpec:
        context = self._context
        return OutsiderSpec(
            asked=asked,
            exempt_namespaces=context.exempt_namespaces,
            break_glass_group=context.break_glass_group,
            probe_namespace=context.probe_namespace,
        )

    async def keep_pods(self, pools: Iterable[Pool], present: Mapping[str, Pod], *, epoch: int) -> None:
        """Have one pod for each of the pools in the probe namespace, and none for others.

        One that is not let in keeps nothing else from being done: it is tried again in the next turn.

        Args:
            pools: those that enforce isolation.
            present: the pods that are kept, by name.
            epoch: the leader's.
        """
        wanted = {kept_name(p.name): p for p in pools}
        for name, pod in present.items():
            if name not in wanted or set(pod.gpus) != set(wanted[name].resources):
                with _said(name):
                    await delete_pod(self._writer, self.probe_namespace, name, pod.uid, epoch=epoch)
        for name, pool in wanted.items():
            if name not in present:
                with _said(name):
                    await self._create(pool, epoch)

    async def _create(self, pool: Pool, epoch: int) -> None:
        try:
            await self._writer.create(PODS, kept_pod(self.probe_namespace, pool), epoch=epoch)
        except Conflict:  # it is there; the mirror will show it
            return


@contextmanager
def _said(pod: str) -> Iterator[None]:
    """What the API server has against a kept pod is a line in the log."""
    try:
        yield
    except KubeError as error:
        log.warning("pod for audits not kept", extra={"pod": pod, "error": str(error)})

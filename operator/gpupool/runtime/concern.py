"""Whom a change concerns: a pool's own, or everybody. A write in one pool does not wake a hundred others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from gpupool.collector.projections import QuotaFacts
from gpupool.collector.store import Change
from gpupool.kube import resources as kinds
from gpupool.model.objects import Pod, Remembered, Request
from gpupool.model.slo import Slo
from gpupool.model.steering import Target
from gpupool.policy.membership import Membership
from gpupool.runtime.reading import Tracked

Concerned = frozenset[str] | None
"""Names of pools; None for all."""

NOBODY: Final[frozenset[str]] = frozenset()
WITHIN_A_NAMESPACE: Final = frozenset(
    resource.plural
    for resource in (
        kinds.CAPACITY_REQUESTS,
        kinds.RESOURCE_QUOTAS,
        kinds.PODS,
        kinds.REPLICA_SETS,
        kinds.STATEFUL_SETS,
        kinds.DEPLOYMENTS,
        kinds.JOBS,
        kinds.CRON_JOBS,
        kinds.EVENTS,
        kinds.INFERENCE_SLOS,
    )
)
"""Kinds that say something only about the pool of their namespace, and of the node they are bound to."""


_NOTHING: Final = Remembered()


class Concern:
    """Knows what belonged to which pool when the cluster was last surveyed."""

    def __init__(self) -> None:
        self._found: Membership | None = None
        self._pool_of_node: dict[str, str] = {}

    def learn(self, found: Membership) -> None:
        """Take what belongs to which pool now."""
        self._found = found
        self._pool_of_node = {n.name: pool for pool, own in found.members.items() for n in own.nodes}

    def of(self, plural: str, change: Change[Any] | None) -> Concerned:
        """Whom a change concerns.

        Args:
            plural: of the kind that changed.
            change: what changed; None when it is not told.
        """
        if change is None or self._found is None:
            return None
        values = [value for value in (change.old, change.new) if value is not None]
        if plural == kinds.GPU_POOLS.plural and _same_pool(values):
            return NOBODY  # its status, which decides nothing
        if plural not in WITHIN_A_NAMESPACE:
            return None
        return frozenset(self._pools(change.key.namespace, values))

    def _pools(self, namespace: str, values: Iterable[Any]) -> Iterator[str]:
        """The namespace's pool, those of nodes that pods are bound to, those that quotas carry."""
        if owner := self._found and self._found.pool_of_namespace.get(namespace):
            yield owner
        for value in values:
            if isinstance(value, Pod) and (pool := self._pool_of_node.get(value.node or "")):
                yield pool
            if isinstance(value, QuotaFacts) and value.pool:
                yield value.pool


def disturbs(plural: str, change: Change[Any] | None) -> bool:
    """Whether a change may speak against what was just decided, so that it must be looked at once more.

    Two do not, and among 10,000 requests nearly all changes are of these: a new request takes nothing back
    that others were given a moment ago, and a status is written by us alone. What an endpoint's status says
    decides about its request, but for the numbers in it.
    """
    if plural == kinds.INFERENCE_SLOS.plural:
        return tells(plural, change)
    if change is None or plural != kinds.CAPACITY_REQUESTS.plural or change.new is None:
        return True
    return change.old is not None and _asked(change.old) != _asked(change.new)


def tells(plural: str, change: Change[Any] | None) -> bool:
    """Whether a change may decide anything.

    Numbers that move with every request of an endpoint do not, nor does anything of a Deployment but the
    course of its rollout: what else it wants is seen on its ReplicaSets.
    """
    if change is None:
        return True
    if plural == kinds.DEPLOYMENTS.plural:
        return _course(change.old) != _course(change.new)
    if plural != kinds.INFERENCE_SLOS.plural or change.old is None or change.new is None:
        return True
    return _gist(change.old) != _gist(change.new)


def _course(target: Target | None) -> tuple[object, ...]:
    """What a pool's decision sees of a rollout."""
    if target is None or not target.old:
        return ()
    return (target.stepped, target.rollable is not None and target.rollable.failed)


def _gist(tracked: Tracked) -> tuple[object, ...]:
    """What a pool's decision sees of an endpoint."""
    value = tracked.value
    return value.standing.gist if isinstance(value, Slo) and value.standing is not None else ()


def _asked(tracked: Tracked) -> Any:
    """What a request asks, without what its status says."""
    return replace(tracked.value, remembered=_NOTHING) if isinstance(tracked.value, Request) else tracked


def _same_pool(values: Sequence[Any]) -> bool:
    asked = [v.value for v in values if isinstance(v, Tracked)]
    return len(asked) == len(values) > 1 and asked[0] == asked[1]

"""A grant is told when its wall lets pods in: the quota controller takes `hard` over a moment later.

Whoever reads Granted may create pods at once. The wait is short as a rule; where it lasts, the request is
told that its quota is not in force yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from gpupool.applier.execute import Results
from gpupool.collector.projections import QuotaFacts
from gpupool.kube.resources import ObjectKey
from gpupool.model.annotations import QUOTA_NAME
from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Notice, RequestStatus, SetQuota, Status, Verdict
from gpupool.model.reasons import Phase, Reason
from gpupool.model.snapshot import Snapshot

MOMENT = 1.0
"""Seconds that a cycle waits for the quotas it has just raised."""
POLL = 0.02
"""Seconds between two looks, which cost nothing: the store is in memory."""
LONG = 10.0
"""Seconds after which a request is told that it waits for its quota."""

Quotas = Callable[[ObjectKey], QuotaFacts | None]


class GrantGate:
    """Holds back what is not true yet.

    Args:
        quota: what is known of a namespace's quota of ours.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, quota: Quotas, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._quota = quota
        self._monotonic = monotonic
        self._since: dict[Key, float] = {}

    def tellable_notices(self, notices: Iterable[Notice]) -> tuple[Notice, ...]:
        """The Events, without those of requests that wait."""
        return tuple(n for n in notices if n.kind != "CapacityRequest" or n.key not in self._since)

    async def settle(self, results: Results) -> None:
        """Wait a moment until the quotas that were raised are in force."""
        raised = [a for a in results.done if isinstance(a, SetQuota) and a.raises]
        until = self._monotonic() + MOMENT
        while raised and self._monotonic() < until:
            await asyncio.sleep(POLL)
            raised = [a for a in raised if not all(self._in_force(a.namespace, r) for r in a.hard)]

    def tellable(
        self, statuses: Iterable[RequestStatus], snapshot: Snapshot, results: Results
    ) -> list[RequestStatus]:
        """The statuses that may be told now, those that wait for long in other words."""
        before = {r.key: r.remembered.granted or 0 for r in snapshot.requests}
        told, waiting = [], {}
        for status in statuses:
            known = before.get(status.key, 0)
            if status.granted <= known:
                told.append(status)
            elif status.key.namespace in results.unwalled:
                continue
            elif self._in_force(status.key.namespace, status.resource):
                told.append(status)
            else:
                waiting[status.key] = self._since.get(status.key, self._monotonic())
                if self._monotonic() - waiting[status.key] >= LONG:
                    told.append(_waits(status, known))
        self._since = waiting
        return told

    def _in_force(self, namespace: str, resource: str) -> bool:
        """Whether pods are counted against what we wrote; without a quota of ours nothing is counted."""
        quota = self._quota(ObjectKey(namespace, QUOTA_NAME))
        if quota is None or not quota.ours or resource not in quota.hard:
            return True
        return not quota.opening and quota.status_hard.get(resource, 0) >= quota.hard[resource]


def _waits(status: RequestStatus, granted: int) -> RequestStatus:
    """The status of a grant whose wall does not let its pods in yet."""
    message = (
        f"{status.granted} of {status.asked} GPUs are given, and the quota that lets their pods in is not in"
        " force yet: the cluster's quota controller has not taken it over."
    )
    verdict = Verdict(Reason.QUOTA_NOT_IN_FORCE, message)
    others = tuple(c for c in status.conditions if c.type != "Granted")
    return replace(
        status,
        phase=Phase.PARTIAL if granted else Phase.PENDING,
        verdict=verdict,
        conditions=(Condition("Granted", Status.FALSE, verdict.reason, message), *others),
        granted=granted,
        allowance=min(granted, status.allowance),
        granted_at=status.granted_at if granted else None,
    )

"""Which pods of an endpoint start, which have started, and how long it took, as the API server shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gpupool.collector.engines.signals import Births
from gpupool.model.objects import Key, Pod
from gpupool.model.signals import Started, Starting
from gpupool.model.slo import Slo
from gpupool.runtime.workloads import Owned


def births(slos: Iterable[Slo], by_owner: Owned, now: datetime) -> Mapping[Key, Births]:
    """Start-ups by endpoint.

    Args:
        slos: all of them.
        by_owner: the cluster's pods by namespace and top owner.
        now: the server's time.
    """
    return {slo.key: _of(by_owner.get(slo.at, ()), now) for slo in slos}


def _of(pods: Sequence[Pod], now: datetime) -> Births:
    living = [p for p in pods if not p.terminating and p.created is not None]
    newest = max(living, key=lambda p: (_seconds(p.created), p.key), default=None)
    return Births(
        starting=tuple(
            Starting(p.key.name, max(0.0, now.timestamp() - _seconds(p.created)), bound=p.node is not None)
            for p in living
            if not p.ready
        ),
        started=tuple(
            Started(
                p.ready_at.timestamp(),
                p.ready_at.timestamp() - _seconds(p.created),
                p.key.name,
                now.timestamp() - p.ready_at.timestamp(),
            )
            for p in living
            if p.ready and p.ready_at is not None
        ),
        recipe=newest.recipe if newest else "",
        containers={p.key.name: p.containers for p in living},
    )


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0

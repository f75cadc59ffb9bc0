"""Quotas of somebody else in a namespace: never edited, always named, and the smaller limit holds."""

from __future__ import annotations

from collections.abc import Mapping

from gpupool.model.objects import ForeignQuota
from gpupool.model.snapshot import Snapshot


def smallest(snapshot: Snapshot, resource: str) -> Mapping[str, ForeignQuota]:
    """Namespaces in which a foreign quota limits the resource for every pod, with the tightest one.

    Quotas with scopes count some pods only, so they limit nobody for sure.
    """
    found: dict[str, ForeignQuota] = {}
    for namespace in snapshot.namespaces:
        limits = [q for q in namespace.foreign if resource in q.hard and not q.scoped]
        if limits:
            found[namespace.name] = min(limits, key=lambda q: (q.hard[resource], q.name))
    return found

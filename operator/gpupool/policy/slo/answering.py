"""Of several InferenceSLOs on one workload the oldest answers for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from gpupool.model.objects import Key, ObjectRef

Workload = tuple[str, ObjectRef]
"""Its namespace and reference."""


class Promise(Protocol):
    """An InferenceSLO, or what its status says of its endpoint."""

    @property
    def key(self) -> Key:
        """Of the InferenceSLO."""

    @property
    def created(self) -> datetime:
        """When it was made."""

    @property
    def target(self) -> ObjectRef:
        """Its workload."""


Made = TypeVar("Made", bound=Promise)


def oldest(promises: Iterable[Made]) -> Mapping[Workload, Made]:
    """Who answers, by workload, older ones first."""
    found: dict[Workload, Made] = {}
    for promise in sorted(promises, key=lambda p: (p.created, p.key)):
        found.setdefault((promise.key.namespace, promise.target), promise)
    return found

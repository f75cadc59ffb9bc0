"""Giving fields up: the server forgets that we wrote them, so that their owner's next apply meets nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpupool.kube.client import FIELD_MANAGER
from gpupool.kube.resources import Json


def foreign_of(metadata: Mapping[str, Any]) -> list[Json]:
    """What is known of owners beside us; what we own of its status stays."""
    return [
        entry
        for entry in metadata.get("managedFields", [])
        if entry.get("manager") != FIELD_MANAGER or entry.get("subresource")
    ]


def unowned(metadata: Mapping[str, Any]) -> list[Json]:
    """JSON patch operations that take our name off an object; what we own of its status stays."""
    foreign = foreign_of(metadata)
    if not foreign:  # an empty list would be taken as: reset what is known of all owners
        return []
    return [{"op": "replace", "path": "/metadata/managedFields", "value": foreign}]


def pointer(*steps: str) -> str:
    """A JSON pointer."""
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)

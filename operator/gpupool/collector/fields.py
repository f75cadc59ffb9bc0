"""Small parts that raw objects have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gpupool.model.objects import ObjectRef


def moment(text: str | None) -> datetime | None:
    """A time as the API server writes it."""
    return None if not text else datetime.fromisoformat(text)


def controller_of(meta: Mapping[str, Any]) -> ObjectRef | None:
    """The controlling owner of an object."""
    for owner in meta.get("ownerReferences", ()):
        if owner.get("controller"):
            return ObjectRef(owner["apiVersion"], owner["kind"], owner["name"])
    return None

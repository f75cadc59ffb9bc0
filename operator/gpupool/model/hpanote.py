"""What we note on an HPA that we adopted: its owner's values, ours, and when somebody rewrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gpupool.model.annotations import GROUP, read_json
from gpupool.model.steering import Limits, Originals, canonical

ORIGINALS: Final = f"{GROUP}hpa-originals"
"""The annotation."""


def limits_of(spec: Mapping[str, Any]) -> Limits:
    """The fields of an HPA's spec that we steer; the server's default of a minimum is 1.

    Raises:
        KeyError, TypeError, ValueError: these are none.
    """
    return Limits(
        int(spec.get("minReplicas", 1)), int(spec["maxReplicas"]), canonical(spec.get("behavior") or {})
    )


def fields_of(limits: Limits) -> dict[str, Any]:
    """The same as fields of a spec."""
    behavior = {"behavior": json.loads(limits.behavior)} if limits.behavior else {}
    return {"minReplicas": limits.low, "maxReplicas": limits.high, **behavior}


def write_note(note: Originals) -> str:
    """The annotation's text: the same for the same note."""
    row: dict[str, Any] = {**fields_of(note.theirs), "written": fields_of(note.written)}
    if note.rewrites:
        row["rewrites"] = [at.isoformat() for at in note.rewrites]
    if note.asleep:
        row["asleep"] = note.asleep
    return canonical(row)


def read_note(text: str) -> Originals | None:
    """A note; None where there is none, or somebody broke it by hand."""
    row = read_json(text)
    try:
        rewrites = tuple(datetime.fromisoformat(at) for at in row.get("rewrites", ()))
        if any(at.tzinfo is None for at in rewrites):
            return None
        return Originals(
            limits_of(row), limits_of(row["written"]), rewrites, max(0, int(row.get("asleep", 0)))
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None

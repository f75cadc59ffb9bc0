"""What we note on a scaler that we adopted: its owner's values, ours, and when somebody rewrote them.

The note is written in an HPA's words, whatever it stands on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from gpupool.model.annotations import GROUP, read_json, read_moments
from gpupool.model.steering import Limits, Originals, canonical

ORIGINALS: Final = f"{GROUP}hpa-originals"
"""The annotation."""
LOW: Final = "minReplicas"
HIGH: Final = "maxReplicas"


def limits_of(spec: Mapping[str, Any]) -> Limits:
    """The fields of an HPA's spec that we steer; the server's default of a minimum is 1.

    Raises:
        KeyError, TypeError, ValueError: these are none.
    """
    return Limits(int(spec.get(LOW, 1)), int(spec[HIGH]), rules_of(spec.get("behavior")))


def rules_of(behavior: Any) -> str:
    """A behaviour as text; empty for none.

    Raises:
        AttributeError, KeyError, TypeError: it is none, as anybody may write a note.
    """
    found = behavior or {}
    for direction in ("scaleDown", "scaleUp"):
        rules = found.get(direction, {})
        sum(policy["value"] for policy in rules.get("policies") or ())
        _ = rules.get("stabilizationWindowSeconds", 0) + 0
    return canonical(found)


def fields_of(limits: Limits) -> dict[str, Any]:
    """The same as fields of a spec; what was not written is left out."""
    numbers = {LOW: limits.low, HIGH: limits.high}
    behavior = {"behavior": json.loads(limits.behavior)} if limits.behavior else {}
    return {**{name: n for name, n in numbers.items() if name not in limits.unsaid}, **behavior}


def write_note(note: Originals) -> str:
    """The annotation's text: the same for the same note."""
    row: dict[str, Any] = {**fields_of(note.theirs), "written": fields_of(note.written)}
    if note.rewrites:
        row["rewrites"] = [at.isoformat() for at in note.rewrites]
    if note.asleep:
        row["asleep"] = note.asleep
    return canonical(row)


def read_note(text: str, read: Callable[[Mapping[str, Any]], Limits] = limits_of) -> Originals | None:
    """A note; None where there is none, or somebody broke it by hand.

    Args:
        text: the annotation's.
        read: how its owner's values are read.
    """
    row = read_json(text)
    try:
        rewrites = read_moments(row.get("rewrites", ()))
        return Originals(read(row), limits_of(row["written"]), rewrites, max(0, int(row.get("asleep", 0))))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None

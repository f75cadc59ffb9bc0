"""What we note on a VPA: its owner's container policies, ours, and when somebody rewrote them."""

from __future__ import annotations

import json
from typing import Any, Final

from gpupool.model.annotations import GROUP, read_json, read_moments
from gpupool.model.resources import VpaNote
from gpupool.model.steering import canonical

ORIGINALS: Final = f"{GROUP}vpa-originals"
"""The annotation."""


def write_note(note: VpaNote) -> str:
    """The annotation's text: the same for the same note."""
    row: dict[str, Any] = {"written": json.loads(note.written)}
    if note.theirs:
        row["containerPolicies"] = json.loads(note.theirs)
    if note.rewrites:
        row["rewrites"] = [at.isoformat() for at in note.rewrites]
    if note.made:
        row["made"] = True
    return canonical(row)


def read_note(text: str) -> VpaNote | None:
    """A note; None where there is none, or somebody broke it by hand."""
    row = read_json(text)
    try:
        rewrites = read_moments(row.get("rewrites", ()))
        written, theirs = row["written"], row.get("containerPolicies", [])
        if not (written and _sound(written) and _sound(theirs)):
            return None
        return VpaNote(canonical(theirs), canonical(written), rewrites, row.get("made") is True)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _sound(policies: Any) -> bool:
    """Whether these are container policies as far as they are read: anybody may write a note."""
    return isinstance(policies, list) and all(
        isinstance(policy, dict)
        and isinstance(policy.get("containerName", ""), str)
        and all(isinstance(policy.get(name) or {}, dict) for name in ("minAllowed", "maxAllowed"))
        and isinstance(policy.get("controlledResources") or [], list)
        for policy in policies
    )

"""What we note on a Deployment whose rollout we paused or turned back: to which revision, and what it was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gpupool.model.annotations import GROUP
from gpupool.model.rollout import Acted

NOTE: Final = f"{GROUP}rollout-guard"
"""The annotation."""
MOST: Final = 5
"""Deeds that are remembered, the newest."""
PAUSE: Final = "Pause"
ROLLBACK: Final = "Rollback"


def write_acted(acted: Sequence[Acted]) -> str:
    """The annotation's text: the same for the same deeds."""
    rows = [
        {"action": a.action, "revision": a.revision, "template": a.template} | ({"to": a.to} if a.to else {})
        for a in acted[-MOST:]
    ]
    return json.dumps(rows, sort_keys=True, separators=(",", ":"))


def read_acted(text: str) -> tuple[Acted, ...]:
    """The deeds; what somebody broke by hand is left out."""
    try:
        rows = json.loads(text or "[]")
    except ValueError:
        return ()
    found = (_deed(row) for row in rows) if isinstance(rows, list) else ()
    return tuple(deed for deed in found if deed is not None)


def _deed(row: Any) -> Acted | None:
    if not isinstance(row, Mapping):
        return None
    values = [row.get(name, "") for name in ("action", "revision", "template", "to")]
    action, revision, template, to = values
    fits = all(isinstance(value, str) for value in values) and action in {PAUSE, ROLLBACK}
    return Acted(action, revision, template, to) if fits and revision else None

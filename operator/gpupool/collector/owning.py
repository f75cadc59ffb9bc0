"""Whose the fields of an object are that others write too: what goes back is ours, and no more (law 12).

The server notes for every field who wrote it. An admin or an autoscaler's template may have set our label and
our taint before; where they did, both are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gpupool.kube.client import FIELD_MANAGER
from gpupool.kube.resources import Json
from gpupool.model.marks import TAINT


def label_is_ours(raw: Json, label: str) -> bool:
    """Whether we are among those who wrote a label."""
    return any(f"f:{label}" in _below(fields, "f:metadata", "f:labels") for fields in _fields(raw))


def taint_is_ours(raw: Json) -> bool:
    """Whether our taint is on a node and the list of taints was last written by us: it has one owner."""
    taints = raw.get("spec", {}).get("taints", ())
    written = any("f:taints" in _below(fields, "f:spec") for fields in _fields(raw))
    return written and any(t["key"] == TAINT for t in taints)


def spec_field_is_ours(raw: Json, name: str) -> bool:
    """Whether we are among those who wrote a field of the spec."""
    return any(f"f:{name}" in _below(fields, "f:spec") for fields in _fields(raw))


def others_writing(raw: Json, steered: Callable[[Mapping[str, Any]], bool]) -> tuple[str, ...]:
    """Managers beside us that wrote a field which we steer.

    Args:
        raw: the object.
        steered: whether one of those is among fields of the spec, by the names that the server notes.
    """
    entries = raw["metadata"].get("managedFields", ())
    others = (e for e in entries if e.get("manager") != FIELD_MANAGER)
    writing = (e for e in others if steered(_below(e.get("fieldsV1", {}), "f:spec")))
    return tuple(sorted({e.get("manager", "") for e in writing}))


def _fields(raw: Json) -> Iterator[Mapping[str, Any]]:
    for entry in raw["metadata"].get("managedFields", ()):
        if entry.get("manager") == FIELD_MANAGER and not entry.get("subresource"):
            yield entry.get("fieldsV1", {})


def _below(fields: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for step in path:
        fields = fields.get(step, {})
    return fields

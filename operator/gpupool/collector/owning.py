"""Which marks on an object others write too were written by us: what goes back is that, and no more (law 12).

The server notes for every field who wrote it. An admin or an autoscaler's template may have set our label and
our taint before; where they did, both are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def _fields(raw: Json) -> Iterator[Mapping[str, Any]]:
    for entry in raw["metadata"].get("managedFields", ()):
        if entry.get("manager") == FIELD_MANAGER and not entry.get("subresource"):
            yield entry.get("fieldsV1", {})


def _below(fields: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for step in path:
        fields = fields.get(step, {})
    return fields

"""Projection of a Deployment's rollout: its template as a digest, who paused it, what we noted on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gpupool.collector.owning import spec_field_is_ours
from gpupool.kube.resources import Json
from gpupool.model.rollout import TEMPLATE_HASH, Rollable
from gpupool.model.rolloutnote import NOTE, read_acted

DIGEST_BYTES = 8
REVISION_LABELS = (TEMPLATE_HASH, "controller-revision-hash")
"""Where a pod of a Deployment, or of a StatefulSet, names its revision."""


def rollable(raw: Json) -> Rollable:
    """How the rollout of a Deployment can be stopped."""
    meta, spec = raw["metadata"], raw["spec"]
    note = (meta.get("annotations") or {}).get(NOTE)
    return Rollable(
        uid=meta.get("uid", ""),
        version=meta.get("resourceVersion", ""),
        template=digest(spec.get("template", {})),
        paused=bool(spec.get("paused")),
        ours=spec_field_is_ours(raw, "paused"),
        acted=read_acted(note or ""),
        noted=note is not None,
        failed=_failed(raw.get("status", {})),
    )


def digest(template: Mapping[str, Any]) -> str:
    """A pod template in a few letters."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()


def revision_of(labels: Mapping[str, str]) -> str:
    """The revision that a pod belongs to; empty where its controller names none."""
    return next((labels[name] for name in REVISION_LABELS if name in labels), "")


def _failed(status: Mapping[str, Any]) -> bool:
    """Whether the controller has given up on the newest revision."""
    rows = (c for c in status.get("conditions", ()) if c["type"] == "Progressing")
    return any(c.get("reason") == "ProgressDeadlineExceeded" for c in rows)

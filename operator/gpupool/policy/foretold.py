"""What is certain of live templates before any policy stands: placements that every pool denies.

The API server's own engine judges templates from Recommend on, and knows more. Here are only those rules
that depend on nothing but the template and the pool's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gpupool.model.enforcement import Replay
from gpupool.model.marks import TAINT
from gpupool.model.pool import Pool
from gpupool.model.world import Template

Spec = Mapping[str, Any]


def foretold(pool: Pool, templates: Iterable[Template]) -> tuple[Replay, ...]:
    """Templates that ask for the pool's GPUs and would certainly be denied, each with the first reason."""
    found = {Replay(t.namespace, str(t.owner), said) for t in templates if (said := objection(pool, t))}
    return tuple(sorted(found, key=lambda r: (r.namespace, r.owner, r.refusal or "")))


def objection(pool: Pool, template: Template) -> str:
    """Why the pool would deny a template's pods, whatever else they ask; empty where that is not known."""
    spec: Spec = json.loads(template.text)["spec"]
    if not _governed(pool, spec):
        return ""
    if spec.get("nodeName"):
        return f'spec.nodeName is "{spec["nodeName"]}": the scheduler places GPU pods, remove it'
    return next((said for t in spec.get("tolerations", ()) if (said := _toleration(pool, t))), "")


def _toleration(pool: Pool, toleration: Mapping[str, Any]) -> str:
    if not toleration.get("key"):
        return "spec.tolerations has an entry without a key, which tolerates every taint: name the keys"
    own = toleration.get("operator", "Equal") == "Equal" and toleration.get("value") == pool.name
    if toleration["key"] == TAINT and not own:
        return f"spec.tolerations has another value for key {TAINT}: only {pool.name}, with operator Equal"
    return ""


def _governed(pool: Pool, spec: Spec) -> bool:
    """Whether a container asks for more than none of a resource of the pool."""
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    asked = [c["resources"].get(part, {}) for c in containers for part in ("limits", "requests")]
    return any(quantities.get(r, "0") != "0" for quantities in asked for r in pool.resources)

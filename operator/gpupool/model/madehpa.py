"""An HPA that we make, as the API writes it: whose it is, what it scales on, and that it tolerates nothing.

A tolerance is written beside the behaviour and is no part of what is compared: an API server that does not
know it drops it, and would look like somebody who rewrites.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gpupool.model.annotations import GROUP
from gpupool.model.hpanote import ORIGINALS, fields_of, write_note
from gpupool.model.marks import MANAGED, managed, owned_by_slo
from gpupool.model.scalerwrites import Make
from gpupool.model.steering import Limits, canonical

KIND: Final = "InferenceSLO"
NONE: Final = "0"
"""Of a difference between what is and what is needed: a single replica counts."""
_WAYS: Final = ("scaleUp", "scaleDown")


def body(action: Make, metric: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The whole HPA: one replica for each that the metric says are needed.

    Args:
        action: what is made.
        metric: name of the external metric.
        labels: by which its value is asked for.
    """
    owner = owned_by_slo(action.slo.name, action.uid)
    external = {
        "metric": {"name": metric, "selector": {"matchLabels": dict(labels)}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }
    target = action.target
    return {
        "metadata": {
            "name": action.scaler.name,
            "namespace": action.scaler.namespace,
            "labels": dict(MANAGED),
            "annotations": {ORIGINALS: write_note(action.note)},
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": target.api_version, "kind": target.kind, "name": target.name},
            **with_tolerance(fields_of(action.note.written)),
            "metrics": [{"type": "External", "external": external}],
        },
    }


def made_for(meta: Mapping[str, Any]) -> str:
    """Uid of the InferenceSLO that an HPA was made for; empty where it is its owner's."""
    if not managed(meta.get("labels") or {}):
        return ""
    owners = (o for o in meta.get("ownerReferences") or () if o.get("controller"))
    ours = (o for o in owners if o["kind"] == KIND and o["apiVersion"].startswith(GROUP))
    return next((str(o["uid"]) for o in ours), "")


def with_tolerance(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a spec whose behaviour tolerates nothing, either way."""
    behavior = dict(fields.get("behavior") or {})
    return {
        **fields,
        "behavior": {**behavior, **{w: {**behavior.get(w, {}), "tolerance": NONE} for w in _WAYS}},
    }


def without_tolerance(limits: Limits) -> Limits:
    """The limits with nothing said of tolerance."""
    behavior = json.loads(limits.behavior) if limits.behavior else {}
    plain = {
        way: {name: v for name, v in rules.items() if name != "tolerance"} for way, rules in behavior.items()
    }
    return replace(limits, behavior=canonical(plain))


def tolerates_nothing(spec: Mapping[str, Any]) -> bool:
    """Whether the API server kept our tolerance."""
    behavior = spec.get("behavior") or {}
    return all(behavior.get(way, {}).get("tolerance") == NONE for way in _WAYS)

"""Drafts as the objects people apply."""

from __future__ import annotations

import copy
from typing import Any

from gpupool.model.pool import Share
from gpupool.planner.drafting.adopt import Adoption
from gpupool.planner.drafting.draft import Draft

API = "gpupool.dev/v1alpha1"
UNKNOWN = "UNKNOWN"
GUESS = 80
"""Percent of expected use where nothing was measured."""
Json = dict[str, Any]


def pool_manifest(raw: Json, adoption: Adoption) -> Json:
    """The pool as it stands, with the shares that are drafted."""
    spec = copy.deepcopy(raw["spec"])
    first = (spec.get("resources") or ["nvidia.com/gpu"])[0]
    shares = [_widened(s, adoption) for s in spec.get("shares", [])]
    shares += [_share(s, first) for s in adoption.shares]
    if shares:
        spec["shares"] = shares
    return {
        "apiVersion": API,
        "kind": "GpuPool",
        "metadata": {"name": raw["metadata"]["name"]},
        "spec": spec,
    }


def _widened(share: Json, adoption: Adoption) -> Json:
    more = adoption.widened.get(share["team"], ())
    return share | {"namespaces": [*share.get("namespaces", []), *more]} if more else share


def _share(share: Share, first: str) -> Json:
    others = {r: {"guaranteed": n} for r, n in sorted(share.guaranteed.items()) if r != first}
    body: Json = {
        "team": share.team,
        "namespaces": list(share.namespaces),
        "guaranteed": share.guaranteed.get(first, 0),
    }
    return body | ({"perResource": others} if others else {})


def request_manifest(draft: Draft) -> Json:
    """One CapacityRequest."""
    return {
        "apiVersion": API,
        "kind": "CapacityRequest",
        "metadata": {"name": draft.name, "namespace": draft.workload.namespace},
        "spec": {
            "gpus": draft.gpus,
            "resource": draft.workload.resource,
            "owner": {"team": draft.team, "contact": draft.contact or UNKNOWN},
            "workload": _workload(draft),
            "expectedUtilization": draft.use or GUESS,
        },
    }


def _workload(draft: Draft) -> Json:
    ref = draft.workload.ref
    if ref is not None:
        return {"ref": {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name}}
    key, value = draft.workload.label or ("", "")
    return {"selector": {"matchLabels": {key: value}}}

"""What stays in force of a CapacityRequest that breaks the rules of this version.

The last version that could be read does, with what its status says now. A process that starts beside such a
request has never seen one, and its GPUs are granted all the same: the ask that was decided on stands in the
status, and stays in force until the spec is corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from gpupool.api import convert
from gpupool.api.v1alpha1.capacityrequest import Workload
from gpupool.model.objects import Key, ObjectRef, Request

JUDGED_BY_NOTHING = 0
"""An expected utilisation that no use falls below: what it was cannot be read."""


def request(raw: Mapping[str, Any], last: Request | None) -> Request | None:
    """The request as far as it is known; None where nothing was read or granted before.

    Args:
        raw: the object as it stands.
        last: the last version that kept the rules.
    """
    memory = convert.remembered(raw.get("status") or {})
    if last is not None:
        return replace(last, remembered=memory)
    if not memory.granted:
        return None
    meta, status = raw["metadata"], raw["status"]
    spec = raw.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    workload = _workload(spec.get("workload"))
    ref = None if workload is None else workload.ref
    return Request(
        key=Key(meta.get("namespace", ""), meta["name"]),
        uid=meta.get("uid", ""),
        generation=meta.get("generation", 0),
        created=convert.moment(meta.get("creationTimestamp")),
        gpus=max(memory.granted, memory.asked or 0),
        min_gpus=memory.granted,
        team="",
        contact="",
        expected_utilization=JUDGED_BY_NOTHING,
        resource=status.get("resource") or "",
        ref=None if ref is None else ObjectRef(ref.api_version, ref.kind, ref.name),
        selector=None if workload is None else convert.selector(workload.selector),
        preemptible=spec.get("preemptible") is True,
        remembered=memory,
    )


def _workload(raw: Any) -> Workload | None:
    try:
        return Workload.model_validate(raw)
    except ValidationError:
        return None

"""What admission judges of a pod, and nothing else: the part of a template that is rehearsed. Pure.

It is kept as text, so that equal templates are equal and one rehearsal answers for all of them. What the
probe namespace would judge otherwise is left out: images and commands, volumes, security contexts,
ServiceAccount, CPU and memory, priority numbers that admission itself fills in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from sys import intern
from typing import Any

from gpupool.collector.quantities import pod_gpus
from gpupool.kube.resources import Json

SEEN = frozenset({"ReplicaSet", "StatefulSet", "Job"})
"""Kinds whose own templates are read; of all others their pods show it."""
OURS = "gpupool.dev/"
_KEPT = (
    "nodeName",
    "nodeSelector",
    "affinity",
    "tolerations",
    "schedulerName",
    "priorityClassName",
    "runtimeClassName",
    "resourceClaims",
)


def template(raw: Mapping[str, Any]) -> str:
    """The judged part of a pod template; empty where it asks for no extended resource and no device."""
    spec, meta = raw.get("spec", {}), raw.get("metadata", {})
    return _text(spec, meta) if pod_gpus(spec) or spec.get("resourceClaims") else ""


def of_pod(raw: Json) -> str:
    """The judged part of a pod whose template we do not see; empty where its controller shows it.

    What the scheduler and the DaemonSet controller wrote is left out: the next pod has another node.
    """
    meta = raw["metadata"]
    kinds = {o["kind"] for o in meta.get("ownerReferences", ()) if o.get("controller")}
    if kinds & SEEN:
        return ""
    spec = dict(raw["spec"])
    if not _chose_node(meta):
        spec.pop("nodeName", None)
    if "DaemonSet" in kinds:
        spec.pop("affinity", None)
    return _text(spec, meta)


def _chose_node(meta: Mapping[str, Any]) -> bool:
    """Whether somebody wrote `nodeName`: what a binding sets belongs to no field manager."""
    return any(
        "f:nodeName" in entry.get("fieldsV1", {}).get("f:spec", {}) for entry in meta.get("managedFields", ())
    )


def _text(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k.startswith(OURS)}
    kept: Json = {k: spec[k] for k in _KEPT if spec.get(k)}
    for part in ("initContainers", "containers"):
        found = [_container(c) for c in spec.get(part) or ()]
        if found:
            kept[part] = found
    return intern(json.dumps({"labels": labels, "spec": kept}, sort_keys=True, separators=(",", ":")))


def _container(raw: Mapping[str, Any]) -> Json:
    resources = raw.get("resources") or {}
    devices = {
        part: {r: str(q) for r, q in resources[part].items() if "/" in r}
        for part in ("limits", "requests")
        if resources.get(part)
    }
    if resources.get("claims"):
        devices["claims"] = resources["claims"]
    kept: Json = {"name": raw.get("name", ""), "resources": devices}
    if raw.get("restartPolicy"):  # a sidecar
        kept["restartPolicy"] = raw["restartPolicy"]
    return kept

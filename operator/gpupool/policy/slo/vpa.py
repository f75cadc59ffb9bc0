"""What a VPA of an endpoint should say, and that nobody is fought over it (law 11).

Only the inference container's CPU and memory are steered. Its owner's update mode is never changed: one that
restarts pods would restart GPU pods whenever a bound moves, so nothing is written beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.resources import BOTH, Bounds, LeaveVpa, Vpa, VpaNote, WriteVpa
from gpupool.model.steering import canonical
from gpupool.policy.slo.adoption import Fight, borne
from gpupool.policy.slo.containers import within

INITIAL: Final = "Initial"
"""The mode of a VPA of ours: what it recommends is for pods that come anyway."""
CALM: Final = frozenset({"Off", INITIAL})
"""Modes that restart nothing. `InPlace` resizes, which restarts where a container's resizePolicy says so."""
ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Whose:
    """The endpoint that a VPA is written for."""

    slo: Key
    uid: str
    target: ObjectRef


def policies(theirs: str, container: str, found: Bounds, *, limited: bool | None) -> str:
    """Container policies as canonical JSON: ours for the inference container, the owner's for all others.

    Args:
        theirs: the owner's.
        container: the inference container.
        found: its bounds.
        limited: of a VPA of ours, whether the container has a limit of CPU: then the limits follow the
            requests, or a higher request would stay below the old limit. None leaves it to the owner.
    """
    rows, own = _rows(theirs), _own(theirs, container)
    ours: dict[str, Any] = {
        "mode": "Auto",
        **own,
        "containerName": container,
        "controlledResources": [r for r in BOTH if r in found.low],
        "minAllowed": dict(found.low),
        "maxAllowed": dict(found.high),
    }
    if limited is not None:
        ours["controlledValues"] = "RequestsAndLimits" if limited else "RequestsOnly"
    others = [r for r in rows if r.get("containerName") != container]
    named = any(r.get("containerName") == ALL for r in others)
    rest = [] if named else [{"containerName": ALL, "mode": "Off"}]
    return canonical([ours, *others, *rest])


def allowed(theirs: str, container: str, found: Bounds) -> Bounds:
    """Bounds inside those that the owner's own policy has."""
    own = _own(theirs, container)
    low, high = (
        {r: str(q) for r, q in (own.get(name) or {}).items()} for name in ("minAllowed", "maxAllowed")
    )
    return within(found, low, high)


def _rows(theirs: str) -> list[dict[str, Any]]:
    return list(json.loads(theirs)) if theirs else []


def _own(theirs: str, container: str) -> Mapping[str, Any]:
    return next((r for r in _rows(theirs) if r.get("containerName") == container), {})


def steered(theirs: str, container: str, resources: Iterable[str]) -> tuple[str, ...]:
    """The resources that may be steered: those of its owner's own policy at most."""
    own = _own(theirs, container)
    his = own.get("controlledResources") or BOTH
    return () if own.get("mode") == "Off" else tuple(r for r in resources if r in his)


def make(whose: Whose, wanted: str) -> WriteVpa:
    """The write that makes a VPA of ours, named as the InferenceSLO."""
    note = VpaNote("", wanted, made=True)
    return WriteVpa(whose.slo, whose.uid, whose.slo, "", "", whose.target, INITIAL, note, force=False)


def adopt(whose: Whose, vpa: Vpa, wanted: str, now: datetime) -> WriteVpa | Fight | None:
    """The write that makes a VPA say what is wanted; None where it does."""
    note = vpa.note
    if note is None:
        return _write(whose, vpa, VpaNote(vpa.policies, wanted), force=True)
    if vpa.policies != note.written or not vpa.noted:
        rewrites = borne(note.rewrites, now)
        if not rewrites:
            return Fight(_snippets(vpa))
        again = replace(note, theirs=owners(vpa, note), written=wanted, rewrites=rewrites)
        return _write(whose, vpa, again, force=True)
    if wanted == note.written:
        return None
    return _write(whose, vpa, replace(note, written=wanted), force=bool(vpa.writers))


def owners(vpa: Vpa, note: VpaNote) -> str:
    """Its owner's policies: as they were before us, or as somebody has written them since."""
    return note.theirs if vpa.policies == note.written else vpa.policies


def leave(vpa: Vpa, note: VpaNote) -> LeaveVpa:
    """Give a VPA back, or take away one that we made."""
    return LeaveVpa(vpa.key, vpa.uid, owners(vpa, note), note)


def _write(whose: Whose, vpa: Vpa, note: VpaNote, *, force: bool) -> WriteVpa:
    version = vpa.version if force else ""
    return WriteVpa(whose.slo, whose.uid, vpa.key, vpa.uid, version, vpa.target, vpa.mode, note, force)


def _snippets(vpa: Vpa) -> str:
    who, path = ", ".join(vpa.writers) or "somebody else", "/spec/resourcePolicy/containerPolicies"
    return (
        f"{who} rewrote VerticalPodAutoscaler {vpa.key.name} twice within a day; it is left alone. Take"
        " resourcePolicy.containerPolicies out of its manifest, or have it ignored. Argo CD, in the"
        " Application: {ignoreDifferences: [{group: autoscaling.k8s.io, kind: VerticalPodAutoscaler, name:"
        f" {vpa.key.name}, jsonPointers: [{path}]}}], syncPolicy: {{syncOptions:"
        " [RespectIgnoreDifferences=true]}}. Flux: annotate it with kustomize.toolkit.fluxcd.io/ssa:"
        " IfNotPresent. Then set scaling.vpa to Advise and back."
    )

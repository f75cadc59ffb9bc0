"""What is written to a scaler that others own too: taken over once, given back, never fought about (law 11).

What stands differently from what we wrote was written by somebody else. Those values are its owner's now;
ours are put in their place once. Who does it again within a day wins: we stop, and say how to end it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gpupool.model.hpanote import HIGH, LOW
from gpupool.model.objects import Key
from gpupool.model.scalerwrites import Adopt, GiveBack, Rescale
from gpupool.model.steering import Limits, Originals, Scaler, ScalerKind, Target

BEARABLE: Final = 1
"""Rewrites within the window that we answer."""
WINDOW: Final = timedelta(days=1)
"""Time for which a rewrite counts: controllers of GitOps look every few minutes, or every hour."""
_MANIFESTS: Final[Mapping[ScalerKind, tuple[str, str]]] = {
    ScalerKind.HPA: ("autoscaling", "HorizontalPodAutoscaler"),
    ScalerKind.SCALED_OBJECT: ("keda.sh", "ScaledObject"),
}
_BEHAVIOURS: Final[Mapping[ScalerKind, str]] = {
    ScalerKind.HPA: "behavior",
    ScalerKind.SCALED_OBJECT: "advanced/horizontalPodAutoscalerConfig/behavior",
}


@dataclass(frozen=True, slots=True)
class Fight:
    """Somebody else keeps writing what we steer."""

    message: str


def adopt(slo: Key, scaler: Scaler, wanted: Limits, now: datetime, asleep: int = 0) -> Adopt | Fight | None:
    """The write that makes a scaler say what is wanted, and its note who sleeps; None where it does."""
    note = scaler.originals
    if note is None:
        return _write(slo, scaler, Originals(scaler.limits, wanted, asleep=asleep), force=True)
    if rewritten(scaler, note):
        rewrites = borne(note.rewrites, now)
        if not rewrites:
            return Fight(_snippets(scaler))
        theirs = merged(scaler.limits, note)
        return _write(slo, scaler, Originals(theirs, wanted, rewrites, asleep), force=True)
    if wanted == note.written and asleep == note.asleep:
        return None
    kept = Originals(note.theirs, wanted, note.rewrites, asleep)
    return _write(slo, scaler, kept, force=bool(scaler.writers))


def borne(rewrites: Iterable[datetime], now: datetime) -> tuple[datetime, ...]:
    """The rewrites that count, with the one of now; none where these are more than we answer."""
    recent = tuple(at for at in rewrites if now - at < WINDOW)
    return (*recent, now) if len(recent) < BEARABLE else ()


def rewritten(scaler: Scaler, note: Originals) -> bool:
    """Whether somebody changed what we wrote, or took off what we noted."""
    return scaler.limits != note.written or not scaler.noted


def give_back(scaler: Scaler, note: Originals, sleeper: Target | None = None) -> GiveBack:
    """Its owner's values: as they were before us, or as somebody has written them since.

    Args:
        scaler: what was adopted.
        note: what stands on it.
        sleeper: its workload, where it has no replica.
    """
    limits, wake = merged(scaler.limits, note), None
    if sleeper is not None and note.asleep:
        wake = Rescale(sleeper.key, sleeper.ref, 0, min(note.asleep, limits.high))
    return GiveBack(scaler.key, scaler.uid, limits, note, wake, scaler.kind)


def merged(stands: Limits, note: Originals) -> Limits:
    """Field by field: what somebody wrote over ours, else what was there before us."""
    ours, before = note.written, note.theirs
    low = before if _same(stands, ours, LOW) else stands
    high = before if _same(stands, ours, HIGH) else stands
    return Limits(
        low=low.low,
        high=high.high,
        behavior=before.behavior if stands.behavior == ours.behavior else stands.behavior,
        unsaid=(low.unsaid & {LOW}) | (high.unsaid & {HIGH}),
    )


def _same(stands: Limits, ours: Limits, name: str) -> bool:
    """Whether a number is there, and is ours."""
    if name in stands.unsaid:
        return False
    return stands.low == ours.low if name == LOW else stands.high == ours.high


def _write(slo: Key, scaler: Scaler, note: Originals, *, force: bool) -> Adopt:
    version = scaler.version if force else ""
    return Adopt(slo, scaler.key, scaler.uid, version, note, force, kind=scaler.kind)


def _snippets(scaler: Scaler) -> str:
    who = ", ".join(scaler.writers) or "somebody else"
    kind, name = scaler.kind, scaler.key.name
    group, of = _MANIFESTS[kind]
    paths = f"/spec/{kind.low}, /spec/{kind.high}, /spec/{_BEHAVIOURS[kind]}"
    return (
        f"{who} rewrote {kind.value} {name} twice within a day; it is left alone. Take {kind.low},"
        f" {kind.high} and behavior out of its manifest, or have them ignored."
        f" Argo CD, in the Application: {{ignoreDifferences: [{{group: {group}, kind: {of}, name: {name},"
        f" jsonPointers: [{paths}]}}], syncPolicy: {{syncOptions: [RespectIgnoreDifferences=true]}}}}."
        f" Flux: annotate the {kind.value} with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent; of a"
        f" HelmRelease: {{driftDetection: {{mode: enabled, ignore: [{{target: {{kind: {of}}}, paths:"
        f" [{paths}]}}]}}}}. Then set scaling.hpa to Advise and back to Adopt."
    )

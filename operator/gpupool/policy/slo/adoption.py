"""What is written to an HPA that others own too: taken over once, given back, never fought about (law 11).

What stands differently from what we wrote was written by somebody else. Those values are its owner's now;
ours are put in their place once. Who does it again within a day wins: we stop, and say how to end it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gpupool.model.objects import Key
from gpupool.model.steering import Adopt, GiveBack, Limits, Originals, Rescale, Scaler, Target

BEARABLE: Final = 1
"""Rewrites within the window that we answer."""
WINDOW: Final = timedelta(days=1)
"""Time for which a rewrite counts: controllers of GitOps look every few minutes, or every hour."""


@dataclass(frozen=True, slots=True)
class Fight:
    """Somebody else keeps writing what we steer."""

    message: str


def adopt(slo: Key, scaler: Scaler, wanted: Limits, now: datetime, asleep: int = 0) -> Adopt | Fight | None:
    """The write that makes an HPA say what is wanted, and its note who sleeps; None where it does."""
    note = scaler.originals
    if note is None:
        return _write(slo, scaler, Originals(scaler.limits, wanted, asleep=asleep), force=True)
    if rewritten(scaler, note):
        recent = tuple(at for at in note.rewrites if now - at < WINDOW)
        if len(recent) >= BEARABLE:
            return Fight(_snippets(scaler))
        theirs = merged(scaler.limits, note)
        return _write(slo, scaler, Originals(theirs, wanted, (*recent, now), asleep), force=True)
    if wanted == note.written and asleep == note.asleep:
        return None
    kept = Originals(note.theirs, wanted, note.rewrites, asleep)
    return _write(slo, scaler, kept, force=bool(scaler.writers))


def rewritten(scaler: Scaler, note: Originals) -> bool:
    """Whether somebody changed what we wrote, or took off what we noted."""
    return scaler.limits != note.written or not scaler.noted


def give_back(scaler: Scaler, note: Originals, sleeper: Target | None = None) -> GiveBack:
    """Its owner's values: as they were before us, or as somebody has written them since.

    Args:
        scaler: the HPA.
        note: what stands on it.
        sleeper: its workload, where it has no replica.
    """
    limits, wake = merged(scaler.limits, note), None
    if sleeper is not None and note.asleep:
        wake = Rescale(sleeper.key, sleeper.ref, 0, min(note.asleep, limits.high))
    return GiveBack(scaler.key, scaler.uid, limits, note, wake)


def merged(stands: Limits, note: Originals) -> Limits:
    """Field by field: what somebody wrote over ours, else what was there before us."""
    ours, before = note.written, note.theirs
    return Limits(
        low=before.low if stands.low == ours.low else stands.low,
        high=before.high if stands.high == ours.high else stands.high,
        behavior=before.behavior if stands.behavior == ours.behavior else stands.behavior,
    )


def _write(slo: Key, scaler: Scaler, note: Originals, *, force: bool) -> Adopt:
    return Adopt(slo, scaler.key, scaler.uid, scaler.version if force else "", note, force)


def _snippets(scaler: Scaler) -> str:
    who = ", ".join(scaler.writers) or "somebody else"
    return (
        f"{who} rewrote HPA {scaler.key.name} twice within a day; it is left alone. Take minReplicas,"
        " maxReplicas and behavior out of its manifest, or have them ignored."
        " Argo CD, in the Application: {ignoreDifferences: [{group: autoscaling, kind:"
        f" HorizontalPodAutoscaler, name: {scaler.key.name}, jsonPointers: [/spec/minReplicas,"
        " /spec/maxReplicas, /spec/behavior]}], syncPolicy: {syncOptions: [RespectIgnoreDifferences=true]}}."
        " Flux: annotate the HPA with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent; of a HelmRelease:"
        " {driftDetection: {mode: enabled, ignore: [{target: {kind: HorizontalPodAutoscaler}, paths:"
        " [/spec/minReplicas, /spec/maxReplicas, /spec/behavior]}]}}."
        " Then set scaling.hpa to Advise and back to Adopt."
    )

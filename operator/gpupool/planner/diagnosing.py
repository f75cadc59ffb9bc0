"""What limits one endpoint, and what its profile learns of this look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gpupool.model.diagnosis import Advice, Cause, Confidence, Diagnosis
from gpupool.model.effects import Effect
from gpupool.model.profile import Profile
from gpupool.model.slo import Objective, Sli, Slo, SloSnapshot, SloState, Sums
from gpupool.model.steering import Need
from gpupool.model.traits import Trait
from gpupool.planner import drifting
from gpupool.policy.slo.advice import advise
from gpupool.policy.slo.diagnosis.chain import diagnose
from gpupool.policy.slo.diagnosis.situation import Judged, Situation
from gpupool.policy.slo.doubt import doubt
from gpupool.policy.slo.effects import follow
from gpupool.policy.slo.pressed import pressed
from gpupool.policy.slo.profile import learn, of_gpu
from gpupool.policy.slo.sums import over
from gpupool.policy.slo.upward import upward

MEASURED: Final = 0.5
"""Part of the evaluation window of which minutes must be known, so that their good part says something."""
MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What is said of an endpoint beside its objectives; `diagnosis` is None before the first look.

    `upward` are replicas that are needed at least, by what is known without any objective; `pressed` those
    that are tried where objectives are missed and no profile holds; `drifting` is what differs from when it
    was learned, by GPU model; `effects` is what became of advice.
    """

    diagnosis: Diagnosis | None = None
    profiles: tuple[Profile, ...] = ()
    advice: tuple[Advice, ...] = ()
    upward: Need | None = None
    drifting: tuple[tuple[str, Trait], ...] = ()
    effects: tuple[Effect, ...] = ()
    pressed: Need | None = None


def findings(
    snapshot: SloSnapshot, slo: Slo, objectives: Sequence[tuple[Objective, SloState, Sums]]
) -> Findings:
    """Diagnose one endpoint.

    Args:
        snapshot: of all.
        slo: the promise, with the profiles as they were left.
        objectives: each with what is known of it, and its memory.
    """
    signals = snapshot.signals.endpoints.get(slo.key)
    if signals is None:
        if not snapshot.signals.problem:
            return Findings(None, slo.profiles, effects=slo.effects)
        unknown = Diagnosis(Cause.UNKNOWN, Confidence.LOW, remedy=snapshot.signals.problem)
        return Findings(unknown, slo.profiles, effects=slo.effects)
    now = snapshot.now.timestamp()
    judged = tuple(_judged(o, state, sums, now, signals.window) for o, state, sums in objectives)
    known = of_gpu(slo.profiles, signals)
    it = Situation(signals, judged, known, doubt(known, signals.window, now))
    diagnosis = diagnose(it)
    profiles = learn(slo.profiles, it, now)
    differing = drifting.found(profiles, signals.window, now)
    advice = advise(it, diagnosis)
    effects = follow(slo.effects, it, advice, now)
    return Findings(diagnosis, profiles, advice, upward(it), differing, effects, pressed(it, diagnosis))


def _judged(objective: Objective, state: SloState, sums: Sums, now: float, window: float) -> Judged:
    recent = over(sums, now, window)
    if objective.sli is Sli.THROUGHPUT:  # its events are minutes
        return Judged(objective, state, recent.good, recent.total, least=MEASURED * window / MINUTE)
    return Judged(objective, state, recent.good, recent.total)

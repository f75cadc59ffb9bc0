"""Is a request under-used? Rules over evidence, first objection wins (laws 1 and 3).

Only `unheld` GPUs are spoken of: what was granted and never requested, measured against the peak of the
lookback plus headroom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from gpupool.model.reasons import DataState, Stage
from gpupool.policy.evidence import Evidence
from gpupool.policy.senses import cannot_take


class Answer(StrEnum):
    """What a rule says about blaming a request for unheld GPUs."""

    NO = "No"
    """The API's facts, or good data, say that there is nothing to blame: a notice is withdrawn."""
    UNKNOWN = "Unknown"
    """It cannot be known now: a notice stands, and its deadline waits."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a request is not called under-used, machine reason and sentence."""

    answer: Answer
    reason: str
    message: str


Rule = Callable[[Evidence], Objection | None]


def nothing_granted(e: Evidence) -> Objection | None:
    """A request without a grant has nothing to lend."""
    if e.claim.granted > 0:
        return None
    return Objection(Answer.NO, "NothingGranted", "Nothing is granted.")


def starting_up(e: Evidence) -> Objection | None:
    """A young grant, or one that changed lately, is left alone for its grace and one window.

    A notice that stands was given to a grant that was old enough: only a change after it counts.
    """
    since = max((t for t in (e.granted_at, e.quiet_since) if t is not None), default=None)
    warned = e.claim.timer.since if e.claim.timer and e.claim.stage is Stage.WARNED else None
    if warned is not None and (since is None or since <= warned):
        return None
    if since is not None and e.snapshot.now - since >= e.young:
        return None
    return Objection(Answer.NO, "StartingUp", f"The grant is younger than {_text(e.young)}.")


def out_of_sight(e: Evidence) -> Objection | None:
    """Nothing is said about use while the API server's own facts are old (law 1)."""
    blind = cannot_take(e.snapshot)
    return None if blind is None else Objection(Answer.UNKNOWN, blind.reason, blind.message)


def telemetry_stale(e: Evidence) -> Objection | None:
    """Nothing is said about use unless Prometheus answers freshly in this cycle (law 1)."""
    if e.snapshot.usage.fresh:
        return None
    return Objection(Answer.UNKNOWN, "NoFreshTelemetry", f"Use is unknown: {e.snapshot.usage.problem}.")


def bad_data_nearby(e: Evidence) -> Objection | None:
    """Nothing is taken in a namespace where any held GPU's data is not OK (law 1)."""
    if e.around.state is DataState.OK and e.measure.state is DataState.OK:
        return None
    state = e.measure.state if e.measure.state is not DataState.OK else e.around.state
    return Objection(
        Answer.UNKNOWN,
        f"Data{state}",
        f"Use is unknown: samples in namespace {e.claim.key.namespace} are {state.lower()}"
        f" (coverage {min(e.measure.coverage, e.around.coverage)} %).",
    )


def short_history(e: Evidence) -> Objection | None:
    """Our own series of used GPUs must reach back one window, or nothing is taken."""
    if e.peak is not None and e.peak.history >= e.window.total_seconds():
        return None
    have = 0 if e.peak is None else int(e.peak.history)
    return Objection(Answer.UNKNOWN, "ShortHistory", f"Use is recorded for {have}s of {_text(e.window)}.")


def unrecorded_lately(e: Evidence) -> Objection | None:
    """It must have been watched in the last window, not in any: nobody saw what ran while we were away."""
    part = int(100 * (e.peak.recent if e.peak else 0.0) / e.window.total_seconds())
    floor = e.snapshot.pool.reclaim.coverage
    if part >= floor:
        return None
    message = f"Use is recorded for {part} % of the last {_text(e.window)}, and {floor} % are needed."
    return Objection(Answer.UNKNOWN, "UseUnrecorded", message)


def others_use_it(e: Evidence) -> Objection | None:
    """While a namespace has unattributed or overdrawn GPUs, no sibling is blamed for unheld ones."""
    if e.claim.unowned or e.unattributed + e.overdrawn == 0:
        return None
    return Objection(
        Answer.NO,
        "SharedWithOthers",
        f"{e.unattributed} unattributed and {e.overdrawn} overdrawn GPUs of the namespace run on its quota.",
    )


def wants_more(e: Evidence) -> Objection | None:
    """Refused demand is demand, and so is a higher number in `spec.gpus` since a part was lent out."""
    if e.claim.asked_anew:
        return Objection(
            Answer.NO, "InDemand", f"spec.gpus asks for {e.claim.ask} since a part of it was lent out."
        )
    if e.claim.demand == 0:
        return None
    return Objection(Answer.NO, "InDemand", f"Its controllers want {e.claim.demand} GPUs more.")


def counted_as_used(e: Evidence) -> Objection | None:
    """What quota counts is used, also where no pod is seen: a shrink lowers hard by at most hard - used.

    Quota and pods may each be ahead of the other for a moment; that puts off and takes nothing away.
    """
    if e.unseen == 0:
        return None
    namespace = e.claim.key.namespace
    return Objection(
        Answer.UNKNOWN,
        "UsedUnseen",
        f"Quota counts {e.unseen} GPUs in namespace {namespace} beyond those of the pods that are seen.",
    )


def used_as_promised(e: Evidence) -> Objection | None:
    """Below `threshold` percent of the expected utilisation a request is under-used."""
    expected = e.claim.request.expected_utilization
    line = e.snapshot.pool.reclaim.threshold * expected // 100
    if e.efficiency < line:
        return None
    return Objection(Answer.NO, "UsedAsPromised", f"Efficiency {e.efficiency} % of {expected} % expected.")


def all_held(e: Evidence) -> Objection | None:
    """What is held, pending, or needed at the peak is never lent (law 3)."""
    if e.unheld > 0:
        return None
    return Objection(Answer.NO, "AllHeld", f"The peak of use and its headroom keep all {e.keep} GPUs.")


STILL_UNUSED: tuple[Rule, ...] = (
    out_of_sight,
    wants_more,
    others_use_it,
    telemetry_stale,
    bad_data_nearby,
    short_history,
    unrecorded_lately,
    counted_as_used,
    used_as_promised,
)
"""What must hold for as long as something is lent, and again when the claim to it ends."""

RULES: tuple[Rule, ...] = (nothing_granted, starting_up, *STILL_UNUSED, all_held)
"""First objection wins. What the API tells is asked before telemetry, because it holds without it (law 1)."""


def object_to(evidence: Evidence, rules: Iterable[Rule] = RULES) -> Objection | None:
    """The first objection against calling the request under-used; None means: proved."""
    return next((o for rule in rules if (o := rule(evidence)) is not None), None)


def _text(duration: timedelta) -> str:
    """A duration as people write it: 90s, 10m, 24h, 7d."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"

"""Which revision of a workload is new, which one it is compared with, and what is counted of both.

Only events of good data count. What a revision did that serves alone is remembered for about an hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gpupool.model.rollout import Release, Revision, Rollout, Tally, Verdict
from gpupool.model.slo import HOUR, Objective, Reading, Sli, SloState

ERRORS: Final = "errors"
"""Requests without an answer, where availability is not promised: none of them kept any promise."""
MEMORY: Final = HOUR
"""Seconds after which what was counted of a revision that serves alone weighs half."""
GOOD_DATA: Final = frozenset({SloState.OK, SloState.NO_TRAFFIC})


@dataclass(frozen=True, slots=True)
class Promised:
    """What is compared: an objective as it is told, the part that may be bad, what is left of its budget."""

    what: str
    allowed: float
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at an endpoint's revisions.

    Attributes:
        release: what the API server shows.
        promised: what is compared, with the readings of each revision in the same order.
        readings: what was just read, by revision.
        min_events: fewer on either side are not judged.
        window: seconds of the promise.
    """

    release: Release
    promised: tuple[Promised, ...]
    readings: Mapping[str, Sequence[Reading]]
    min_events: int
    window: float


def told(objective: Objective) -> str:
    """An objective in words."""
    limit = "" if objective.threshold is None else f" <= {objective.threshold:g}s"
    return f"{objective.sli.value}{limit}"


def promised(objectives: Sequence[Objective], left: Sequence[float | None]) -> tuple[Promised, ...]:
    """What is compared; throughput belongs to all revisions together.

    Args:
        objectives: of the spec.
        left: percent of each budget.
    """
    rows = tuple(
        Promised(told(o), o.error_budget, part) for o, part in zip(objectives, left, strict=True) if counts(o)
    )
    if any(o.sli is Sli.AVAILABILITY for o in objectives) or not rows:
        return rows
    strictest = min(rows, key=lambda row: row.allowed)
    return (*rows, Promised(ERRORS, strictest.allowed, strictest.left))


def counts(objective: Objective) -> bool:
    """Whether the events of an objective belong to single pods."""
    return objective.sli is not Sli.THROUGHPUT


def step(before: Rollout, seen: Seen, now: float) -> Rollout:
    """What is remembered after one more look, its verdict not yet judged anew."""
    return _counted(_moved(before, seen.release, now), seen)


# ------------------------------------------------------------------ which revisions


def _moved(before: Rollout, release: Release, now: float) -> Rollout:
    """Which revision is new, and which one it is compared with."""
    newest, stable, candidate = release.newest, before.stable, before.candidate
    if stable is None:
        older = _older(release)
        if older == newest:
            return Rollout(stable=Revision(newest, now))
        return _begun(Revision(older, now), newest, now)
    if candidate is not None and newest == candidate.name:
        return before
    if newest == stable.name:
        if before.verdict is Verdict.BAD:
            return replace(before, reason="Withdrawn")
        return Rollout(stable=replace(stable, beside=()))
    if candidate is not None and before.settled:
        stable = candidate
    return _begun(replace(stable, beside=()), newest, now)


def _older(release: Release) -> str:
    """Of the revisions that have pods the one that serves most, the newest aside; the newest alone."""
    others = {name: found for name, found in release.pods.items() if name != release.newest and found.pods}
    return max(sorted(others), key=lambda name: others[name].ready, default=release.newest)


def _begun(stable: Revision, newest: str, now: float) -> Rollout:
    return Rollout(stable, Revision(newest, now), Verdict.WAIT, "TooFewEvents", "It has just come.", now)


# ------------------------------------------------------------------ counting


def _counted(memory: Rollout, seen: Seen) -> Rollout:
    stable, candidate = memory.stable, memory.candidate
    rolling = candidate is not None and seen.release.newest == candidate.name and not memory.settled
    asked = candidate is not None and any(t.total or t.silent for t in candidate.tallies)
    if rolling or memory.settled:
        candidate = _added(candidate, seen, fading=memory.settled)
    stable = _added(stable, seen, fading=not rolling)
    if stable is not None and rolling and asked:
        stable = replace(stable, beside=_tallied(stable.beside, stable.name, seen, fading=False))
    return replace(memory, stable=stable, candidate=candidate)


def _added(revision: Revision | None, seen: Seen, *, fading: bool) -> Revision | None:
    return revision and replace(
        revision, tallies=_tallied(revision.tallies, revision.name, seen, fading=fading)
    )


def _tallied(before: Sequence[Tally], name: str, seen: Seen, *, fading: bool) -> tuple[Tally, ...]:
    known = {tally.what: tally for tally in before}
    readings: Sequence[Reading | None] = seen.readings.get(name) or (None,) * len(seen.promised)
    return tuple(
        _plus(known.get(row.what, Tally(row.what)), reading, seen.window, fading=fading)
        for row, reading in zip(seen.promised, readings, strict=True)
    )


def _plus(tally: Tally, reading: Reading | None, window: float, *, fading: bool) -> Tally:
    if reading is None or reading.state not in GOOD_DATA or reading.seconds <= 0:
        return tally
    weight = 0.5 if fading and tally.seconds > min(MEMORY, window) else 1.0
    bad = max(0.0, reading.total - reading.good)
    return Tally(
        tally.what,
        good=weight * tally.good + reading.good,
        total=weight * tally.total + reading.total,
        looks=weight * tally.looks + (reading.total > 0),
        square=weight * tally.square + (bad * bad / reading.total if reading.total > 0 else 0.0),
        seconds=weight * tally.seconds + reading.seconds,
        silent=tally.silent + reading.seconds if _silent(reading) else 0.0,
    )


def _silent(reading: Reading) -> bool:
    """Whether requests are under way, and nothing came of any."""
    return reading.state is SloState.OK and not reading.total

"""Rollouts: the words of the domain, and those of the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from gpupool.api.statuses import present
from gpupool.api.v1alpha1 import format_duration, write_time
from gpupool.api.v1alpha1 import inferenceslo_rollout as api
from gpupool.api.v1alpha1.conditions import shorten
from gpupool.model.rollout import Population, Revision, Rollout, Tally, Verdict
from gpupool.planner.rollouts import Guarded
from gpupool.policy.slo.comparison import Bounds

Json = dict[str, Any]
DIGITS: Final = 3


def read(raw: Mapping[str, Any]) -> Rollout:
    """What a status remembers of revisions; what cannot be read begins anew."""
    try:
        found = api.RolloutStatus.model_validate(raw.get("rollout") or {})
    except ValidationError:
        return Rollout()
    return Rollout(
        stable=_revision(found.stable),
        candidate=_revision(found.candidate),
        verdict=None if found.verdict is None else Verdict(found.verdict),
        reason=found.reason or "",
        message=found.message or "",
        at=0.0 if found.since is None else found.since.timestamp(),
        settled=found.settled,
    )


def _revision(found: api.RevisionStatus | None) -> Revision | None:
    if found is None:
        return None
    beside = tuple(_tally(r.objective, r.beside) for r in found.results if r.beside is not None)
    tallies = tuple(_tally(r.objective, r) for r in found.results)
    return Revision(found.name, found.since.timestamp(), tallies, beside)


def _tally(what: str, found: api.Counted) -> Tally:
    return Tally(what, found.good, found.total, found.looks, found.square, found.seconds, found.silent)


# ------------------------------------------------------------------ and back


def written(found: Guarded | None) -> Json | None:
    """The part of a status."""
    if found is None or (stable := found.memory.stable) is None:
        return None
    memory, pairs = found.memory, found.watched.comparisons
    old = {c.old.what: c.old_bounds for c in pairs}
    new = {c.new.what: c.new_bounds for c in pairs}
    return present(
        {
            "verdict": None if memory.verdict is None else memory.verdict.value,
            "reason": memory.reason or None,
            "message": shorten(memory.message) or None,
            "since": _time(memory.at) if memory.verdict is not None else None,
            "action": found.action or None,
            "settled": memory.settled,
            "stable": _written(stable, found.release.of(stable.name), old),
            "candidate": None
            if memory.candidate is None
            else _written(memory.candidate, found.release.of(memory.candidate.name), new),
        }
    )


def _written(revision: Revision, pods: Population, bounds: Mapping[str, Bounds]) -> Json:
    beside = {tally.what: tally for tally in revision.beside}
    return present(
        {
            "name": revision.name,
            "since": _time(revision.since),
            "pods": pods.pods,
            "ready": pods.ready,
            "startup": _longest(pods.started),
            "results": [_result(t, beside.get(t.what), bounds.get(t.what)) for t in revision.tallies],
        }
    )


def _result(tally: Tally, beside: Tally | None, bounds: Bounds | None) -> Json:
    return present(
        {
            "objective": tally.what,
            **_counted(tally),
            "attainment": None if tally.ratio is None else _number(100 * (1 - tally.ratio)),
            "low": None if bounds is None else _number(100 * bounds.low),
            "high": None if bounds is None else _number(100 * bounds.high),
            "beside": None if beside is None else _counted(beside),
        }
    )


def _counted(tally: Tally) -> Json:
    names = ("good", "total", "looks", "square", "seconds", "silent")
    return {name: _number(getattr(tally, name)) for name in names}


def _longest(seconds: Iterable[float]) -> str | None:
    longest = max(seconds, default=0.0)
    return format_duration(timedelta(seconds=longest)) if longest > 0 else None


def _number(value: float) -> float:
    """A number as the API server gives it back: a whole one has no decimal point."""
    rounded = round(value, DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def _time(seconds: float) -> str:
    return write_time(datetime.fromtimestamp(seconds, UTC))

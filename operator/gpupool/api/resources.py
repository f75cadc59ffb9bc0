"""CPU and memory of an endpoint: reading what a status kept, writing what is said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from gpupool.api.statuses import present
from gpupool.api.v1alpha1 import inferenceslo_resources as api
from gpupool.api.v1alpha1 import write_time
from gpupool.api.v1alpha1.conditions import shorten
from gpupool.model.resources import Recommendation, Resources, Use, UseDay

Json = dict[str, Any]
MEBIBYTE: Final = 2**20
DIGITS: Final = 3


def use(raw: Mapping[str, Any]) -> Use:
    """What a status keeps of the use; one that cannot be read begins anew."""
    try:
        found = api.ResourcesStatus.model_validate(raw.get("resources") or {})
    except ValidationError:
        return Use()
    if found.use is None or not found.container:
        return Use()
    days = tuple(map(_day, found.use.days))
    return Use(found.container, found.use.since.timestamp(), found.use.until.timestamp(), days)


def _day(kept: api.UseDay) -> UseDay:
    return UseDay(kept.at.timestamp(), kept.cpu, kept.memory_mebibytes * MEBIBYTE, kept.raised or 0.0)


def written(found: Resources) -> Json:
    """The part of a status."""
    return present(
        {
            "container": found.use.container or None,
            "vpa": found.vpa or None,
            "updateMode": found.mode or None,
            "minAllowed": _quantities(found.bounds.low),
            "maxAllowed": _quantities(found.bounds.high),
            "recommendation": _recommendation(found.recommendation),
            "reason": found.reason or None,
            "message": shorten(" ".join(filter(None, (found.message, _said(found.bounds.why))))) or None,
            "use": _use(found.use) if found.use.days else None,
        }
    )


def _said(why: str) -> str:
    return f"Bounds: {why}." if why else ""


def _quantities(found: Mapping[str, str]) -> Json | None:
    return present({name: found.get(name) for name in ("cpu", "memory")}) or None


def _recommendation(found: Recommendation) -> Json | None:
    parts = {"target": found.target, "lowerBound": found.lower, "upperBound": found.upper}
    return present({name: _quantities(part) for name, part in parts.items()}) or None


def _use(found: Use) -> Json:
    return {
        "since": _time(found.since),
        "until": _time(found.until),
        "days": [
            present(
                {
                    "at": _time(day.at),
                    "cpu": _number(day.cpu),
                    "memoryMebibytes": _number(day.memory / MEBIBYTE),
                    "raised": _number(day.raised) if day.raised else None,
                }
            )
            for day in found.days
        ],
    }


def _number(value: float) -> float:
    """As the API server gives it back: a whole one has no decimal point."""
    rounded = round(value, DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def _time(at: float) -> str:
    return write_time(datetime.fromtimestamp(at, UTC))

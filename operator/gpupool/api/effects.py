"""What became of advice: the words of the domain, and those of the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gpupool.api.statuses import present
from gpupool.api.v1alpha1 import inferenceslo_findings as api
from gpupool.api.v1alpha1 import write_time
from gpupool.model.effects import Effect, Forecast, Lever, Measure

Json = dict[str, Any]
DIGITS: Final = 4
_EFFECTS: Final = TypeAdapter(tuple[api.EffectStatus, ...])


def read(raw: Mapping[str, Any]) -> tuple[Effect, ...]:
    """The effects that a status keeps; what cannot be read begins anew."""
    try:
        found = _EFFECTS.validate_python(raw.get("effects") or ())
    except ValidationError:
        return ()
    return tuple(_effect(e) for e in found)


def _effect(kept: api.EffectStatus) -> Effect:
    measure, lever = Measure(kept.measure), Lever(kept.lever)
    return Effect(
        kind=kept.kind,
        forecast=Forecast(measure, kept.before, kept.predicted, lever, kept.level, kept.recipe),
        given=kept.given.timestamp(),
        since=0.0 if kept.since is None else kept.since.timestamp(),
        real=kept.real,
        at=0.0 if kept.measured is None else kept.measured.timestamp(),
    )


def written(effects: Iterable[Effect]) -> list[Json]:
    """The part of a status."""
    return [_written(e) for e in effects]


def _written(effect: Effect) -> Json:
    forecast = effect.forecast
    return present(
        {
            "kind": effect.kind,
            "measure": forecast.measure.value,
            "before": _rounded(forecast.before),
            "predicted": _rounded(forecast.predicted),
            "given": _time(effect.given),
            "lever": forecast.lever.value,
            "level": _rounded(forecast.level),
            "recipe": forecast.recipe or None,
            "since": _time(effect.since),
            "real": None if effect.real is None else _rounded(effect.real),
            "measured": _time(effect.at),
        }
    )


def _rounded(value: float) -> float:
    """A number as the API server gives it back: a whole one has no decimal point."""
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded == int(rounded) else rounded


def _time(seconds: float) -> str | None:
    return write_time(datetime.fromtimestamp(seconds, UTC)) if seconds else None

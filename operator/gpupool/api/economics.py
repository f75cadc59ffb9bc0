"""Economics of an endpoint: the words of the domain, and those of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from gpupool.api.statuses import present
from gpupool.api.v1alpha1 import inferenceslo_economics as api
from gpupool.api.v1alpha1 import write_time
from gpupool.model.economics import Economics, Ledger, Stretch

Json = dict[str, Any]
DIGITS: Final = 4
"""Significant digits of what is shown; what is counted is kept to the tenth."""


def ledger(raw: Mapping[str, Any]) -> Ledger:
    """What a status keeps; what cannot be read begins anew."""
    try:
        found = api.EconomicsStatus.model_validate(raw.get("economics") or {"gpuHours": 0})
    except ValidationError:
        return Ledger()
    return Ledger(tuple(_stretch(part) for part in found.counted), found.resource or "")


def _stretch(kept: api.Counted) -> Stretch:
    return Stretch(
        start=kept.at.timestamp(),
        held=kept.gpu_seconds,
        told=kept.told_seconds,
        tokens=kept.tokens,
        good=kept.tokens_at_slo,
        joules=kept.joules,
        metered=kept.metered_tokens,
    )


def written(found: Economics | None, kept: Ledger) -> Json | None:
    """The part of a status; None before anything was held."""
    if found is None:
        return None
    return present(
        {
            "since": _time(found.since),
            "resource": found.resource,
            "gpuHours": _rounded(found.gpu_hours),
            "tokensPerGpuHour": _rounded(found.per_hour),
            "tokensPerGpuHourAtSlo": _rounded(found.per_hour_at_slo),
            "cost": _rounded(found.cost),
            "costPerMillionTokens": _rounded(found.per_million),
            "currency": found.currency or None,
            "joulesPerToken": _rounded(found.joules),
            "counted": [_counted(part) for part in kept.parts[-api.MAX_COUNTED :]],
        }
    )


def _counted(part: Stretch) -> Json:
    numbers = {
        "gpuSeconds": part.held,
        "toldSeconds": part.told,
        "tokens": part.tokens,
        "tokensAtSlo": part.good,
        "joules": part.joules,
        "meteredTokens": part.metered,
    }
    return {"at": _time(part.start), **{name: _plain(round(value, 1)) for name, value in numbers.items()}}


def _rounded(value: float | None) -> float | None:
    return None if value is None else _plain(float(f"{value:.{DIGITS}g}"))


def _plain(value: float) -> float:
    """As the API server gives it back: a whole number has no decimal point."""
    return int(value) if value == int(value) else value


def _time(seconds: float) -> str:
    return write_time(datetime.fromtimestamp(seconds, UTC))

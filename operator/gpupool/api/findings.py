"""What limits an endpoint and what is known of it: the words of the domain, and those of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gpupool.api.statuses import present
from gpupool.api.v1alpha1 import format_duration, write_time
from gpupool.api.v1alpha1 import inferenceslo_findings as api
from gpupool.api.v1alpha1.conditions import shorten
from gpupool.model.diagnosis import Diagnosis
from gpupool.model.profile import ColdStart, Profile, Shape, Stat
from gpupool.model.traits import Trait
from gpupool.planner.diagnosing import Findings

Json = dict[str, Any]
DIGITS: Final = 4
"""Significant digits of numbers that are shown."""
_PROFILES: Final = TypeAdapter(tuple[api.ProfileStatus, ...])


def profiles(raw: Mapping[str, Any]) -> tuple[Profile, ...]:
    """The profiles that a status keeps; one that cannot be read begins anew."""
    try:
        found = _PROFILES.validate_python(raw.get("profile") or ())
    except ValidationError:
        return ()
    return tuple(_profile(p) for p in found)


def _profile(kept: api.ProfileStatus) -> Profile:
    shape = kept.shape
    return Profile(
        gpu=kept.gpu,
        recipe=kept.recipe,
        since=kept.since.timestamp(),
        shape=Shape(shape.prompt, shape.output, shape.recent_prompt, shape.recent_output) if shape else None,
        requests=_stat(kept.requests_per_second),
        tokens=_stat(kept.tokens_per_second),
        batch=_stat(kept.batch),
        kv=_stat(kept.kv_cache),
        memory=_stat(kept.memory_mebibytes),
        cache=_stat(kept.cache_hits),
        missed=_stat(kept.missed),
        cold_start=_started(kept.cold_start),
        first_token=_started(kept.first_token),
        traits=tuple(_trait(t) for t in kept.traits),
    )


def _trait(kept: api.TraitStatus) -> Trait:
    since = 0.0 if kept.since is None else kept.since.timestamp()
    return Trait(kept.name, kept.base, kept.recent, kept.samples, kept.last.timestamp(), since)


def _started(kept: api.ColdStart | None) -> ColdStart:
    return ColdStart(kept.seconds, kept.until.timestamp()) if kept else ColdStart()


def _stat(kept: api.Stat | None) -> Stat | None:
    return None if kept is None else Stat(kept.value, kept.samples, kept.last.timestamp())


# ------------------------------------------------------------------ and back


def written(found: Findings) -> Json:
    """The parts of a status."""
    diagnosis = found.diagnosis
    return {
        "diagnosis": None if diagnosis is None else _diagnosis(diagnosis),
        "profile": [_written(p) for p in found.profiles],
        "advice": [{"kind": a.kind, "because": a.because, "expect": a.expect} for a in found.advice],
    }


def _diagnosis(found: Diagnosis) -> Json:
    return present(
        {
            "cause": found.cause.value,
            "confidence": found.confidence.value,
            "replicasHelp": found.replicas_help.value,
            "evidence": [
                {"signal": shorten(e.signal)[:256], "value": _rounded(e.value), "bound": e.bound}
                for e in found.evidence[: api.MAX_EVIDENCE]
            ],
            "remedy": shorten(found.remedy) or None,
            "blind": list(found.blind),
        }
    )


def _written(profile: Profile) -> Json:
    shape = profile.shape
    stats = {
        "requestsPerSecond": profile.requests,
        "tokensPerSecond": profile.tokens,
        "batch": profile.batch,
        "kvCache": profile.kv,
        "memoryMebibytes": profile.memory,
        "cacheHits": profile.cache,
        "missed": profile.missed,
    }
    return present(
        {
            "gpu": profile.gpu or None,
            "recipe": profile.recipe or None,
            "since": _time(profile.since),
            "shape": None
            if shape is None
            else _numbers(
                {
                    "prompt": shape.prompt,
                    "output": shape.output,
                    "recentPrompt": shape.recent_prompt,
                    "recentOutput": shape.recent_output,
                }
            ),
            **{name: _shown(stat) for name, stat in stats.items()},
            "coldStart": _start(profile.cold_start),
            "firstToken": _start(profile.first_token),
            "traits": [_told(t) for t in profile.traits],
        }
    )


def _told(trait: Trait) -> Json:
    return present(
        {
            "name": trait.name,
            **_numbers({"base": trait.base, "recent": trait.recent}),
            "samples": trait.samples,
            "last": _time(trait.at),
            "since": _time(trait.since) if trait.since else None,
        }
    )


def _shown(stat: Stat | None) -> Json | None:
    if stat is None:
        return None
    return {"value": _rounded(stat.value), "samples": stat.samples, "last": _time(stat.at)}


def _start(start: ColdStart) -> Json | None:
    if not start.until:
        return None
    return present(
        {
            "p50": _duration(start.p50),
            "p90": _duration(start.p90),
            "seconds": [_rounded(round(s, 1)) for s in start.seconds],
            "until": _time(start.until),
        }
    )


def _numbers(values: Mapping[str, float]) -> Json:
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: float) -> float:
    """A number as the API server gives it back: a whole one has no decimal point."""
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded == int(rounded) else rounded


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else format_duration(timedelta(seconds=seconds))


def _time(seconds: float) -> str:
    return write_time(datetime.fromtimestamp(seconds, UTC))

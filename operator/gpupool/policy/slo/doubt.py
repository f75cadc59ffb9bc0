"""Whether what a profile says of a replica still holds: other requests and slower answers are another matter.

A profile learns only while objectives are met. When answers grow three times as long every window misses, and
what was carried before stays written for ever: it must not be held against the endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gpupool.model.profile import Profile
from gpupool.model.traits import Trait
from gpupool.policy.slo.drift import CACHE, FORGOTTEN, HITS, LENGTH, OUTPUT, PROMPT, drifted, told

SHAPES: Final = frozenset({PROMPT, OUTPUT, CACHE})
"""Traits of requests; all others are latencies at equal load."""


def doubt(profile: Profile | None, window: float, now: float) -> str:
    """Why a profile says nothing about now; empty where it does, or where there is none.

    Args:
        profile: of the GPU that serves.
        window: seconds of the evaluation window.
        now: unix seconds.
    """
    if profile is None or profile.requests is None:
        return ""
    return "; ".join((*_reshaped(profile, window, now), *_slower(profile, window, now)))


def cache_moved(profile: Profile) -> bool:
    """Whether the prefix cache knows another part of the prompts than when the profile was learned."""
    known, trait = profile.cache, _trait(profile, CACHE)
    return known is not None and trait is not None and abs(trait.recent - known.value) > HITS


def _reshaped(profile: Profile, window: float, now: float) -> Iterable[str]:
    """Lengths and cache hits against those of the profile, which may have begun after the traits."""
    if profile.shape is not None:
        for name, known in ((PROMPT, profile.shape.prompt), (OUTPUT, profile.shape.output)):
            trait = _trait(profile, name)
            if trait and now - trait.at <= FORGOTTEN * window and abs(trait.recent / known - 1) > LENGTH:
                yield f"{name} are {trait.recent:.0f}, {known:.0f} when it was learned"
    if profile.cache is not None and cache_moved(profile):
        yield f"cache hits moved from {100 * profile.cache.value:.0f} %"


def _slower(profile: Profile, window: float, now: float) -> Iterable[str]:
    """Latencies at equal load that rose since it was learned."""
    for trait in drifted(profile.traits, window, now):
        if trait.name not in SHAPES and trait.recent > trait.base and trait.since >= profile.since:
            yield told(trait)


def _trait(profile: Profile, name: str) -> Trait | None:
    return next((t for t in profile.traits if t.name == name), None)

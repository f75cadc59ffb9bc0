"""Whether an endpoint still behaves as it was learned: lengths, cache hits, latency at equal load.

What is learned of the first good windows stays: it is not moved along by what is seen later, or a slow drift
would never be one. Another recipe begins anew. One odd window is no drift, and what is back is none any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor, log2
from typing import Final

from gpupool.model.signals import Signals, share
from gpupool.model.traits import Trait

LEARNED: Final = 5
"""Good windows that a trait is learned from."""
RECENT: Final = 0.3
"""Weight of the newest window in what is recent."""
LEAST: Final = 50.0
"""Requests of a window below which their means say little."""
LENGTH: Final = 0.2
"""Part by which prompts or answers may differ (WVA's guard)."""
LATENCY: Final = 0.25
"""Part by which a latency may differ at equal load."""
HITS: Final = 0.1
"""Difference of the part of prompt tokens that the prefix cache knows."""
BACK: Final = 0.5
"""Part of what it may differ by, below which it is back: what wavers about a limit is told once."""
MOST: Final = 15
"""Traits that are kept, those that were seen last."""
FORGOTTEN: Final = 20
"""Windows after which nothing is said any more of a trait that was not seen."""
WHOLE: Final = 100
"""From here on numbers are told without decimals."""
PROMPT: Final = "prompt tokens"
OUTPUT: Final = "output tokens"
CACHE: Final = "cache hits"


def watch(before: Sequence[Trait], signals: Signals, now: float, *, good: bool) -> tuple[Trait, ...]:
    """The traits after one more look; one sample a window.

    Args:
        before: as they were.
        signals: of pods with one GPU model.
        now: unix seconds.
        good: all objectives are met, so that it may be learned from.
    """
    if before and now - max(trait.at for trait in before) < signals.window:
        return tuple(before)
    found = {trait.name: trait for trait in before}
    for name, value in _seen(signals).items():
        known = found.get(name)
        if known is None:
            if good:
                found[name] = Trait(name, value, value, 1, now)
        elif good or known.samples >= LEARNED:
            found[name] = _updated(known, value, now)
    newest = sorted(found.values(), key=lambda t: (-t.at, t.name))[:MOST]
    return tuple(sorted(newest, key=lambda t: t.name))


def drifted(traits: Iterable[Trait], window: float, now: float) -> tuple[Trait, ...]:
    """Those that differ now."""
    return tuple(t for t in traits if t.since and now - t.at <= FORGOTTEN * window)


def told(trait: Trait) -> str:
    """A trait with both numbers."""
    if trait.name == CACHE:
        return f"cache hits are {100 * trait.recent:.0f} %, {100 * trait.base:.0f} % when it was learned"
    change = f"{100 * (trait.recent / trait.base - 1):+.0f} %" if trait.base else "new"
    return f"{trait.name} are {_number(trait.recent)}, {_number(trait.base)} when it was learned ({change})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= WHOLE else f"{value:.3g}"


# ------------------------------------------------------------------ one look


def _seen(signals: Signals) -> Mapping[str, float]:
    """What a window shows, where there were enough requests in it."""
    requests = signals.sum(lambda p: p.engine.requests)
    if requests is None or requests * signals.window < LEAST:
        return {}
    known = signals.sum(lambda p: p.engine.known)
    band = _band(signals.mean(lambda p: p.engine.running))
    found = {
        PROMPT: signals.mean(lambda p: p.engine.prompt),
        OUTPUT: signals.mean(lambda p: p.engine.output),
        CACHE: share(known, signals.sum(lambda p: p.engine.looked_up)),
    }
    if band:
        found[f"ms to the first token with {band} running"] = _ms(signals.mean(lambda p: p.engine.ttft))
        found[f"ms between tokens with {band} running"] = _ms(signals.mean(lambda p: p.engine.itl))
    return {name: value for name, value in found.items() if value is not None}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1e3 * seconds


def _band(running: float | None) -> str:
    """Requests that run at a pod, in bands of a factor of 1.4: what lies in one is equal load."""
    if running is None or running <= 0:
        return ""
    step = max(0, floor(2 * log2(running)))
    low = 2 ** (step / 2) if step else 0
    return f"{_number(low)} to {_number(2 ** ((step + 1) / 2))}"


def _updated(trait: Trait, value: float, now: float) -> Trait:
    samples = trait.samples + 1
    if samples <= LEARNED:
        base = trait.base + (value - trait.base) / samples
        return Trait(trait.name, base, base, samples, now)
    recent = trait.recent + RECENT * (value - trait.recent)
    return Trait(trait.name, trait.base, recent, samples, now, _since(trait, recent, now))


def _since(trait: Trait, recent: float, now: float) -> float:
    allowed = _allowed(trait)
    differs = abs(recent - trait.base)
    if trait.since:
        return trait.since if differs > BACK * allowed else 0.0
    return now if differs > allowed else 0.0


def _allowed(trait: Trait) -> float:
    if trait.name == CACHE:
        return HITS
    return (LENGTH if trait.name in {PROMPT, OUTPUT} else LATENCY) * trait.base

"""Whether advice was followed, and what it brought: predicted against real, with the numbers.

Who follows it does not tell us. It is seen from what has to move for it: another recipe, fewer replicas, more
hits of the prefix cache, a flatter spread. The effect is measured once nothing of the time before is in the
window any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from gpupool.model.diagnosis import Advice
from gpupool.model.effects import Effect, Forecast, Lever, Measure
from gpupool.model.signals import share
from gpupool.model.slo import DAY
from gpupool.policy.slo.diagnosis.situation import Situation

MOST: Final = 8
"""Effects that are kept, the newest."""
OPEN: Final = DAY
"""Seconds for which advice that is given no more is waited for."""
SETTLED: Final = 2
"""Windows after which nothing from before is in one."""
HITS: Final = 0.1
"""Part of prompt tokens by which cache hits rise where caching was followed."""
FLATTER: Final = 0.5
"""Part of what waited at the fullest pod that is left where routing was followed."""

_Number = Callable[[Situation], float | None]


def follow(
    before: Sequence[Effect], it: Situation, advice: Iterable[Advice], now: float
) -> tuple[Effect, ...]:
    """The effects after one more look.

    Args:
        before: as they were.
        it: what is seen.
        advice: what is advised now.
        now: unix seconds.
    """
    given = {a.kind: a.forecast for a in advice if a.forecast is not None}
    done = [e for e in before if e.real is not None]
    going = {e.kind: e for e in before if e.real is None}
    found = [_seen(effect, given.pop(kind, None), it, now) for kind, effect in going.items()]
    found += [Effect(kind, forecast, now) for kind, forecast in given.items()]
    alive = [e for e in found if e.since or now - e.given <= OPEN]
    ordered = sorted((*done, *alive), key=lambda e: (e.at or now, e.kind))
    return tuple(ordered[-MOST:])


def told(effect: Effect) -> str:
    """Predicted against real."""
    forecast, real = effect.forecast, effect.real or 0.0
    return (
        f"{effect.kind} was followed: {forecast.measure.value} {forecast.before:.3g} before,"
        f" {forecast.predicted:.3g} predicted, {real:.3g} measured."
    )


# ------------------------------------------------------------------ one look


def _seen(effect: Effect, given: Forecast | None, it: Situation, now: float) -> Effect:
    if effect.since:
        return _measured(effect, it, now)
    if _moved(effect.forecast, it):
        return replace(effect, since=now)
    return effect if given is None else replace(effect, forecast=given, given=now)


def _measured(effect: Effect, it: Situation, now: float) -> Effect:
    settled = now - effect.since >= SETTLED * it.signals.window
    real = _NUMBERS[effect.forecast.measure](it)
    if not settled or real is None or not it.whole or it.signals.starting:
        return effect
    return replace(effect, real=real, at=now)


def _moved(forecast: Forecast, it: Situation) -> bool:
    if forecast.lever is Lever.RECIPE:
        return bool(it.signals.recipe) and it.signals.recipe != forecast.recipe
    if forecast.lever is Lever.REPLICAS:
        return 0 < len(it.signals.pods) < forecast.level
    if forecast.lever is Lever.CACHE_HITS:
        now = hits(it)
        return now is not None and now >= forecast.level + HITS
    most = it.signals.most(lambda p: p.engine.waiting)
    return most is not None and most <= FLATTER * forecast.level


def hits(it: Situation) -> float | None:
    """Part of the prompt tokens that the prefix cache knew."""
    known = it.signals.sum(lambda p: p.engine.known)
    return share(known, it.signals.sum(lambda p: p.engine.looked_up))


def fits(it: Situation) -> float | None:
    """Requests that would fill the KV cache of a pod."""
    return share(it.running, it.kv)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1e3 * seconds


_NUMBERS: Final[Mapping[Measure, _Number]] = {
    Measure.ITL: lambda it: _ms(it.signals.mean(lambda p: p.engine.itl)),
    Measure.TTFT: lambda it: _ms(it.signals.mean(lambda p: p.engine.ttft)),
    Measure.RUNNING: lambda it: it.running,
    Measure.FULLEST: lambda it: it.signals.most(lambda p: p.engine.waiting),
    Measure.FITS: fits,
}

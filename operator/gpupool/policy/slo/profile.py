"""What an endpoint's replica can do, learned only while all is well and all of it is seen.

One sample a window. The most that was carried with the objectives met is kept, never what was hoped for.
A new recipe (image, command, arguments) begins anew; so does a shape of requests that moved by a fifth, or
another part of them that the prefix cache knows, with the start-ups kept, which do not depend on requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from gpupool.model.profile import ColdStart, Profile, Shape, Stat
from gpupool.model.signals import PodSignals, Signals, share
from gpupool.policy.slo.diagnosis.situation import Situation
from gpupool.policy.slo.doubt import cache_moved
from gpupool.policy.slo.drift import watch
from gpupool.policy.slo.trial import missed

MOVED: Final = 0.2
"""Part by which prompts or answers are longer or shorter when a profile begins anew (WVA's guard)."""
RECENT: Final = 0.3
"""Weight of the newest window in the recent shape: a single odd one resets nothing."""
SETTLED: Final = 5
"""Windows after which a shape is known, and another one is another."""
MOST_MODELS: Final = 4
"""Profiles that are kept."""
MOST_STARTS: Final = 20
"""Start-ups that are kept."""
STEADY: Final = 20
"""Windows over which a mean remembers."""


def learn(profiles: Sequence[Profile], it: Situation, now: float) -> tuple[Profile, ...]:
    """The profiles after one more look.

    Args:
        profiles: as they were.
        it: what is seen.
        now: unix seconds.
    """
    found = {p.gpu: p for p in profiles}
    by_model: dict[str, list[PodSignals]] = {}
    for pod in it.signals.pods:
        by_model.setdefault(pod.gpu.model, []).append(pod)
    for model, pods in by_model.items():
        profile = _current(found.get(model), model, it.signals.recipe, now)
        if len(by_model) == 1:
            profile = replace(
                profile,
                cold_start=_starts(profile.cold_start, it.signals),
                first_token=_first_tokens(profile.first_token, it.signals, now),
            )
        good = _good(it)
        if it.whole and not it.signals.starting:
            seen = replace(it.signals, pods=tuple(pods))
            profile = replace(profile, traits=watch(profile.traits, seen, now, good=good))
        if it.missed():
            answered = Signals(0.0, tuple(pods)).mean(lambda p: p.engine.requests)
            profile = replace(profile, missed=missed(profile.missed, answered or 0.0, now))
        if good and _due(profile, now, it.signals.window):
            profile = _learned(profile, pods, now)
        found[model] = profile
    if any(found):
        found.pop("", None)  # before DCGM named the model
    newest = sorted(found.values(), key=lambda p: (p.gpu in by_model, _age(p), p.gpu), reverse=True)
    return tuple(newest[:MOST_MODELS])


def of_gpu(profiles: Iterable[Profile], signals: Signals) -> Profile | None:
    """The profile of the GPU that most pods have; without a pod, the first."""
    models = [pod.gpu.model for pod in signals.pods]
    found = {p.gpu: p for p in profiles}
    if not models:
        return next(iter(found.values()), None)
    return found.get(max(sorted(set(models)), key=models.count))


def _current(profile: Profile | None, model: str, recipe: str, now: float) -> Profile:
    if profile is None or profile.recipe != recipe:
        return Profile(model, recipe, now)
    return profile


def _good(it: Situation) -> bool:
    """Whether everything is seen, nothing starts, and all objectives are met by enough events."""
    return (
        it.whole
        and not it.missed()
        and not it.signals.starting
        and all(p.engine.requests and p.engine.running is not None for p in it.signals.pods)
    )


def _due(profile: Profile, now: float, window: float) -> bool:
    return profile.requests is None or now - profile.requests.at >= window


def _age(profile: Profile) -> float:
    return profile.requests.at if profile.requests else profile.since


def _learned(profile: Profile, pods: Sequence[PodSignals], now: float) -> Profile:
    signals = Signals(0.0, tuple(pods))
    prompt = signals.mean(lambda p: p.engine.prompt)
    output = signals.mean(lambda p: p.engine.output)
    shape = _shape(profile.shape, prompt, output)
    settled = profile.requests is not None and profile.requests.samples >= SETTLED
    if shape is not None and not settled:
        shape = _begun(shape)
    elif shape is not None and (_moved(shape) or cache_moved(profile)):
        shape = _begun(shape)
        profile = Profile(
            profile.gpu,
            profile.recipe,
            now,
            missed=profile.missed,
            cold_start=profile.cold_start,
            first_token=profile.first_token,
            traits=profile.traits,
        )
    known = signals.sum(lambda p: p.engine.known)
    return replace(
        profile,
        shape=shape,
        requests=_most(profile.requests, signals.mean(lambda p: p.engine.requests), now),
        tokens=_most(profile.tokens, signals.mean(lambda p: p.engine.output_tokens), now),
        batch=_most(profile.batch, signals.mean(lambda p: p.engine.running), now),
        kv=_most(profile.kv, signals.most(lambda p: p.engine.kv), now),
        memory=_most(profile.memory, signals.mean(lambda p: p.gpu.memory), now),
        cache=_mean(profile.cache, share(known, signals.sum(lambda p: p.engine.looked_up)), now),
    )


def _most(stat: Stat | None, value: float | None, now: float) -> Stat | None:
    if value is None:
        return stat
    return Stat(value, 1, now) if stat is None else Stat(max(stat.value, value), stat.samples + 1, now)


def _mean(stat: Stat | None, value: float | None, now: float) -> Stat | None:
    if value is None or stat is None:
        return stat if value is None else Stat(value, 1, now)
    weight = 1 / min(stat.samples + 1, STEADY)
    return Stat(stat.value + weight * (value - stat.value), stat.samples + 1, now)


def _shape(shape: Shape | None, prompt: float | None, output: float | None) -> Shape | None:
    if not prompt or not output:
        return shape
    if shape is None:
        return Shape(prompt, output, prompt, output)
    return replace(
        shape,
        recent_prompt=shape.recent_prompt + RECENT * (prompt - shape.recent_prompt),
        recent_output=shape.recent_output + RECENT * (output - shape.recent_output),
    )


def _begun(shape: Shape) -> Shape:
    return Shape(shape.recent_prompt, shape.recent_output, shape.recent_prompt, shape.recent_output)


def _moved(shape: Shape) -> bool:
    pairs = ((shape.recent_prompt, shape.prompt), (shape.recent_output, shape.output))
    return any(abs(recent / first - 1) > MOVED for recent, first in pairs)


def _starts(before: ColdStart, signals: Signals) -> ColdStart:
    """Start-ups that were not counted yet; a pod that is Ready again is no new one."""
    new = sorted((s for s in signals.started if s.at > before.until), key=lambda s: s.at)
    if not new:
        return before
    seconds = (*before.seconds, *(s.seconds for s in new))
    return ColdStart(seconds[-MOST_STARTS:], new[-1].at)


def _first_tokens(before: ColdStart, signals: Signals, now: float) -> ColdStart:
    """Start-ups until tokens were seen; of a pod that nobody asked for a window, nothing is known."""
    writes = {p.name for p in signals.pods if p.engine.output_tokens or p.engine.requests}
    seconds, until = before.seconds, before.until
    for start in sorted((s for s in signals.started if s.at > until), key=lambda s: s.at):
        since = now - start.at
        if since <= signals.window and start.name not in writes:
            break
        if since <= signals.window:
            seconds = (*seconds, start.seconds + since)
        until = start.at
    return ColdStart(seconds[-MOST_STARTS:], until)

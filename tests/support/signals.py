"""Builders of what an endpoint shows: a healthy pod, and changes of it by the names of its fields."""

from dataclasses import fields, replace
from typing import Any

from gpupool.model.profile import Profile, Stat
from gpupool.model.signals import Engine, Gpu, Host, PodSignals, Signals, Spread
from gpupool.model.slo import Objective, Sli, SloState
from gpupool.policy.slo.diagnosis.situation import Judged, Situation

TTFT = Objective(Sli.TTFT, 95, 0.5)
ITL = Objective(Sli.ITL, 95, 0.05)
AVAILABILITY = Objective(Sli.AVAILABILITY, 99)
STEADY = Spread(((0.025, 960.0), (0.05, 20.0), (0.075, 15.0), (0.1, 5.0)))
HEALTHY = PodSignals(
    name="chat-0",
    engine=Engine(
        running=14,
        running_most=24,
        waiting=0,
        deferred=0,
        kv=0.03,
        preemptions=0,
        requests=4,
        aborted=0,
        answered=4,
        refused=0,
        prompt_tokens=4000,
        output_tokens=1000,
        looked_up=4000,
        known=400,
        prompt=1000,
        output=250,
        ttft=0.06,
        itl=0.015,
        queue=0.001,
    ),
    gpu=Gpu(
        active=1.0,
        tensor=0.24,
        dram=0.66,
        clock=0.97,
        heat=68,
        power=600,
        slowed=(),
        xid=0,
        memory=70_000,
        model="H100",
    ),
    host=Host(cpu=1.2, throttled=0, cpu_pressure=0.01, io_pressure=0.002, network=2.5e7, drops=0, reads=1e5),
)


def a_pod(name: str = "chat-0", base: PodSignals = HEALTHY, **changes: Any) -> PodSignals:
    """A healthy pod, changed: `a_pod(waiting=39, kv=0.97)`."""
    parts: dict[str, Any] = {}
    for part in ("engine", "gpu", "host"):
        now = getattr(base, part)
        own = {f.name for f in fields(now)} & changes.keys()
        parts[part] = replace(now, **{key: changes[key] for key in own})
    assert changes.keys() <= {f.name for p in parts.values() for f in fields(p)}, changes
    return PodSignals(name, **parts)


def seen(*pods: PodSignals, itl: Spread = STEADY, **more: Any) -> Signals:
    """An endpoint of these pods; of two healthy ones where none is given."""
    return Signals(300, pods or (a_pod(), a_pod("chat-1")), itl=itl, **more)


def judged(objective: Objective = TTFT, bad: float = 0.0, total: float = 1000.0, **more: Any) -> Judged:
    """An objective with a part of bad events."""
    return Judged(objective, more.get("state", SloState.OK), total * (1 - bad), total)


def situation(
    signals: Signals | None = None, *objectives: Judged, profile: Profile | None = None
) -> Situation:
    """A situation; all is well where no objective is given."""
    return Situation(signals or seen(), objectives or (judged(), judged(ITL)), profile)


def a_profile(requests: float = 10.0, samples: int = 5, **more: Any) -> Profile:
    """A profile that knows what a replica carries."""
    return Profile("H100", "r1", 0.0, requests=Stat(requests, samples, 0.0), **more)

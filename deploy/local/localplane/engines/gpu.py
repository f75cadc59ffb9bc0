"""What a pod's GPUs do, from what its engine does: prompts keep the tensor cores busy, tokens the memory."""

from typing import Final

from localplane.engines.annotations import Expose
from localplane.engines.pod import WINDOW_SECONDS, Pod
from localplane.exporter.signals import Activity

PREFILL: Final = (0.72, 0.30)
DECODE: Final = (0.14, 0.74)
"""Tensor and memory activity while prompts are read, and while tokens are written."""

MEMORY: Final = 0.9
"""An engine takes its share of the memory at its start, whatever it serves."""

SM_SHARE: Final = 0.88
QUIET_LINK: Final = 0.1
QUIET_DISK: Final = 1e6


def activity(pod: Pod, speed: float) -> Activity:
    """The GPUs of a pod over the last seconds of the world; the engines run at a speed."""
    side = pod.cause.side
    prefill, decode = pod.shares(WINDOW_SECONDS * speed)
    working = (prefill + decode) * side.active
    scale = side.active * side.units
    return Activity(
        engine=working,
        tensor=scale * (prefill * PREFILL[0] + decode * DECODE[0]),
        dram=scale * (prefill * PREFILL[1] + decode * DECODE[1]),
        memory=MEMORY,
        clock=side.clock,
        hot=bool(side.event),
        xid=side.xid,
        links=(prefill + decode) * side.nic if side.nic > QUIET_LINK else None,
        reading=side.reads < QUIET_DISK,
        extras=_extras(pod, working),
    )


def _extras(pod: Pod, working: float) -> tuple[tuple[str, str, str], ...]:
    """What is off by default: name, further labels, value."""
    expose, side = pod.settings.expose, pod.cause.side
    rows = []
    if Expose.SM_ACTIVE in expose:
        rows.append(("DCGM_FI_PROF_SM_ACTIVE", "", f"{working * SM_SHARE * side.units:.6f}"))
    if Expose.CLOCK_EVENTS in expose:
        events = {"gpu_idle": int(working == 0), "power_cap": 0, "sw_thermal": 0, "hw_slowdown": 0}
        events |= {side.event: 7} if side.event else {}
        rows += [
            ("DCGM_EXP_CLOCK_EVENTS_COUNT", f'clock_event="{name}"', str(n)) for name, n in events.items()
        ]
    return tuple(rows)

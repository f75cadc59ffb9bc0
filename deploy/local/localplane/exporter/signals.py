"""From one number, how busy a GPU is, to everything its sensors would say, all in agreement.

Power, temperature, clocks and the engines' shares follow the activity; small noise comes from a hash
of the device and the second, so that the same moment always reads the same.
"""

import zlib
from dataclasses import dataclass, field
from typing import Final

from localplane.exporter.families import FAMILIES
from localplane.gpumodels import GpuModel

IDLE_CLOCK_MHZ: Final = 345
AMBIENT_CELSIUS: Final = 31.0
LOAD_CELSIUS: Final = 38.0
DRAM_EXTRA_CELSIUS: Final = 7.0
FB_RESERVED_SHARE: Final = 0.0065
TENSOR_SHARE: Final = 0.62
DRAM_SHARE: Final = 0.48
PCIE_BYTES: Final = 2.4e9
NVLINK_MIB: Final = 90_000.0
MAX_STEP_SECONDS: Final = 120.0
HOT_CELSIUS: Final = 14.0
FAILED_REMAP: Final = "1"


@dataclass(frozen=True, slots=True)
class Activity:
    """What an engine makes a GPU do, where more is known than one number.

    Attributes:
        engine: part of the time in which it computes, 0 to 1.
        tensor: activity of its tensor cores, 0 to 1.
        dram: activity of its memory, 0 to 1.
        memory: share of the framebuffer in use, 0 to 1.
        clock: SM clock as a part of the usual.
        hot: power and temperature stand at their limits.
        xid: last XID error; with one the remapping of a row has failed.
        links: use of NVLink, 0 to 1; None where it follows the activity.
        reading: data come over PCIe as fast as they are worked on.
        extras: metrics that are off by default: name, further labels, value.
    """

    engine: float
    tensor: float
    dram: float
    memory: float
    clock: float = 1.0
    hot: bool = False
    xid: int = 0
    links: float | None = None
    reading: bool = True
    extras: tuple[tuple[str, str, str], ...] = ()


def noise(seed: str, now: float) -> float:
    """A number from -1 to 1 that depends on the seed and the second only."""
    return zlib.crc32(f"{seed}/{int(now)}".encode()) / 2**31 - 1


@dataclass(slots=True)
class Meter:
    """The counters of one device, which only grow."""

    model: GpuModel
    millijoules: float = 0.0
    nvlink: float = 0.0
    last: float = field(default=0.0)

    def advance(self, now: float, watts: float, links: float) -> None:
        """Count what was drawn and sent since the last look."""
        elapsed = min(max(now - self.last, 0.0), MAX_STEP_SECONDS) if self.last else 0.0
        self.last = max(now, self.last)
        self.millijoules += elapsed * watts * 1000
        if self.model.nvlink:
            self.nvlink += elapsed * links * NVLINK_MIB


def watts_drawn(model: GpuModel, load: float, wobble: float) -> float:
    """Power of a GPU at a load from 0 to 1; never below idle nor above the limit."""
    limits = model.limits
    drawn = limits.idle_watts + (limits.max_watts - limits.idle_watts) * float(load**0.8) * (
        1 + 0.03 * wobble
    )
    return min(limits.max_watts, max(limits.idle_watts * 0.97, drawn + wobble))


def readings(
    meter: Meter,
    seed: str,
    percent: float,
    memory_share: float,
    now: float,
    *,
    mig: bool,
    activity: Activity | None = None,
) -> list[str]:
    """The values of all FAMILIES, in their order, as text.

    Args:
        meter: The device's counters, advanced by this call.
        seed: Name of the device, for its noise.
        percent: Activity, 0 to 100.
        memory_share: Share of the framebuffer in use, 0 to 1.
        now: Unix time.
        mig: A MIG slice: GPU_UTIL reads 0 there, as on real ones.
        activity: Of an engine: wins over percent and memory share.
    """
    model, wobble = meter.model, noise(seed, now)
    act = activity or _usual(percent / 100, memory_share, wobble)
    load, percent = act.engine, act.engine * 100
    watts = model.limits.max_watts * 0.985 if act.hot and load else watts_drawn(model, load, wobble)
    meter.advance(now, watts, load if act.links is None else act.links)
    celsius = AMBIENT_CELSIUS + LOAD_CELSIUS * watts / model.limits.max_watts + wobble
    celsius += HOT_CELSIUS if act.hot and load else 0.0
    reserved = round(model.memory_mib * FB_RESERVED_SHARE)
    used = round((model.memory_mib - reserved) * act.memory)
    working = load > 0
    clock = model.limits.sm_clock_mhz * act.clock - 60 * load * (1 + wobble) if working else IDLE_CLOCK_MHZ
    values = {
        "DEV_SM_CLOCK": f"{round(clock)}",
        "DEV_MEM_CLOCK": f"{model.limits.memory_clock_mhz}",
        "DEV_MEMORY_TEMP": f"{celsius + DRAM_EXTRA_CELSIUS if model.hbm else 0:.0f}",
        "DEV_GPU_TEMP": f"{celsius:.0f}",
        "DEV_POWER_USAGE": f"{watts:.3f}",
        "DEV_TOTAL_ENERGY_CONSUMPTION": f"{meter.millijoules:.0f}",
        "DEV_GPU_UTIL": "0" if mig else f"{percent:.0f}",
        "DEV_MEM_COPY_UTIL": "0" if mig else f"{act.dram * 100:.0f}",
        "DEV_FB_FREE": f"{model.memory_mib - reserved - used}",
        "DEV_FB_USED": f"{used}",
        "DEV_FB_RESERVED": f"{reserved}",
        "DEV_NVLINK_BANDWIDTH_TOTAL": f"{meter.nvlink:.0f}",
        "PROF_GR_ENGINE_ACTIVE": f"{load:.6f}",
        "PROF_PIPE_TENSOR_ACTIVE": f"{act.tensor:.6f}",
        "PROF_DRAM_ACTIVE": f"{act.dram:.6f}",
        "PROF_PCIE_TX_BYTES": f"{load * PCIE_BYTES * (0.4 + 0.05 * wobble):.0f}",
        "PROF_PCIE_RX_BYTES": f"{load * PCIE_BYTES * (1 + 0.05 * wobble) * (1 if act.reading else 0.1):.0f}",
        "DEV_XID_ERRORS": f"{act.xid}",
        "DEV_ROW_REMAP_FAILURE": FAILED_REMAP if act.xid else "0",
    }
    return [values.get(name, "0") for name in _NAMES]


def _usual(load: float, memory_share: float, wobble: float) -> Activity:
    """What goes with a load of which no more is known."""
    tensor, dram = load * (TENSOR_SHARE + 0.02 * wobble), load * (DRAM_SHARE + 0.02 * wobble)
    return Activity(load, tensor, dram, memory_share)


_NAMES: Final = tuple(family.name.removeprefix("DCGM_FI_") for family in FAMILIES)

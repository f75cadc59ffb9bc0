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

    def advance(self, now: float, watts: float, load: float) -> None:
        """Count what was drawn and sent since the last look."""
        elapsed = min(max(now - self.last, 0.0), MAX_STEP_SECONDS) if self.last else 0.0
        self.last = max(now, self.last)
        self.millijoules += elapsed * watts * 1000
        if self.model.nvlink:
            self.nvlink += elapsed * load * NVLINK_MIB


def watts_drawn(model: GpuModel, load: float, wobble: float) -> float:
    """Power of a GPU at a load from 0 to 1; never below idle nor above the limit."""
    limits = model.limits
    drawn = limits.idle_watts + (limits.max_watts - limits.idle_watts) * float(load**0.8) * (
        1 + 0.03 * wobble
    )
    return min(limits.max_watts, max(limits.idle_watts * 0.97, drawn + wobble))


def readings(
    meter: Meter, seed: str, percent: float, memory_share: float, now: float, *, mig: bool
) -> list[str]:
    """The values of all FAMILIES, in their order, as text.

    Args:
        meter: The device's counters, advanced by this call.
        seed: Name of the device, for its noise.
        percent: Activity, 0 to 100.
        memory_share: Share of the framebuffer in use, 0 to 1.
        now: Unix time.
        mig: A MIG slice: GPU_UTIL reads 0 there, as on real ones.
    """
    model, load, wobble = meter.model, percent / 100, noise(seed, now)
    watts = watts_drawn(model, load, wobble)
    meter.advance(now, watts, load)
    celsius = AMBIENT_CELSIUS + LOAD_CELSIUS * watts / model.limits.max_watts + wobble
    reserved = round(model.memory_mib * FB_RESERVED_SHARE)
    used = round((model.memory_mib - reserved) * memory_share)
    working = load > 0
    clock = model.limits.sm_clock_mhz - round(60 * load * (1 + wobble)) if working else IDLE_CLOCK_MHZ
    values = {
        "DEV_SM_CLOCK": f"{clock}",
        "DEV_MEM_CLOCK": f"{model.limits.memory_clock_mhz}",
        "DEV_MEMORY_TEMP": f"{celsius + DRAM_EXTRA_CELSIUS if model.hbm else 0:.0f}",
        "DEV_GPU_TEMP": f"{celsius:.0f}",
        "DEV_POWER_USAGE": f"{watts:.3f}",
        "DEV_TOTAL_ENERGY_CONSUMPTION": f"{meter.millijoules:.0f}",
        "DEV_GPU_UTIL": "0" if mig else f"{percent:.0f}",
        "DEV_MEM_COPY_UTIL": "0" if mig else f"{percent * DRAM_SHARE:.0f}",
        "DEV_FB_FREE": f"{model.memory_mib - reserved - used}",
        "DEV_FB_USED": f"{used}",
        "DEV_FB_RESERVED": f"{reserved}",
        "DEV_NVLINK_BANDWIDTH_TOTAL": f"{meter.nvlink:.0f}",
        "PROF_GR_ENGINE_ACTIVE": f"{load:.6f}",
        "PROF_PIPE_TENSOR_ACTIVE": f"{load * (TENSOR_SHARE + 0.02 * wobble):.6f}",
        "PROF_DRAM_ACTIVE": f"{load * (DRAM_SHARE + 0.02 * wobble):.6f}",
        "PROF_PCIE_TX_BYTES": f"{load * PCIE_BYTES * (0.4 + 0.05 * wobble):.0f}",
        "PROF_PCIE_RX_BYTES": f"{load * PCIE_BYTES * (1 + 0.05 * wobble):.0f}",
    }
    return [values.get(name, "0") for name in _NAMES]


_NAMES: Final = tuple(family.name.removeprefix("DCGM_FI_") for family in FAMILIES)

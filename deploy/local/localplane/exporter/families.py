"""The metric families of dcgm-exporter that are on by default, in its own order and with its types."""

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "DCGM_FI_"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric name."""

    name: str
    type: str
    help: str


def _families(*rows: tuple[str, str, str]) -> tuple[Family, ...]:
    return tuple(Family(f"{PREFIX}{name}", kind, text) for name, kind, text in rows)


EXTRAS: Final = (
    Family("DCGM_FI_PROF_SM_ACTIVE", "gauge", "The ratio of cycles an SM has at least 1 warp assigned."),
    Family("DCGM_EXP_CLOCK_EVENTS_COUNT", "gauge", "Count of clock events within the user-specified time."),
)
"""Off by default; a pod with an engine may ask for them."""

FAMILIES: Final = _families(
    ("DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz)."),
    ("DEV_MEM_CLOCK", "gauge", "Memory clock frequency (in MHz)."),
    ("DEV_MEMORY_TEMP", "gauge", "Memory temperature (in C)."),
    ("DEV_GPU_TEMP", "gauge", "GPU temperature (in C)."),
    ("DEV_POWER_USAGE", "gauge", "Power draw (in W)."),
    ("DEV_TOTAL_ENERGY_CONSUMPTION", "counter", "Total energy consumption since boot (in mJ)."),
    ("DEV_PCIE_REPLAY_COUNTER", "counter", "Total number of PCIe retries."),
    ("DEV_GPU_UTIL", "gauge", "GPU utilization (in %)."),
    ("DEV_MEM_COPY_UTIL", "gauge", "Memory utilization (in %)."),
    ("DEV_ENC_UTIL", "gauge", "Encoder utilization (in %)."),
    ("DEV_DEC_UTIL", "gauge", "Decoder utilization (in %)."),
    ("DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered."),
    ("DEV_FB_FREE", "gauge", "Framebuffer memory free (in MiB)."),
    ("DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB)."),
    ("DEV_FB_RESERVED", "gauge", "Framebuffer memory reserved (in MiB)."),
    ("DEV_UNCORRECTABLE_REMAPPED_ROWS", "counter", "Number of remapped rows for uncorrectable errors."),
    ("DEV_CORRECTABLE_REMAPPED_ROWS", "counter", "Number of remapped rows for correctable errors."),
    ("DEV_ROW_REMAP_FAILURE", "gauge", "Whether remapping of rows has failed."),
    ("DEV_NVLINK_BANDWIDTH_TOTAL", "counter", "Total number of NVLink bandwidth counters for all lanes."),
    ("DEV_VGPU_LICENSE_STATUS", "gauge", "vGPU License status."),
    ("PROF_GR_ENGINE_ACTIVE", "gauge", "Ratio of time the graphics engine is active."),
    ("PROF_PIPE_TENSOR_ACTIVE", "gauge", "Ratio of cycles the tensor (HMMA) pipe is active."),
    ("PROF_DRAM_ACTIVE", "gauge", "Ratio of cycles the device memory interface is active."),
    ("PROF_PCIE_TX_BYTES", "gauge", "The rate of data transmitted over the PCIe bus (in B/s)."),
    ("PROF_PCIE_RX_BYTES", "gauge", "The rate of data received over the PCIe bus (in B/s)."),
)

"""The GPU models that fake nodes can carry: what a real node of each model says about itself.

Memory is what the driver reports in MiB, watts and clocks are the data sheet's, the machine is a
cloud instance that carries eight of them.
"""

from dataclasses import dataclass
from typing import Final

from localplane.errors import PlaneError

NVIDIA: Final = "nvidia.com/gpu"
AMD: Final = "amd.com/gpu"
DRIVER_VERSION: Final = "580.95.05"
CUDA_RUNTIME: Final = ("13", "0")


class UnknownModelError(PlaneError):
    """A GPU model was named that is not in the table."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The server around the GPUs, as its node would report it."""

    instance: str
    cpu: int
    memory_gib: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one GPU draws and how fast it runs."""

    idle_watts: float
    max_watts: float
    sm_clock_mhz: int
    memory_clock_mhz: int


@dataclass(frozen=True, slots=True)
class GpuModel:
    """One GPU product and the limits that its telemetry moves in."""

    product: str
    """Name in GPU Feature Discovery's spelling, for example NVIDIA-H100-80GB-HBM3."""

    family: str
    memory_mib: int
    compute: tuple[int, int]
    machine: Machine
    limits: Limits
    mig: bool = False
    hbm: bool = True
    """High bandwidth memory: has a memory temperature sensor; GDDR boards report 0."""

    nvlink: bool = True
    resource: str = NVIDIA

    @property
    def display_name(self) -> str:
        """The name as DCGM prints it in the label `modelName`, for example NVIDIA A100-SXM4-80GB."""
        return self.product.replace("-", " ").replace(" SXM4 ", "-SXM4-")


_H100 = Machine("p5.48xlarge", 192, 2048)
_H200 = Machine("p5en.48xlarge", 192, 2048)
_B200 = Machine("p6-b200.48xlarge", 192, 2048)
_A100 = Machine("p4de.24xlarge", 96, 1152)
_A100_40 = Machine("p4d.24xlarge", 96, 1152)
_L40S = Machine("g6e.48xlarge", 192, 1536)
_L4 = Machine("g6.48xlarge", 192, 768)
_MI300X = Machine("Standard_ND96isr_MI300X_v5", 96, 1850)
_ADA = "ada-lovelace"

_ROWS: Final = (
    GpuModel("NVIDIA-H100-80GB-HBM3", "hopper", 81559, (9, 0), _H100, Limits(70, 700, 1980, 2619), mig=True),
    GpuModel("NVIDIA-H200", "hopper", 143771, (9, 0), _H200, Limits(75, 700, 1980, 3201), mig=True),
    GpuModel("NVIDIA-B200", "blackwell", 183359, (10, 0), _B200, Limits(140, 1000, 1965, 3996), mig=True),
    GpuModel("NVIDIA-A100-SXM4-80GB", "ampere", 81920, (8, 0), _A100, Limits(55, 400, 1410, 1593), mig=True),
    GpuModel(
        "NVIDIA-A100-SXM4-40GB", "ampere", 40960, (8, 0), _A100_40, Limits(50, 400, 1410, 1215), mig=True
    ),
    GpuModel("NVIDIA-L40S", _ADA, 46068, (8, 9), _L40S, Limits(35, 350, 2520, 9001), hbm=False, nvlink=False),
    GpuModel("NVIDIA-L4", _ADA, 23034, (8, 9), _L4, Limits(16, 72, 2040, 6251), hbm=False, nvlink=False),
    GpuModel(
        "AMD-Instinct-MI300X", "AI", 196592, (9, 4), _MI300X, Limits(140, 750, 2100, 1300), resource=AMD
    ),
)

MODELS: Final = {model.product: model for model in _ROWS}

DEFAULT_MODEL: Final = MODELS["NVIDIA-H100-80GB-HBM3"]


def find_model(name: str) -> GpuModel:
    """The model of this product name; letter case and spaces do not matter.

    Raises:
        UnknownModelError: No such model; the message lists those that exist.
    """
    wanted = name.strip().replace(" ", "-").lower()
    for product, model in MODELS.items():
        if product.lower() == wanted:
            return model
    raise UnknownModelError(f"model: {name!r} is not a known GPU model; use one of {', '.join(MODELS)}")

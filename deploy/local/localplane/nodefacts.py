"""What a node of a GPU model says about itself: labels and amounts."""

from typing import Final

from localplane.gpumodels import AMD, CUDA_RUNTIME, DRIVER_VERSION, GpuModel

ZONE: Final = "local-a"


def gpu_labels(model: GpuModel, gpus: int) -> dict[str, str]:
    """What GPU Feature Discovery (NVIDIA) or the node labeller (AMD) writes on such a node."""
    if not gpus:
        return {}
    if model.resource == AMD:
        return {
            "amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM",
            "amd.com/gpu.family": model.family,
            "amd.com/gpu.vram": f"{model.memory_mib // 1024}G",
            "amd.com/gpu.device-id": "74a1",
            "amd.com/gpu.cu-count": "304",
            "amd.com/gpu.simd-count": "1216",
        }
    driver = DRIVER_VERSION.split(".")
    facts = {
        "gpu.product": model.product,
        "gpu.count": str(gpus),
        "gpu.memory": str(model.memory_mib),
        "gpu.family": model.family,
        "gpu.machine": machine_name(model, gpus),
        "gpu.compute.major": str(model.compute[0]),
        "gpu.compute.minor": str(model.compute[1]),
        "gpu.present": "true",
        "gpu.replicas": "1",
        "gpu.sharing-strategy": "none",
        "gpu.mode": "compute",
        "mig.capable": str(model.mig).lower(),
        "mig.strategy": "single",
        "cuda.driver.major": driver[0],
        "cuda.driver.minor": driver[1],
        "cuda.driver.rev": driver[2],
        "cuda.driver-version.full": DRIVER_VERSION,
        "cuda.runtime.major": CUDA_RUNTIME[0],
        "cuda.runtime.minor": CUDA_RUNTIME[1],
    }
    return {f"nvidia.com/{key}": value for key, value in facts.items()}


def machine_name(model: GpuModel, gpus: int) -> str:
    """The machine's product name: the cloud instance that carries eight, else a plain description."""
    if gpus == 8:  # noqa: PLR2004 - the table's machines carry eight GPUs
        return model.machine.instance
    return f"{gpus}x-{model.product}" if gpus else "m7i.16xlarge"


def node_amounts(model: GpuModel, gpus: int, resource: str) -> dict[str, str]:
    """Capacity of a node; the GPUs stand under `resource`, by default the model's own name."""
    machine = model.machine
    amounts = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
    if gpus:
        amounts |= {"cpu": str(machine.cpu), "memory": f"{machine.memory_gib}Gi", "ephemeral-storage": "7Ti"}
        amounts[resource or model.resource] = str(gpus)
    return amounts


def place_labels(name: str, model: GpuModel, gpus: int) -> dict[str, str]:
    """What a kubelet and a cloud write on every node."""
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine_name(model, gpus),
        "topology.kubernetes.io/region": "local",
        "topology.kubernetes.io/zone": ZONE,
    }

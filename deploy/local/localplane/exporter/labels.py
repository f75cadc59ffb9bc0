"""The label sets of a device, rendered once: dcgm-exporter's names, and how they differ per install."""

import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from localplane.exporter.allocation import Device
from localplane.exporter.objects import MIG, NodeFact, PodFact
from localplane.gpumodels import DRIVER_VERSION

MIG_SLICES: Final = 7
_UUIDS: Final = uuid.UUID("8f9c2c5e-0b52-4a55-9b53-5d1b4c4f6a10")


class LabelStyle(StrEnum):
    """How an install names the labels."""

    POD = "pod"
    """pod, namespace, container, hostname: `--kubernetes`, scraped with honorLabels."""

    EXPORTED = "exported"
    """exported_pod, ...: what Prometheus makes of them without honorLabels."""

    OLD = "old"
    """pod_name, pod_namespace, container_name and Hostname: `--use-old-namespace`, before 2026-05."""

    def names(self) -> tuple[str, str, str, str]:
        """Names of the labels for namespace, pod, container and host."""
        return {
            LabelStyle.POD: ("namespace", "pod", "container", "hostname"),
            LabelStyle.EXPORTED: ("exported_namespace", "exported_pod", "exported_container", "hostname"),
            LabelStyle.OLD: ("pod_namespace", "pod_name", "container_name", "Hostname"),
        }[self]


def gpu_uuid(node: str, gpu: str) -> str:
    """The UUID of a GPU: the same for ever for one place in one node."""
    return f"GPU-{uuid.uuid5(_UUIDS, f'{node}/{gpu}')}"


def device_labels(node: NodeFact, device: Device, style: LabelStyle) -> dict[str, str]:
    """Labels that a device has, held or not."""
    gpu, mig = _place(node, device)
    return {
        "gpu": str(gpu),
        "UUID": gpu_uuid(node.name, str(gpu)),
        "pci_bus_id": f"00000000:{0x04 + 0x10 * (gpu % 15):02X}:00.0",
        "device": f"nvidia{gpu}",
        "modelName": node.model.display_name,
        **mig,
        style.names()[3]: node.name,
        "DCGM_FI_DRIVER_VERSION": DRIVER_VERSION,
    }


def holder_labels(pod: PodFact, container: str, style: LabelStyle) -> dict[str, str]:
    """Labels that a device has because a pod holds it."""
    names = style.names()
    return {names[2]: container, names[0]: pod.namespace, names[1]: pod.name, "pod_uid": pod.uid}


def render_labels(labels: Mapping[str, str]) -> str:
    """The text between and with the braces."""
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in labels.items()) + "}"


def escape(value: str) -> str:
    """A label value in the text format."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _place(node: NodeFact, device: Device) -> tuple[int, dict[str, str]]:
    """The GPU a device is (part of), and its MIG labels; sliced GPUs are numbered after whole ones."""
    if not device.resource.startswith(MIG):
        return device.index, {}
    first = 0
    for resource, count in node.gpus:
        if resource == device.resource:
            break
        first += -(-count // _slices(resource))
    profile = device.resource.removeprefix(MIG)
    gpu, part = divmod(device.index, _slices(device.resource))
    return first + gpu, {"GPU_I_PROFILE": profile, "GPU_I_ID": str(part + 1)}


def _slices(resource: str) -> int:
    """How many devices of a resource one GPU carries: mig-1g.10gb 7, mig-3g.40gb 2, a whole GPU 1."""
    compute = resource.removeprefix(MIG).partition("g")[0]
    return max(1, MIG_SLICES // int(compute)) if compute.isdigit() else 1

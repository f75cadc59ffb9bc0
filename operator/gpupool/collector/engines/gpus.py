"""From DCGM's series of a window to what the GPUs of each pod did. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.windows import CLOCK, EVENTS, GPU_HIGHS, NAME
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.series import device_of, holder_of, source_of
from gpupool.model.signals import Gpu

SLOWING: Final = frozenset({"power_cap", "hw_slowdown", "sw_thermal", "hw_thermal", "hw_power_brake"})
"""Clock events that slow work down; `gpu_idle` and settings of an admin do not."""
LARGEST_RATIO: Final = 1.01
HOTTEST: Final = 200.0
"""°C: what is above is a value that means `unknown`."""
POWER: Final = "DCGM_FI_DEV_POWER_USAGE"
XID, REMAP = GPU_HIGHS[:2]


@dataclass(slots=True)
class _Device:
    model: str = ""
    sliced: bool = False
    means: dict[str, float] = field(default_factory=dict)
    highs: dict[str, float] = field(default_factory=dict)
    events: dict[str, float] = field(default_factory=dict)


def gpus_by_pod(
    means: Sequence[Sample], highs: Sequence[Sample], clocks: Iterable[Sample]
) -> Mapping[PodName, Gpu]:
    """What the GPUs that each pod holds show.

    Args:
        means: of a window, per device.
        highs: highest values, per device.
        clocks: the highest SM clock of each model.
    """
    exporting = {source_of(s.labels) for s in (*means, *highs) if s.labels.get("exported_pod")}
    full = {s.labels.get("modelName", ""): s.value for s in clocks}
    found: dict[PodName, dict[str, _Device]] = defaultdict(lambda: defaultdict(_Device))
    for samples, is_mean in ((means, True), (highs, False)):
        for sample in samples:
            labels = sample.labels
            pod = holder_of(labels, own_name=source_of(labels) in exporting)
            if pod is None:
                continue
            host = labels.get("hostname") or labels.get("Hostname", "")
            device = found[PodName(pod.namespace, pod.name)][device_of(labels, host)]
            _put(device, sample, is_mean=is_mean)
    return {pod: _gpu(list(devices.values()), full) for pod, devices in found.items()}


def _put(device: _Device, sample: Sample, *, is_mean: bool) -> None:
    name = sample.labels.get(NAME, "")
    device.model = sample.labels.get("modelName", device.model)
    device.sliced = device.sliced or bool(sample.labels.get("GPU_I_ID"))
    if name == EVENTS:
        device.events[sample.labels.get("clock_event", "")] = sample.value
    elif is_mean:
        device.means[name] = sample.value
    else:
        device.highs[name] = sample.value


def _gpu(devices: Sequence[_Device], full: Mapping[str, float]) -> Gpu:
    seen = [e for d in devices for e in (d.events,) if e]
    clocks = [d.means[CLOCK] / full[d.model] for d in devices if CLOCK in d.means and full.get(d.model)]
    heats = [h for d in devices if 0 < (h := d.means.get("DCGM_FI_DEV_GPU_TEMP", 0.0)) < HOTTEST]
    xids = [int(d.highs[XID]) for d in devices if XID in d.highs]
    memory = [d.means["DCGM_FI_DEV_FB_USED"] for d in devices if "DCGM_FI_DEV_FB_USED" in d.means]
    return Gpu(
        active=_ratio(devices, "DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
        tensor=_ratio(devices, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"),
        dram=_ratio(devices, "DCGM_FI_PROF_DRAM_ACTIVE"),
        sm=_ratio(devices, "DCGM_FI_PROF_SM_ACTIVE"),
        clock=min(clocks, default=None),
        heat=max(heats, default=None),
        power=max((p for d in devices if (p := d.means.get(POWER))), default=None),
        slowed=tuple(sorted({n for e in seen for n, count in e.items() if count > 0 and n in SLOWING}))
        if seen
        else None,
        xid=max(xids, default=None),
        remap_failed=any(d.highs.get(REMAP, 0.0) == 1 for d in devices),
        memory=sum(memory) if memory else None,
        model=next((d.model for d in devices if d.model), ""),
        watts=_watts(devices),
        devices=len(devices),
    )


def _watts(devices: Sequence[_Device]) -> float | None:
    """What all of them draw; of a slice the whole card is told, which is nobody's part."""
    found = [d.means.get(POWER) for d in devices if not d.sliced]
    known = [watts for watts in found if watts]
    return sum(known) if len(known) == len(devices) else None


def _ratio(devices: Sequence[_Device], name: str) -> float | None:
    good = [v for d in devices if 0 <= (v := d.means.get(name, -1.0)) <= LARGEST_RATIO]
    return sum(good) / len(good) if good else None

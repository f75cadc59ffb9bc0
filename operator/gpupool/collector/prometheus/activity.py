"""PromQL of the activity of GPUs, in percent: the engine's where it is measured, else utilisation.

The same expressions stand in the recording rules (`charts/gpupool/files/recording-rules.yaml`), without a
job and with fixed steps; a test compares the two.

Traps that the expressions know (facts of dcgm-exporter):

- GR_ENGINE_ACTIVE is a ratio and may be missing; GPU_UTIL is a percentage and always 0 on MIG slices, where
  it would make a busy slice idle. It counts only for whole GPUs without the former.
- Blank and sentinel values (2147483632, 9.2e18, NaN) are no activity: what is out of range was not seen.
- A series with an explicit timestamp gets no staleness marker: Prometheus returns it for five minutes
  after its last sample. A step counts only while the newest sample is young.
"""

from collections.abc import Sequence
from typing import Final

ENGINE: Final = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
UTILISATION: Final = "DCGM_FI_DEV_GPU_UTIL"
OTHERS: Final = ("gpu_gfx_activity",)
"""Percentages of other vendors' exporters that name host and pod as dcgm-exporter does: AMD's."""

DEVICE: Final = (
    "job",
    "instance",
    "hostname",
    "Hostname",
    "UUID",
    "gpu",
    "GPU_I_ID",
    "vgpu",
    "serial_number",
)
"""Labels that name a device as one exporter sees it."""

HOLDER: Final = (
    "exported_namespace",
    "exported_pod",
    "pod_namespace",
    "pod_name",
    "namespace",
    "pod",
)
"""Labels that may name the pod that holds it, best first."""

KEPT: Final = (*DEVICE, *HOLDER, "pod_uid")

LIFE: Final = ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_POWER_USAGE")
"""What moves on every living GPU, whatever it does: a counter of millijoules since boot, and watts."""

LARGEST_ENERGY: Final = "1e15"
"""Millijoules that no GPU ever uses: what is above is a value that means `unknown`."""

LARGEST_RATIO: Final = "1.01"
"""Real ratios exceed 1 by rounding."""


def quoted(text: str) -> str:
    """A PromQL string."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def one_of(label: str, values: Sequence[str]) -> str:
    """A matcher for any of some literal values."""
    if len(values) == 1:
        return f"{label}={quoted(values[0])}"
    return f"{label}=~{quoted('|'.join(_literal(v) for v in values))}"


def _literal(text: str) -> str:
    """A value as an RE2 expression that matches only itself."""
    return "".join(f"\\{c}" if c in r"\.+*?()|[]{}^$" else c for c in text)


def duration(seconds: float) -> str:
    """A PromQL duration, in milliseconds where it is not whole; at least one."""
    milliseconds = max(1, round(seconds * 1000))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def labels(names: Sequence[str]) -> str:
    """A list of label names in parentheses."""
    return f"({', '.join(names)})"


def hosts(names: Sequence[str]) -> str:
    """A matcher for series of some hosts, under either spelling; series that name no host pass."""
    listed = quoted("|".join(("", *(_literal(n) for n in sorted(names)))))
    return f"hostname=~{listed},Hostname=~{listed}"


def _selectors(matcher: str) -> tuple[str, ...]:
    """Selectors of the names that tell activity, the engine's first."""
    whole = ",".join(part for part in (matcher, 'GPU_I_PROFILE=""') if part)
    plain = f"{{{matcher}}}" if matcher else ""
    return f"{ENGINE}{plain}", f"{UTILISATION}{{{whole}}}", *(f"{name}{plain}" for name in OTHERS)


def _good(selectors: Sequence[str]) -> tuple[str, ...]:
    """The selectors' values that are activity."""
    engine, *percents = selectors
    return f"{engine} >= 0 <= {LARGEST_RATIO}", *(f"{percent} >= 0 <= 100" for percent in percents)


def _first(expressions: Sequence[str]) -> str:
    """Per device, the first expression that knows it."""
    return f"({f' or on {labels(DEVICE)} '.join(expressions)})"


def activity(matcher: str) -> str:
    """Activity per GPU and holder, 0 to 101 percent, good values only.

    Args:
        matcher: of the jobs, or empty.
    """
    engine, *percents = _good(_selectors(matcher))
    return _first([f"100 * ({engine})", *(f"({percent})" for percent in percents)])


def stamp(matcher: str) -> str:
    """Unix time of the newest sample per GPU and holder, within Prometheus' lookback; good values only."""
    names = _selectors(matcher)
    pairs = zip(names, _good(names), strict=True)
    return _first([f"(timestamp({name}) and {good})" for name, good in pairs])


def lively(matcher: str, limit: str) -> str:
    """Activity where the newest sample is younger than `limit` seconds (a number)."""
    return f"({activity(matcher)} unless (time() - {stamp(matcher)} >= {limit}))"


def counted(matcher: str, span: str) -> str:
    """Samples of a span per GPU and holder, whatever their values."""
    return _first([f"count_over_time({name}[{span}])" for name in _selectors(matcher)])


def lifeless(matcher: str, span: str, least: int) -> str:
    """Devices of which not even the energy used rises over a span with at least so many samples."""
    energy, power = (f"{name}{{{matcher}}}" for name in LIFE)
    by = f"max by {labels(DEVICE)}"
    known = f"({energy} > 0 < {LARGEST_ENERGY}) and count_over_time({energy}[{span}]) >= {least}"
    still = f"({by} (changes({energy}[{span}])) == 0)"
    moving = f"({by} (changes({power}[{span}])) > 0)"
    return f"{still} and ({by} ({known})) unless {moving}"

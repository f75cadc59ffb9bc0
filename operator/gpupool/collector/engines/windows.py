"""What Prometheus is asked about the evaluation window: eight questions for all endpoints together.

A function over a range drops the metric's name, and several names in one question would then collide: so
each is asked by itself, named again by `label_replace`, and joined by `or`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gpupool.collector.engines.adapters import (
    MOST,
    Adapter,
    Series,
    all_shapes,
    counters,
    gauges,
    most_running,
)
from gpupool.collector.engines.questions import MOST_NAMESPACES, places
from gpupool.collector.prometheus.activity import KEPT, duration, labels, one_of

NAME: Final = "series"
"""The label that names a metric again."""
SERIES: Final = (
    *("engine", "model_name", "model", "version", "status", "reason", "handler", "method"),
    *("finished_reason", "err"),
)
"""Labels that tell counters of one pod apart; of several ranks, or scrapers, the highest counts."""
HOUR: Final = "1h"
"""The longest raw range that is read: in it a GPU once runs at its full clock."""

CLOCK: Final = "DCGM_FI_DEV_SM_CLOCK"
EVENTS: Final = "DCGM_EXP_CLOCK_EVENTS_COUNT"
GPU_MEANS: Final = (
    *("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_PROF_DRAM_ACTIVE"),
    *("DCGM_FI_PROF_SM_ACTIVE", CLOCK, "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP"),
    "DCGM_FI_DEV_FB_USED",
)
GPU_HIGHS: Final = ("DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_ROW_REMAP_FAILURE", EVENTS)
HOLDERS: Final = ("exported_namespace", "pod_namespace", "namespace")
"""Where a GPU's series may name the namespace of the pod that holds it."""

OF_CONTAINERS: Final = 'container!="",container!="POD"'
HOSTS: Final = (
    Series("container_cpu_usage_seconds_total", OF_CONTAINERS),
    Series("container_cpu_cfs_periods_total", OF_CONTAINERS),
    Series("container_cpu_cfs_throttled_periods_total", OF_CONTAINERS),
    Series("container_pressure_cpu_waiting_seconds_total", OF_CONTAINERS),
    Series("container_pressure_io_waiting_seconds_total", OF_CONTAINERS),
    Series("container_fs_reads_bytes_total", OF_CONTAINERS),
    Series("container_network_receive_bytes_total"),
    Series("container_network_transmit_bytes_total"),
    Series("container_network_receive_packets_dropped_total"),
    Series("container_network_transmit_packets_dropped_total"),
)
CONTAINER_CPU: Final = Series("container_cpu_usage_seconds_total", OF_CONTAINERS)
WORKING_SET: Final = Series("container_memory_working_set_bytes", OF_CONTAINERS)


@dataclass(frozen=True, slots=True)
class WindowQuestions:
    """The questions; all but `clocks` name the metric in the label `series`.

    Attributes:
        gauges: means of the engines' gauges, and the most that ran, per pod.
        rates: of the engines' counters, per pod.
        shapes: of buckets, per pod and bound; those that are empty are left out.
        gpus, highs: means and highest values, per device.
        clocks: the highest SM clock of each GPU model within the hour.
        hosts: of the kubelet's counters, per pod.
        containers: CPU and the highest working set, per container.
    """

    gauges: str
    rates: str
    shapes: str
    gpus: str
    highs: str
    clocks: str
    hosts: str
    containers: str

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, in the order above."""
        by_pod = (self.gauges, self.rates, self.shapes)
        return *by_pod, self.gpus, self.highs, self.clocks, self.hosts, self.containers


def window_questions(
    namespaces: Sequence[str], window: float, more: Sequence[Adapter] = (), families: Iterable[str] = ()
) -> WindowQuestions:
    """The questions for endpoints in these namespaces.

    Args:
        namespaces: of all endpoints.
        window: seconds.
        more: adapters that owners of endpoints give.
        families: and their histograms.
    """
    where, span = places(namespaces), duration(window)
    series, device = ", ".join(SERIES), labels((*KEPT, "modelName", "clock_event", NAME))
    by_pod = f"sum by (namespace, pod, {NAME}) (max by (namespace, pod, {NAME}, {series}) (%s))"
    shown = sorted({*all_shapes(), *families})
    buckets = " or ".join(_named(f"rate({name}_bucket{{{where}}}[{span}])", name) for name in shown)
    clocks = " or ".join(f"max by (modelName) (max_over_time({s}[{HOUR}]))" for s in _held(CLOCK, namespaces))
    return WindowQuestions(
        gauges=by_pod
        % " or ".join(
            (
                _each("avg_over_time(%s)", gauges(more), where, span),
                _each("max_over_time(%s)", most_running(more), where, span, MOST),
            )
        ),
        rates=by_pod % _each("rate(%s)", counters(more), where, span),
        shapes=f"sum by (namespace, pod, le, {NAME}) ({buckets}) > 0",
        gpus=f"max by {device} ({_devices('avg_over_time(%s)', GPU_MEANS, namespaces, span)})",
        highs=f"max by {device} ({_devices('max_over_time(%s)', GPU_HIGHS, namespaces, span)})",
        clocks=f"max by (modelName) ({clocks})",
        hosts=f"sum by (namespace, pod, {NAME}) ({_each('rate(%s)', HOSTS, where, span)})",
        containers=_containers(where, span),
    )


def _containers(where: str, span: str) -> str:
    """Of several scrapers, or what a container was before its restart, the highest counts."""
    parts = (
        _each("rate(%s)", (CONTAINER_CPU,), where, span),
        _each("max_over_time(%s)", (WORKING_SET,), where, span),
    )
    return f"max by (namespace, pod, container, {NAME}) ({' or '.join(parts)})"


def _each(form: str, found: Iterable[Series], where: str, span: str, suffix: str = "") -> str:
    return " or ".join(
        _named(
            form % f"{s.name}{{{','.join(filter(None, (s.matcher, where)))}}}[{span}]", f"{s.word}{suffix}"
        )
        for s in found
    )


def _named(expression: str, word: str) -> str:
    return f'label_replace({expression}, "{NAME}", "{word}", "", "")'


def _devices(form: str, names: Iterable[str], namespaces: Sequence[str], span: str) -> str:
    return " or ".join(
        _named(form % f"{selector}[{span}]", name) for name in names for selector in _held(name, namespaces)
    )


def _held(name: str, namespaces: Sequence[str]) -> tuple[str, ...]:
    """Selectors of the GPUs that pods of these namespaces hold, under each spelling."""
    found = sorted(set(namespaces))
    if not 0 < len(found) <= MOST_NAMESPACES:
        return (name,)
    return tuple(f"{name}{{{one_of(label, found)}}}" for label in HOLDERS)

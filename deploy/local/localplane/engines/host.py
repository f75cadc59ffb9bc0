"""What the node says of a pod: CPU, throttling, pressure, memory, network, disk, as cAdvisor tells it.

Its counters run in the world's time, whatever the speed of the replay: they are shares of a machine, and a
machine has one second per second.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from localplane.engines.causes import Side
from localplane.engines.objects import EnginePod

CORES: Final = 8.0
"""Cores that a pod without a limit may use."""

RESTING: Final = 0.02
PERIODS_PER_SECOND: Final = 10.0
LINK_BYTES: Final = 12.5e9
MTU_BYTES: Final = 1500
WORKING_SET: Final = 24 * 2**30
BYTES_PER_TOKEN: Final = 4096


@dataclass(slots=True)
class Host:
    """Counters of one pod."""

    cpu: float = 0.0
    periods: float = 0.0
    throttled: float = 0.0
    waiting_cpu: float = 0.0
    waiting_io: float = 0.0
    waiting_memory: float = 0.0
    received: float = 0.0
    sent: float = 0.0
    dropped: float = 0.0
    read: float = 0.0
    memory: float = WORKING_SET

    def advance(self, seconds: float, busy: float, side: Side, cpus: float, tokens: float) -> None:
        """So many seconds passed, the engine working in a part of them, with so many tokens in use."""
        work = seconds * busy
        limit = cpus or CORES
        self.cpu += min(limit * seconds, limit * side.cpu * work + RESTING * seconds)
        self.periods += PERIODS_PER_SECOND * seconds
        self.throttled += PERIODS_PER_SECOND * side.throttled * work
        cpu, disk, memory = side.pressure
        self.waiting_cpu += cpu * work
        self.waiting_io += disk * work
        self.waiting_memory += memory * work
        self.received += side.nic * LINK_BYTES * work
        self.sent += side.nic * LINK_BYTES * work
        self.dropped += max(0.0, side.nic - 0.9) * LINK_BYTES / MTU_BYTES * 0.01 * work
        self.read += side.reads * work
        self.memory = WORKING_SET + tokens * BYTES_PER_TOKEN


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    kind: str
    value: Callable[[Host], float]
    scope: str = "container"
    """`container`, `pod` (network: all containers share it), or `limited` (with a CPU limit only)."""


_FAMILIES: Final = (
    _Family("container_cpu_usage_seconds_total", "counter", lambda h: h.cpu),
    _Family("container_cpu_cfs_periods_total", "counter", lambda h: int(h.periods), "limited"),
    _Family("container_cpu_cfs_throttled_periods_total", "counter", lambda h: int(h.throttled), "limited"),
    _Family("container_pressure_cpu_waiting_seconds_total", "counter", lambda h: h.waiting_cpu),
    _Family("container_pressure_io_waiting_seconds_total", "counter", lambda h: h.waiting_io),
    _Family("container_pressure_memory_waiting_seconds_total", "counter", lambda h: h.waiting_memory),
    _Family("container_memory_working_set_bytes", "gauge", lambda h: h.memory),
    _Family("container_fs_reads_bytes_total", "counter", lambda h: h.read),
    _Family("container_network_receive_bytes_total", "counter", lambda h: h.received, "pod"),
    _Family("container_network_transmit_bytes_total", "counter", lambda h: h.sent, "pod"),
    _Family("container_network_receive_packets_dropped_total", "counter", lambda h: int(h.dropped), "pod"),
)


def cadvisor(pods: Iterable[tuple[EnginePod, Host]]) -> str:
    """The page of /metrics/cadvisor for these pods."""
    rows = list(pods)
    lines = []
    for family in _FAMILIES:
        lines.append(f"# HELP {family.name} {family.name}\n# TYPE {family.name} {family.kind}\n")
        for pod, host in rows:
            if family.scope == "limited" and not pod.cpus:
                continue
            labels = f'namespace="{pod.namespace}",pod="{pod.name}",node="{pod.node}"'
            if family.scope == "pod":
                labels += ',container="",interface="eth0"'
            else:
                labels += f',container="{pod.container}"'
            lines.append(f"{family.name}{{{labels}}} {family.value(host):.15g}\n")
    return "".join(lines)

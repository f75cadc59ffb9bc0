"""What the pods of an endpoint show over the evaluation window. What was not seen is None, never zero.

Rates are per second, times seconds, shares 0 to 1, memory MiB, clocks MHz, heat °C. Of a pod with several
GPUs activity is their mean, and what goes wrong on one of them is the worst.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from gpupool.model.objects import Key


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram's events per second, by the upper bound (seconds) of the bucket they fell into."""

    rates: tuple[tuple[float, float], ...] = ()

    @property
    def total(self) -> float:
        """All events per second."""
        return sum(rate for _, rate in self.rates)

    def above(self, limit: float) -> float | None:
        """Part of the events in buckets that lie whole above a limit; None without events."""
        total = self.total
        if total <= 0:
            return None
        lower, found = 0.0, 0.0
        for bound, rate in self.rates:
            found += rate if lower >= limit - 1e-12 else 0.0
            lower = bound
        return found / total

    @property
    def mode(self) -> float | None:
        """Upper bound of the fullest bucket."""
        return max(self.rates, key=lambda pair: pair[1])[0] if self.total > 0 else None


@dataclass(frozen=True, slots=True)
class Engine:
    """What the engine of a pod says of itself.

    Attributes:
        running, waiting: requests, on average; and the most that ran at any scrape.
        deferred: waiting ones that wait for something else than room (an adapter, a grammar).
        kv: use of the KV cache.
        preemptions: sequences put back.
        requests, aborted: ended, and of them without an answer.
        answered, refused: at the HTTP layer, and of them with 5xx.
        prompt_tokens, output_tokens: read and written.
        looked_up, known: prompt tokens looked up in the prefix cache, and found there.
        prompt, output: mean tokens of a request.
        ttft, itl, queue: mean seconds to the first token, between two, before being taken.
    """

    running: float | None = None
    running_most: float | None = None
    waiting: float | None = None
    deferred: float | None = None
    kv: float | None = None
    preemptions: float | None = None
    requests: float | None = None
    aborted: float | None = None
    answered: float | None = None
    refused: float | None = None
    prompt_tokens: float | None = None
    output_tokens: float | None = None
    looked_up: float | None = None
    known: float | None = None
    prompt: float | None = None
    output: float | None = None
    ttft: float | None = None
    itl: float | None = None
    queue: float | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """What DCGM says of the GPUs of a pod.

    Attributes:
        active, tensor, dram, sm: activity of the engine, tensor cores, memory, multiprocessors.
        clock: SM clock as a part of the highest that its model showed within the hour.
        heat, power: the highest mean of its GPUs.
        watts, devices: what all of them draw together (None unless each tells), and how many there are.
        slowed: clock events that slow it down, by name, seen in the window; None where not exported.
        xid: the last error, 0 for none; None where not exported.
        remap_failed: a row of memory could not be replaced.
        memory: in use, of all its GPUs.
    """

    active: float | None = None
    tensor: float | None = None
    dram: float | None = None
    sm: float | None = None
    clock: float | None = None
    heat: float | None = None
    power: float | None = None
    slowed: tuple[str, ...] | None = None
    xid: int | None = None
    remap_failed: bool = False
    memory: float | None = None
    model: str = ""
    watts: float | None = None
    devices: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """What the kubelet says of a pod.

    Attributes:
        cpu: cores in use.
        throttled: part of its CFS periods that were cut short; None without a CPU limit.
        cpu_pressure, io_pressure: part of the time in which something of it waits.
        network: bytes received and sent.
        drops: packets dropped.
        reads: bytes from disk.
    """

    cpu: float | None = None
    throttled: float | None = None
    cpu_pressure: float | None = None
    io_pressure: float | None = None
    network: float | None = None
    drops: float | None = None
    reads: float | None = None


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """What the kubelet says of one container of a pod.

    Attributes:
        cpu: cores in use.
        memory: the highest working set, bytes.
        limit: of its CPU, cores; None without one.
    """

    name: str
    cpu: float | None = None
    memory: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class PodSignals:
    """A Ready pod."""

    name: str
    engine: Engine = field(default_factory=Engine)
    gpu: Gpu = field(default_factory=Gpu)
    host: Host = field(default_factory=Host)
    containers: tuple[ContainerUse, ...] = ()

    @property
    def at_limit(self) -> float | None:
        """CPU in use as a part of its limit, of the container that is nearest; None without a limit."""
        parts = (share(c.cpu, c.limit) for c in self.containers)
        return max((part for part in parts if part is not None), default=None)


@dataclass(frozen=True, slots=True)
class Starting:
    """A pod that is not Ready: since how many seconds, and whether it has a node."""

    name: str
    seconds: float
    bound: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """A pod that became Ready: when (unix seconds), how many seconds after it was made, and how long ago."""

    at: float
    seconds: float
    name: str = ""
    ago: float = inf


@dataclass(frozen=True, slots=True)
class Signals:
    """An endpoint over the evaluation window.

    Attributes:
        window: seconds.
        pods: those that are Ready.
        starting: those that are not.
        started: those that are, with their start-up.
        ttft, itl: of all pods together; itl is the mean of a request where the engine has no other.
        recipe: digest of image, command and arguments of the newest pod.
    """

    window: float
    pods: tuple[PodSignals, ...] = ()
    starting: tuple[Starting, ...] = ()
    started: tuple[Started, ...] = ()
    ttft: Spread = field(default_factory=Spread)
    itl: Spread = field(default_factory=Spread)
    recipe: str = ""

    def values(self, of: Callable[[PodSignals], float | None]) -> list[float]:
        """What the pods show of one signal; those that do not show it are left out."""
        return [value for pod in self.pods if (value := of(pod)) is not None]

    def mean(self, of: Callable[[PodSignals], float | None]) -> float | None:
        """The mean over the pods."""
        found = self.values(of)
        return sum(found) / len(found) if found else None

    def sum(self, of: Callable[[PodSignals], float | None]) -> float | None:
        """The sum over the pods."""
        found = self.values(of)
        return sum(found) if found else None

    def most(self, of: Callable[[PodSignals], float | None]) -> float | None:
        """The highest of the pods."""
        return max(self.values(of), default=None)


@dataclass(frozen=True, slots=True)
class SignalReading:
    """The signals of all endpoints, or why there are none."""

    at: datetime | None = None
    endpoints: Mapping[Key, Signals] = field(default_factory=dict)
    problem: str = ""


def share(part: float | None, whole: float | None) -> float | None:
    """A part of a whole; None where either is not known or there is nothing."""
    return None if part is None or whole is None or whole <= 0 else part / whole


def variation(values: Iterable[float]) -> float | None:
    """Standard deviation over mean; None for fewer than two values, or nothing."""
    found = list(values)
    mean = sum(found) / len(found) if found else 0.0
    if not found[1:] or mean <= 0:
        return None
    return float((sum((v - mean) ** 2 for v in found) / len(found)) ** 0.5 / mean)

"""Our own series, read back: dead pods of the window and the peaks of requests outlive the operator. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.ownqueries import RAW, RECENT_STEP
from gpupool.model.objects import Key
from gpupool.model.usage import Peak


@dataclass(frozen=True, slots=True)
class OwnPod:
    """What our own series remember of a pod over the window.

    Attributes:
        gpus: GPUs it held.
        seconds: GPU-seconds it was seen to hold them by the operator.
        nodes: where.
        request: on which request they were booked for the longest time; empty for none.
    """

    gpus: int
    seconds: float
    nodes: frozenset[str]
    request: str


@dataclass(frozen=True, slots=True)
class Past:
    """What our own series remember of requests.

    Attributes:
        peaks: the most each request used, and for how long it was recorded.
        recorded: seconds of the last quarter hour in which there was something to record.
        kept: recording rules kept something; always so where none are read.
    """

    peaks: Mapping[Key, Peak] = field(default_factory=dict)
    recorded: float = 0.0
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Own:
    """What our own series remember of a pool; `week` is the most that requests of endpoints used in one."""

    pods: Mapping[Key, OwnPod] = field(default_factory=dict)
    past: Past = field(default_factory=Past)
    week: Mapping[Key, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Record:
    gpus: int = 0
    nodes: set[str] = field(default_factory=set)
    requests: dict[str, float] = field(default_factory=dict)
    jobs: dict[str, float] = field(default_factory=dict)


def own_key(labels: Mapping[str, str], name: str) -> Key:
    """Namespace and `name` of one of our own series, however the scrape renamed them."""
    namespace = labels.get("exported_namespace") or labels.get("namespace", "")
    return Key(namespace, labels.get(f"exported_{name}") or labels.get(name, ""))


def own_pods(held: Iterable[Sample], size: Iterable[Sample], unit: float) -> dict[Key, OwnPod]:
    """Read back what we exported about pods; two scrapes of us by different jobs count once."""
    records: dict[Key, _Record] = defaultdict(_Record)
    for sample in held:
        record = records[own_key(sample.labels, "pod")]
        seconds = sample.value * unit
        _add(record.jobs, sample.labels.get("job", ""), seconds)
        _add(record.requests, sample.labels.get("request", ""), seconds)
        record.nodes.add(sample.labels.get("node", ""))
    for sample in size:
        record = records[own_key(sample.labels, "pod")]
        record.gpus = max(record.gpus, round(sample.value))
    return {key: _own_pod(record) for key, record in sorted(records.items()) if record.jobs}


def _add(totals: dict[str, float], name: str, seconds: float) -> None:
    totals[name] = totals.get(name, 0.0) + seconds


def _own_pod(record: _Record) -> OwnPod:
    request = max(sorted(record.requests), key=lambda r: record.requests[r])
    return OwnPod(record.gpus, max(record.jobs.values()), frozenset(record.nodes), request)


def most_used(samples: Iterable[Sample]) -> dict[Key, int]:
    """The most GPUs that each request used."""
    used: dict[Key, int] = {}
    for sample in samples:
        key = own_key(sample.labels, "request")
        used[key] = max(used.get(key, 0), round(sample.value))
    return used


def past(
    peak: Iterable[Sample], history: Iterable[Sample], recent: Iterable[Sample], *, unit: float, step: float
) -> Past:
    """Read back what we exported about requests.

    Args:
        peak: the most each used.
        history: counts of `unit` seconds in which each was recorded.
        recent: counts of `step` seconds of the last window in which each was recorded.
        unit: seconds.
        step: seconds.
    """
    used = most_used(peak)
    reach: dict[Key, float] = {}
    lately: dict[Key, float] = {}
    recorded = 0.0
    for sample in recent:
        key = own_key(sample.labels, "request")
        lately[key] = max(lately.get(key, 0.0), sample.value * step)
    for sample in history:
        if RAW in sample.labels:
            recorded = max(recorded, sample.value * RECENT_STEP)
            continue
        key = own_key(sample.labels, "request")
        reach[key] = max(reach.get(key, 0.0), sample.value * unit)
    peaks = {key: Peak(used[key], reach.get(key, 0.0), lately.get(key, 0.0)) for key in sorted(used)}
    return Past(peaks, recorded, kept=bool(reach))

"""From labels to facts: which device, which host, which pod a series speaks about. Pure.

Exporters name the pod that holds a device in several ways. Where Prometheus kept the target's own labels
(`honor_labels: false`) the holder is in `exported_pod`, and `pod` names the exporter itself: in a target that
uses `exported_pod` anywhere, a plain `pod` is never believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gpupool.collector.prometheus.answer import Sample
from gpupool.model.objects import Key

FULL: Final = 100.0
HOLDERS: Final = (
    ("exported_namespace", "exported_pod"),
    ("pod_namespace", "pod_name"),
    ("namespace", "pod"),
)
"""Where the holder may be named, best first; the last is the target's own name elsewhere."""

Identity = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One target of one believed job."""

    job: str
    instance: str


@dataclass(frozen=True, slots=True)
class GpuSeries:
    """What one exporter says of one device while one pod held it.

    Attributes:
        source: who says it.
        host: the node it names, or empty.
        device: name of the device within the cluster (UUID, or host and index; with MIG slice and share).
        pod: who holds it; None for a free device, or where the exporter does not tell.
        seen: seconds of the window with a sample.
        busy: seconds of them with activity above 0.
        activity: mean over what was seen, percent.
        age: seconds since the newest sample; None where Prometheus has none within its lookback.
        uid: of the pod, where the exporter tells it.
        home: namespace of the target, where the series still shows it.
        crowded: more samples than one exporter writes: two write it, and nobody knows which is read.
        still: the device shows no life: what is exported for it does not move.
    """

    source: Source
    host: str
    device: str
    pod: Key | None
    seen: float = 0.0
    busy: float = 0.0
    activity: float = 0.0
    age: float | None = None
    uid: str = ""
    home: str = ""
    crowded: bool = False
    still: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """What the questions about use answered, and the seconds that a count stands for."""

    seen: Sequence[Sample] = ()
    busy: Sequence[Sample] = ()
    mean: Sequence[Sample] = ()
    age: Sequence[Sample] = ()
    crowded: Sequence[Sample] = ()
    still: Sequence[Sample] = ()
    unit: float = 1.0


@dataclass(slots=True)
class _Row:
    labels: Mapping[str, str]
    seen: float = 0.0
    busy: float = 0.0
    activity: float = 0.0
    age: float | None = None
    crowded: bool = False


def gpu_series(answers: Answers) -> tuple[GpuSeries, ...]:
    """Join the answers per series and read their labels."""
    rows: dict[Identity, _Row] = {}
    for sample in answers.seen:
        _row(rows, sample).seen = sample.value * answers.unit
    for sample in answers.busy:
        _row(rows, sample).busy = sample.value * answers.unit
    for sample in answers.mean:
        _row(rows, sample).activity = min(FULL, sample.value)
    for sample in answers.age:
        _row(rows, sample).age = max(0.0, sample.value)
    for sample in answers.crowded:
        _row(rows, sample).crowded = True
    exporting = frozenset(source_of(r.labels) for r in rows.values() if r.labels.get("exported_pod"))
    still = frozenset(_place(s.labels) for s in answers.still)
    return tuple(_read(rows[identity], exporting, still) for identity in sorted(rows))


def _row(rows: dict[Identity, _Row], sample: Sample) -> _Row:
    identity = tuple(sorted(sample.labels.items()))
    return rows.setdefault(identity, _Row(sample.labels))


def _place(labels: Mapping[str, str]) -> tuple[Source, str]:
    """A device as one exporter sees it."""
    return source_of(labels), device_of(labels, _host(labels))


def _host(labels: Mapping[str, str]) -> str:
    return labels.get("hostname") or labels.get("Hostname", "")


def _read(row: _Row, exporting: frozenset[Source], still: frozenset[tuple[Source, str]]) -> GpuSeries:
    labels, source, host = row.labels, source_of(row.labels), _host(row.labels)
    return GpuSeries(
        source=source,
        host=host,
        device=device_of(labels, host),
        pod=holder_of(labels, own_name=source in exporting),
        seen=row.seen,
        busy=min(row.busy, row.seen),
        activity=row.activity,
        age=row.age,
        uid=labels.get("pod_uid", ""),
        home=labels.get("namespace", "") if source in exporting else "",
        crowded=row.crowded,
        still=_place(labels) in still,
    )


def source_of(labels: Mapping[str, str]) -> Source:
    """The target that a series came from."""
    return Source(labels.get("job", ""), labels.get("instance", ""))


def device_of(labels: Mapping[str, str], host: str) -> str:
    """A name for the device that is the same whoever exports it."""
    card = labels.get("UUID") or labels.get("serial_number") or f"{host}/{labels.get('gpu', '')}"
    parts = (labels.get("GPU_I_ID", ""), labels.get("vgpu", ""))
    return "/".join((card, *parts)).rstrip("/")


def holder_of(labels: Mapping[str, str], *, own_name: bool) -> Key | None:
    """The pod that the labels name as holder.

    Args:
        labels: of the series.
        own_name: a plain `pod` is the exporter's own name here.
    """
    for namespace, pod in HOLDERS[:-1] if own_name else HOLDERS:
        if labels.get(namespace) and labels.get(pod):
            return Key(labels[namespace], labels[pod])
    return None

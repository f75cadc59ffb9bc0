"""How an engine spells its metrics: families with their rows, and a page made of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from localplane.engines.histograms import Histogram

GAUGE: Final = "gauge"
COUNTER: Final = "counter"
HISTOGRAM: Final = "histogram"
NOT_A_NUMBER: Final = "NaN"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric name.

    Attributes:
        rows: further labels and the key of the number (or of what a histogram observes), one a series.
        bounds: of a histogram, without +Inf.
        lazy: a series that is not there before it has counted something.
    """

    name: str
    kind: str
    help: str
    rows: tuple[tuple[str, str], ...]
    bounds: tuple[float, ...] = ()
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """All families of an engine.

    Attributes:
        labels: of every series; `{model}` is the model's name, `{blocks}` its blocks of KV cache.
        python: bounds as Python's client writes them ("1.0"), else shortest ("1").
    """

    families: tuple[Family, ...]
    labels: str = 'model_name="{model}"'
    python: bool = True

    def histograms(self) -> dict[str, Histogram]:
        """Empty histograms by what they observe."""
        return {
            key: Histogram(family.bounds)
            for family in self.families
            if family.kind == HISTOGRAM
            for _, key in family.rows
        }

    def bound(self, value: float) -> str:
        """A bound as it is written in `le`."""
        return repr(float(value)) if self.python else f"{value:.10g}"


def gauge(name: str, key: str, text: str = "", labels: str = "") -> Family:
    """A gauge of one series."""
    return Family(name, GAUGE, text or name, ((labels, key),))


def counter(name: str, key: str, text: str = "", labels: str = "") -> Family:
    """A counter of one series."""
    return Family(name, COUNTER, text or name, ((labels, key),))


def histogram(name: str, key: str, bounds: tuple[float, ...], text: str = "", labels: str = "") -> Family:
    """A histogram of one series."""
    return Family(name, HISTOGRAM, text or name, ((labels, key),), bounds)


@dataclass(frozen=True, slots=True)
class Frame:
    """A pod's numbers at a moment, and what is wrong with how they are told."""

    dialect: Dialect
    names: Mapping[str, str]
    """What stands in the labels for `{model}` and `{blocks}`."""

    numbers: Mapping[str, float]
    histograms: Mapping[str, Histogram]
    nan: bool = False
    no_histograms: bool = False
    stamp: str = ""
    skipped: frozenset[str] = frozenset()
    """Families that are not exposed, by name."""


def page(frame: Frame) -> str:
    """The page in Prometheus text format 0.0.4."""
    lines: list[str] = []
    base = frame.dialect.labels.format_map(frame.names)
    for family in frame.dialect.families:
        if family.name in frame.skipped or (frame.no_histograms and family.kind == HISTOGRAM):
            continue
        rows = [row for row in family.rows if not family.lazy or frame.numbers[row[1]]]
        if not rows:
            continue
        lines.append(f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n")
        for given, key in rows:
            extra = given.format_map(frame.names)
            labels = f"{base},{extra}" if base and extra else base or extra
            if family.kind == HISTOGRAM:
                lines.extend(_histogram(frame, family, labels, frame.histograms[key]))
            else:
                value = NOT_A_NUMBER if frame.nan else f"{frame.numbers[key]:.15g}"
                lines.append(f"{family.name}{{{labels}}} {value}{frame.stamp}\n")
    return "".join(lines)


def _histogram(frame: Frame, family: Family, labels: str, found: Histogram) -> Iterator[str]:
    comma = "," if labels else ""
    bounds = [*map(frame.dialect.bound, found.bounds), "+Inf"]
    counts = found.cumulative()
    nan, stamp = frame.nan, frame.stamp
    for bound, count in zip(bounds, counts, strict=True):
        text = NOT_A_NUMBER if nan else str(count)
        yield f'{family.name}_bucket{{{labels}{comma}le="{bound}"}} {text}{stamp}\n'
    yield f"{family.name}_sum{{{labels}}} {NOT_A_NUMBER if nan else f'{found.sum:.15g}'}{stamp}\n"
    yield f"{family.name}_count{{{labels}}} {NOT_A_NUMBER if nan else counts[-1]}{stamp}\n"

"""Gauges by the ten thousand, as text that Prometheus reads.

The client library makes an object of every sample, and its page of 10,000 requests kept the process busy for
seconds at each scrape. It still writes what counts the process's own doings.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from gpupool.telemetry.catalog import Metric

SPECIAL: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
"""What text format 0.0.4 escapes in the value of a label."""
IN_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


def exposition(gauges: Iterable[tuple[Metric, Mapping[tuple[str, ...], float]]]) -> str:
    """The page of some gauges.

    Args:
        gauges: each metric with its values by those of its labels; one without values is left out.

    Returns:
        Text format 0.0.4, the series of a metric in the order of their labels.
    """
    return "".join(line for metric, values in gauges if values for line in _family(metric, values))


def _family(metric: Metric, values: Mapping[tuple[str, ...], float]) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.help.translate(IN_HELP)}\n# TYPE {metric.name} gauge\n"
    names = ",".join(f'{label}="%s"' for label in metric.labels)
    form = f"{metric.name}{{{names}}} %r\n" if names else f"{metric.name} %r\n"
    for labels in sorted(values):
        yield form % (*_escaped(labels), values[labels])


def _escaped(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Names of Kubernetes have nothing to escape; sentences and what others chose may."""
    text = "".join(labels)
    if "\\" in text or '"' in text or "\n" in text:
        return tuple(label.translate(SPECIAL) for label in labels)
    return labels

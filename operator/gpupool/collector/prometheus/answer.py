"""Reading an answer of the query API: pure, strict about its form, without numbers that are none."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gpupool.collector.prometheus.errors import PrometheusBadAnswer, PrometheusPartial

SHOWN = 200
"""Characters of a foreign text that are quoted in an error."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series.

    Attributes:
        labels: of the series, `__name__` included where the query kept it.
        value: finite.
        timestamp: unix seconds; of an instant vector, the moment of evaluation.
    """

    labels: Mapping[str, str]
    value: float
    timestamp: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Samples in the order they came; `dropped` counts values that were NaN or infinite."""

    samples: tuple[Sample, ...]
    dropped: int = 0


def read_answer(body: Any) -> Answer:
    """Read the JSON body of a successful answer: a vector, a scalar, or a matrix flattened into samples.

    Raises:
        PrometheusBadAnswer: it is not an answer of the query API.
        PrometheusPartial: it says itself that something is missing.
    """
    if not isinstance(body, dict) or body.get("status") != "success":
        raise PrometheusBadAnswer(f"Prometheus answered something else than a result: {quote(body)}")
    if body.get("warnings"):
        raise PrometheusPartial(f"Prometheus answered in part only: {quote(body['warnings'])}")
    try:
        rows = tuple(_rows(body["data"]))
        found = tuple(Sample(labels, float(value), float(time)) for labels, time, value in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise PrometheusBadAnswer(f"Prometheus answered in a form that is not known: {error!r}") from error
    good = tuple(s for s in found if math.isfinite(s.value))
    return Answer(good, len(found) - len(good))


def _rows(data: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, str], Any, Any]]:
    result = data["result"]
    match data["resultType"]:
        case "vector":
            return ((row["metric"], *row["value"]) for row in result)
        case "matrix":
            return ((row["metric"], *point) for row in result for point in row["values"])
        case "scalar":
            return (({}, *result),)
        case other:
            raise ValueError(f"result type {other!r}")


def quote(text: Any) -> str:
    """The beginning of a foreign text, on one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"

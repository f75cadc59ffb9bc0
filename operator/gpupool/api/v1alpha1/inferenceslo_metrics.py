"""Names of metrics of an engine that no adapter knows."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel
from gpupool.api.v1alpha1.rules import Rule, form

MAX_NAME = 200
SUFFIXES = ("_bucket", "_sum", "_count")
MetricName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME),
    form(
        r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        "is no name of a metric: write it without labels, range or function, such as my_requests_running",
    ),
]
Family = Annotated[
    MetricName,
    Rule(
        cel="!self.endsWith('_bucket') && !self.endsWith('_sum') && !self.endsWith('_count')",
        message="a histogram is named without _bucket, _sum or _count: write my_ttft_seconds",
        shows=("%s is a series of a histogram: write its name without _bucket, _sum or _count", "self"),
        holds=lambda name: not name.endswith(SUFFIXES),
    ),
]


class Unit(StrEnum):
    """What the bounds of histograms are in."""

    SECONDS = "Seconds"
    MILLISECONDS = "Milliseconds"


class MetricMap(ApiModel):
    """What the engine calls what is measured; pods show it with the labels namespace and pod."""

    running: MetricName
    """Gauge: requests that run. What else is named is believed as fresh as this."""
    waiting: MetricName | None = None
    """Gauge: requests that wait."""
    kv_cache: MetricName | None = None
    """Gauge: use of the KV cache, 0 to 1."""
    ttft: Family | None = None
    """Histogram: time to the first token, without _bucket."""
    itl: Family | None = None
    """Histogram: time between two tokens."""
    tpot: Family | None = None
    """Histogram: mean time per token of a request."""
    e2e: Annotated[Family | None, Field(alias="e2e")] = None
    """Histogram: time until a request is answered whole."""
    queue: Family | None = None
    """Histogram: time until a request is taken."""
    unit: Unit = Unit.SECONDS
    """What the bounds of these histograms are in."""
    succeeded: MetricName | None = None
    """Counter: requests with an answer."""
    failed: MetricName | None = None
    """Counter: requests without one; with succeeded it is what availability is counted from."""
    prompt_tokens: MetricName | None = None
    """Counter: tokens read."""
    output_tokens: MetricName | None = None
    """Counter: tokens written; with waiting it is what throughput is counted from."""


class ResolvedMetric(ApiModel):
    """A metric of spec.metrics as it was looked for."""

    of: Annotated[str, StringConstraints(max_length=32)]
    """What it means: the field of spec.metrics."""
    name: Annotated[str, StringConstraints(max_length=MAX_NAME)]
    """The name that was looked for."""
    seen: bool
    """Whether a Ready pod shows it."""


MAX_RESOLVED = 12
Resolved = Annotated[tuple[ResolvedMetric, ...], Field(max_length=MAX_RESOLVED)]

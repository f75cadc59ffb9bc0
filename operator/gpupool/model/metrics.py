"""The names that the owner of an endpoint gives to metrics of an engine which no adapter knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics by what they mean; empty where the engine has none.

    Attributes:
        running, waiting, kv: gauges.
        ttft, itl, tpot, e2e, queue: families of histograms.
        succeeded, failed: counters of requests.
        prompt_tokens, output_tokens: counters.
        unit: seconds that one unit of the histograms' bounds stands for.
    """

    running: str
    waiting: str = ""
    kv: str = ""
    ttft: str = ""
    itl: str = ""
    tpot: str = ""
    e2e: str = ""
    queue: str = ""
    succeeded: str = ""
    failed: str = ""
    prompt_tokens: str = ""
    output_tokens: str = ""
    unit: float = 1.0

    def named(self) -> Iterable[tuple[str, str]]:
        """What is named, with its name."""
        for field in fields(self):
            if field.name != "unit" and (name := getattr(self, field.name)):
                yield field.name, name


@dataclass(frozen=True, slots=True)
class Resolved:
    """A metric that was looked for: what it means, its name, and whether a Ready pod shows it."""

    of: str
    name: str
    seen: bool

"""How requests and answers of an endpoint are: as they were when it was learned, and lately."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trait:
    """One number of an endpoint's behaviour.

    Attributes:
        name: what it is; latencies with the load at which they were seen.
        base: as it was learned.
        recent: lately.
        samples: windows that were seen.
        at: the newest of them (unix seconds).
        since: when it began to differ; 0 where it does not.
    """

    name: str
    base: float
    recent: float
    samples: int
    at: float
    since: float = 0.0

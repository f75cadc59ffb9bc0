"""Why telemetry may not be rested on: a reason for machines, a sentence for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MOST_NAMES: Final = 3
SHOWN_SECONDS: Final = (10, 30, 60, 300, 3600)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; deploy/docs/telemetry.md has a row for each reason.

    Attributes:
        reason: of the condition TelemetryHealthy.
        message: what is wrong and what to do, the same as long as it is the same: a status is written for it.
    """

    reason: str
    message: str


def some(names: Iterable[object]) -> str:
    """The first few of some names, sorted, and how many more there are."""
    found = sorted(str(name) for name in names)
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return ", ".join(found[:MOST_NAMES]) + more


def over(seconds: float) -> str:
    """Roughly how long: the text changes only a few times while the number grows."""
    passed = [step for step in SHOWN_SECONDS if seconds >= step]
    return f"over {passed[-1]}s" if passed else "a few seconds"


def jobs(names: tuple[str, ...], first: str = "j") -> str:
    """Names of jobs as the words of a sentence."""
    return f"{first}ob {names[0]}" if len(names) == 1 else f"{first}obs {', '.join(names)}"

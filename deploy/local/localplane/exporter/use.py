"""What a pod says its GPUs do: the annotation `fake.gpupool.dev/gpu-utilization`.

| value | meaning |
|---|---|
| `"35"` | a steady 35 percent; decimals are allowed |
| `"10-30"` | moves between 10 and 30 percent, one round in 20 seconds |
| `"none"` | no series for the pod's GPUs |
| `"gone"` | exported at first (5 seconds, idle), then no longer; on a change, no longer at once |
| `"stale"` | exported on with the values and the explicit timestamp of the moment it became stale |
| `"trace:<name>"` | follows a trace, see `localplane.exporter.traces` |

Without the annotation the GPUs are idle: 0 percent.
"""

import math
import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from localplane.errors import PlaneError

ANNOTATION: Final = "fake.gpupool.dev/gpu-utilization"
PERIOD_SECONDS: Final = 20.0
FULL: Final = 100.0
_NUMBER: Final = r"(\d{1,3}(?:\.\d+)?)"
_STEADY: Final = re.compile(_NUMBER)
_RANGE: Final = re.compile(_NUMBER + "-" + _NUMBER)


class BadUseError(PlaneError):
    """The annotation's value means nothing; the text names the value and the fix."""


class Kind(StrEnum):
    """How a pod's GPUs show themselves."""

    MOVING = "moving"
    """In a range of percent; a steady value is a range of width 0."""

    NONE = "none"
    GONE = "gone"
    STALE = "stale"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Use:
    """A parsed annotation."""

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    """Bounds in percent, 0 to 100."""

    trace: str = ""

    def percent(self, seed: str, now: float) -> float:
        """Activity at a time, in percent; a range is swept as a sine, so its mean is the middle.

        Args:
            seed: Sets the phase, so that pods of one range do not move together.
            now: Seconds, any epoch.
        """
        if self.low == self.high:
            return self.low
        phase = zlib.crc32(seed.encode()) / 2**32
        wave = math.sin(2 * math.pi * (now / PERIOD_SECONDS + phase))
        return self.low + (self.high - self.low) * (wave + 1) / 2


IDLE: Final = Use(Kind.MOVING)


def parse_use(text: str | None) -> Use:
    """Read the annotation; None (not annotated) is idle.

    Raises:
        BadUseError: The value is none of those listed above.
    """
    if text is None:
        return IDLE
    value = text.strip()
    if value in {Kind.NONE, Kind.GONE, Kind.STALE}:
        return Use(Kind(value))
    if value.startswith("trace:") and (name := value.removeprefix("trace:").strip()):
        return Use(Kind.TRACE, trace=name)
    if match := _STEADY.fullmatch(value):
        return _moving(value, float(match[1]), float(match[1]))
    if match := _RANGE.fullmatch(value):
        return _moving(value, float(match[1]), float(match[2]))
    raise _bad(value)


def _moving(value: str, low: float, high: float) -> Use:
    if not low <= high <= FULL:
        raise _bad(value)
    return Use(Kind.MOVING, low, high)


def _bad(value: str) -> BadUseError:
    return BadUseError(
        f"{ANNOTATION}: {value!r} is not a use; "
        'write "35", "10-30" (percent, 0 to 100, low first), "none", "gone", "stale" or "trace:<name>"'
    )

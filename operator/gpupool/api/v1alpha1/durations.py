"""Durations as users write them: `90s`, `15m`, `1h30m`, `7d`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^([0-9]+(ms|s|m|h|d|w))+$"
MAX_LENGTH = 16
# The API server counts durations in 64-bit nanoseconds; so do we, or the two would disagree.
LONGEST = timedelta(days=36500)

_WHOLE = re.compile(PATTERN)
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")
_MILLISECONDS = {
    "w": 7 * 24 * 3_600_000,
    "d": 24 * 3_600_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}


def parse_duration(text: object) -> timedelta:
    """Read a duration.

    Args:
        text: A string such as `1h30m`, or a timedelta, which is returned as it is.

    Raises:
        ValueError: The text is no duration; the message names the form that is asked.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or len(text) > MAX_LENGTH or not _WHOLE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no duration: write whole numbers with ms, s, m, h, d or w, such as 1h30m"
        )
    total = sum(int(number) * _MILLISECONDS[unit] for number, unit in _PART.findall(text))
    if total > LONGEST // timedelta(milliseconds=1):
        raise ValueError(f"{text!r} is longer than 100 years: write a shorter duration")
    return timedelta(milliseconds=total)


def format_duration(value: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, largest units first; weeks are written as days.

    Parts below a millisecond are dropped, and a negative duration is written as `0s`. What would be longer
    than the schema allows is written in milliseconds alone.
    """
    whole = rest = max(0, value // timedelta(milliseconds=1))
    parts: list[str] = []
    for unit, size in _MILLISECONDS.items():
        if unit == "w":
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    text = "".join(parts) or "0s"
    return text if len(text) <= MAX_LENGTH else f"{whole}ms"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "format": "duration", "pattern": PATTERN, "maxLength": MAX_LENGTH}),
]

"""Quantities of Kubernetes as numbers, for CPU and memory, and which of two is the lower one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_QUANTITY: Final = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)
_SUFFIXES: Final[Mapping[str, float]] = {
    **{f"{letter}i": 1024.0 ** (n + 1) for n, letter in enumerate("KMGTPE")},
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
}


def amount(quantity: Any) -> float | None:
    """A quantity as a number (cores, bytes); None where it is none."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    return float(number) * (10.0 ** int(exponent) if exponent else _SUFFIXES[suffix or ""])


def lower(one: str, other: str | None) -> str:
    """The lower of two quantities; what is none does not count."""
    number = amount(other)
    return one if other is None or number is None or (amount(one) or 0.0) <= number else other


def higher(one: str, other: str | None) -> str:
    """The higher of two quantities; what is none does not count."""
    number = amount(other)
    return one if other is None or number is None or (amount(one) or 0.0) >= number else other

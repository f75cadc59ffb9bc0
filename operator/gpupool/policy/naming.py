"""How lists of names are shown in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

MOST_NAMES = 5


def some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return ", ".join(found[:MOST_NAMES]) + more

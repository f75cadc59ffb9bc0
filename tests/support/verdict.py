"""What may never be: a law that was broken once is broken, and no second try makes it good.

`tests/run.py` knows the error by its name and tries nothing again in a part where it was raised.
"""

from collections.abc import Iterator

SHOWN = 5


class LawBrokenError(AssertionError):
    """Something was seen that the laws do not allow, however slow the machine."""


def law(holds: object, words: str) -> None:
    """Fail for good where something does not hold."""
    if not holds:
        raise LawBrokenError(words)


def none_of(found: list[str], what: str) -> None:
    """Fail for good over what must not be; says the first few."""
    law(not found, f"{what}\n{first(found)}")


def first(words: list[str]) -> str:
    """The first few of many."""
    return "\n".join(_cut(words))


def _cut(words: list[str]) -> Iterator[str]:
    yield from words[:SHOWN]
    if len(words) > SHOWN:
        yield f"... and {len(words) - SHOWN} more"

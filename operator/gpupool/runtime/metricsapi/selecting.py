"""Label selectors as they stand in a query: `a=b,c!=d,e in (f,g),!h`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gpupool.model.selector import Expression, Operator

_PART: Final = re.compile(r"(?:[^,(]|\([^)]*\))+")
"""One requirement: commas within parentheses belong to it."""
_KEY: Final = r"(?P<key>[A-Za-z0-9][A-Za-z0-9._/-]*)"
_VALUE: Final = r"(?P<value>[A-Za-z0-9._-]*)"
_EQUALS: Final = re.compile(rf"{_KEY}\s*(?P<sign>==|=|!=)\s*{_VALUE}")
_AMONG: Final = re.compile(rf"{_KEY}\s+(?P<word>in|notin)\s*\((?P<values>[A-Za-z0-9._,\s-]*)\)")
_THERE: Final = re.compile(rf"(?P<not>!?)\s*{_KEY}")


def requirements(text: str) -> tuple[Expression, ...]:
    """The requirements of a selector; none asks for everything.

    Raises:
        ValueError: it cannot be read; the message names the part.
    """
    if not text.strip():
        return ()
    if ",".join(_PART.findall(text)) != text:
        raise ValueError(f"labelSelector {text!r} cannot be read")
    return tuple(_requirement(part.strip()) for part in _PART.findall(text))


def matches(wanted: tuple[Expression, ...], labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy every requirement."""
    return all(each.matches(labels) for each in wanted)


def _requirement(text: str) -> Expression:
    if found := _EQUALS.fullmatch(text):
        operator = Operator.NOT_IN if found["sign"] == "!=" else Operator.IN
        return Expression(found["key"], operator, (found["value"],))
    if found := _AMONG.fullmatch(text):
        operator = Operator.IN if found["word"] == "in" else Operator.NOT_IN
        return Expression(found["key"], operator, tuple(v.strip() for v in found["values"].split(",")))
    if found := _THERE.fullmatch(text):
        return Expression(found["key"], Operator.DOES_NOT_EXIST if found["not"] else Operator.EXISTS)
    raise ValueError(f"labelSelector: {text!r} cannot be read")

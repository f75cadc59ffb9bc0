"""What a refusal must be: the client's fault, the field, and what to do about it."""

import re
from typing import Final

OK: Final = range(200, 300)
REFUSED: Final = frozenset({400, 413, 415, 422})
FIELD: Final = re.compile(
    r"\b(spec|metadata|status)[.\[]\w|unknown field \"|"
    r"(^|[\s\"\[.])(apiVersion|kind|spec|metadata|namespace|name)\b"
)
SYNTAX: Final = re.compile(
    r"line \d+|invalid character|unexpected end|exceeded max depth|max depth|excessive aliasing|"
    r"control characters are not allowed|invalid (leading )?UTF-8|UTF-16|limit is \d+|request is too large|"
    r"cannot unmarshal|did not find expected|unknown anchor|is missing in|couldn't get version/kind|"
    r"does not match|could not find expected|found character|"
    r"json: unsupported value",  # NaN and infinities end before any schema is asked
    re.IGNORECASE,
)
BARE: Final = re.compile(
    r"(Invalid|Unsupported|Duplicate|Required) value(: (\"(\\.|[^\"\\])*\"|[^:;]*))?\s*(;|,|$|\])"
)


def complaint(status: int, message: str) -> str:
    """What is wrong with a refusal; empty where it helps.

    Args:
        status: HTTP status.
        message: what the server said.
    """
    if status not in REFUSED:
        return f"answered {status}"
    if not FIELD.search(message) and not SYNTAX.search(message):
        return "names no field and no place"
    invalid = message.partition("is invalid: ")[2]
    if invalid and _bare(invalid):
        return "says that a value is wrong, and not what is right"
    return ""


def _bare(message: str) -> bool:
    """Whether it says no more than `path: Invalid value: x`."""
    rest = re.sub(r"^[\[\s]*[^\s:]+: ", "", message)
    if rest.startswith(("Required value", "Duplicate value")):
        return False  # add it; keep one of them
    return bool(re.fullmatch(BARE, rest.strip()))

"""What a refusal must be: the client's fault, the field, and what to do about it; each error of it."""

import re
from collections.abc import Iterator
from typing import Final

OK: Final = range(200, 300)
REFUSED: Final = frozenset({400, 413, 415, 422})
TOP: Final = "spec|metadata|status|apiVersion|kind"
FIELD: Final = re.compile(
    r"\b(spec|metadata|status)[.\[]\w|"
    r"(unknown|duplicate) field \"[^\"]*\"|"
    rf"(^|[\s\"])\.({TOP}) accessor error|"
    rf"\b({TOP}|name|namespace) (is required|must be|may not be)"
)
SYNTAX: Final = re.compile(
    r"line \d+|invalid character|unexpected end|exceeded max depth|max depth|excessive aliasing|"
    r"control characters are not allowed|invalid (leading )?UTF-8|UTF-16|limit is \d+|request is too large|"
    r"cannot unmarshal|did not find expected|unknown anchor|is missing in|couldn't get version/kind|"
    r"does not match|could not find expected|found (invalid )?(unicode )?character|"
    r"json: unsupported value",  # NaN and infinities end before any schema is asked
    re.IGNORECASE,
)
ERROR: Final = re.compile(
    r"(?:^|(?<=[\[ ]))(?P<path>[^\s\[]\S*): (?P<what>(?:Invalid|Unsupported|Duplicate|Required) value|"
    r"Too (?:long|many|few|short)|Forbidden|Not found|Internal error)"
)
PATH: Final = re.compile(rf"({TOP})([.\[].*)?")
UNCHECKED: Final = "some validation rules were not checked because the object was invalid"
"""What the API server adds to other errors, about the object as a whole."""
WHOLE: Final = "<nil>"
"""The path that the API server gives where it speaks of the object as a whole."""
NAMED: Final = re.compile(r"\b(spec|metadata)\.\w")
"""How such a sentence names a field all the same."""
ENOUGH: Final = frozenset({"Required value", "Duplicate value"})
"""What needs no more words: add it; keep one of them."""
VALUED: Final = frozenset({"Invalid value", "Unsupported value"})
"""After these the value comes first, and only then what is right."""
BARE: Final = re.compile(r"(: (\"(\\.|[^\"\\])*\"|\{.*\}|\[.*\]|map\[.*|[^\s:;]*))?[\s,;\]]*", re.DOTALL)


def complaint(status: int, message: str) -> str:
    """What is wrong with a refusal; empty where it helps.

    Args:
        status: HTTP status.
        message: what the server said.
    """
    if status not in REFUSED:
        return f"answered {status}"
    invalid = message.partition(" is invalid: ")[2]
    if invalid:
        return next(_complaints(invalid), "")
    if not FIELD.search(message) and not SYNTAX.search(message):
        return "names no field and no place"
    return ""


def _complaints(invalid: str) -> Iterator[str]:
    """What is wrong with each error of a list."""
    found = list(ERROR.finditer(invalid))
    if not found or found[0].start() > len("["):
        yield "names no field"
    ends = [error.start() for error in found[1:]] + [len(invalid)]
    for error, end in zip(found, ends, strict=False):
        detail = invalid[error.end() : end]
        if UNCHECKED in detail and len(found) > 1:
            continue
        path = error["path"]
        if not (PATH.fullmatch(path) or (path == WHOLE and NAMED.search(detail))):
            yield f"{path!r} is no path of a field"
        if _bare(error["what"], detail):
            yield f"says that {path} is wrong, and not what is right"


def _bare(what: str, detail: str) -> bool:
    """Whether nothing follows that says what is right."""
    if what in ENOUGH:
        return False
    return bool(BARE.fullmatch(detail)) if what in VALUED else not re.search(r"\w", detail)

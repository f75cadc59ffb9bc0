"""Values that break programs: texts, numbers, and things of another type."""

import copy
import re
from random import Random
from typing import Any, Final

TEXTS: Final = (
    "",
    " ",
    "\t",
    "null",
    "~",
    "true",
    "NaN",
    "0",
    "-1",
    "1e3",
    "0x10",
    "0777",
    "{}",
    "[]",
    "%s%s%n",
    "${HOME}",
    "{{ .Values.x }}",
    "'; drop table pools; --",
    "../../etc/passwd",
    "a\x00b",
    "a\nb: c\n- d",
    "a\r\nHost: evil",
    "\ufeffbom",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u0645\u0631\u062d\u0628\u0627",
    "\u202egnp.exe",
    "Z\u0338\u0322\u0353a\u0337\u034el\u0336\u0330g\u0334\u0325o\u0337\u0333",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f3f3\ufe0f\u200d\U0001f308",
    "\u0440\u0430ypal",
    "\uff4e\uff56\uff49\uff44\uff49\uff41\uff0e\uff43\uff4f\uff4d\uff0f\uff47\uff50\uff55",
    "nvidia.com\u2215gpu",
    "\u0130stanbul",
    "\u00df",
    "\ufb00",
    "\u200bzero width",
    "\u2028line",
    "\U0010ffff",
    "A",
    "-a",
    "a-",
    "a..b",
    "a_b",
    "nvidia.com/gpu ",
    "requests.nvidia.com/gpu",
    "kubernetes.io/gpu",
    "5m",
    "5 m",
    "-5m",
    "1e3s",
    "99999999999h",
    "9223372036854775807ms",
    "1y",
    "m5",
    "5M",
    "1.5h",
    "Enforce",
    "enforce",
    "N\u03bfrmal",
    "x" * 64,
    "x" * 254,
    "x" * 1025,
)
NUMBERS: Final = (
    0,
    1,
    -1,
    100,
    101,
    1000,
    1001,
    100_000,
    100_001,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    0.5,
    1.0,
    -0.0,
    1e-320,
    1e308,
    0.1 + 0.2,
)
LITERALS: Final = (
    "1e400",
    "-1e400",
    "-0",
    "-0.0",
    "1E5",
    "1.0",
    "01",
    "0777",
    "0o17",
    "0x1F",
    "1_000",
    "+5",
    ".5",
    "5.",
    ".inf",
    "-.inf",
    ".nan",
    "NaN",
    "Infinity",
    "12:30:45",
    "2026-11-21",
    "yes",
    "off",
    "~",
    "!!binary aGk=",
    "!!python/object/apply:os.system [id]",
    "!unknown x",
    "|\n  text",
    ">-\n  folded",
    "'8'",
    "8 # comment",
    "8,000",
    "8Gi",
    "9" * 400,
)
"""How a number may be spelt in YAML; as JSON most of them are no number at all."""

OTHERS: Final[tuple[Any, ...]] = (None, True, False, [], {}, [None], {"a": None}, [[]], {"": ""}, [{}])


def any_value(rng: Random) -> Any:
    """Something of any type."""
    return copy.deepcopy(rng.choice(rng.choice((TEXTS, NUMBERS, OTHERS))))


def nothing_much(rng: Random) -> Any:
    """A null, an empty list, an empty map, or little more; its own, which the next change may fill."""
    return copy.deepcopy(rng.choice(OTHERS))


def deep(levels: int, *, lists: bool) -> str:
    """Stands for a value nested so many times, which Python's own encoder cannot write; see `unfolded`."""
    return f"__deep/{levels}/{'[' if lists else '{'}__"


def unfolded(text: str) -> str:
    """The JSON text with the values of `deep` in it."""
    return re.sub(r'"__deep/(\d+)/(.)__"', _nested, text)


def _nested(found: re.Match[str]) -> str:
    levels, lists = int(found[1]), found[2] == "["
    return ("[" if lists else '{"a":') * levels + "1" + ("]" if lists else "}") * levels

"""Request rates of many tenants, as recorded; the arrivals within a window are drawn from its own pattern.

Reads `<family>_rates.csv.gz` (a row per tenant and window of 600 s) and
`<family>_tokens_6h.csv.gz` (quantiles of prompt and answer lengths) of a folder that the user names.
"""

import csv
import gzip
import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 600
STEP: Final = 10
DAY: Final = 86_400
STEPS_OF_WINDOW: Final = WINDOW // STEP
STEPS_OF_DAY: Final = DAY // STEP
QUANTILES: Final = (0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 100)

Counts = NDArray[np.int32]
"""Requests by seed, tenant and step of 10 s."""


class TraceError(Exception):
    """A folder without a family of this form."""


@dataclass(frozen=True, slots=True)
class Window:
    """A tenant's 600 s: requests/s, variation of the gaps between arrivals, and their family of patterns."""

    rate: float
    cv: float
    pattern: str
    shape: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """Token counts of one 6 h window, as quantiles, and their mean."""

    quantiles: tuple[float, ...]
    mean: float


@dataclass(frozen=True, slots=True)
class Mix:
    """Prompts and answers of one 6 h window, and its share of the tenant's requests."""

    prompt: Lengths
    answer: Lengths
    weight: float


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant of the family.

    Attributes:
        name: its number in the files.
        windows: by number of the window, those with traffic.
        mixes: of its token counts.
    """

    name: str
    windows: Mapping[int, Window]
    mixes: tuple[Mix, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """What is benched.

    Attributes:
        tenants: largest first.
        days: whole days of it.
        gaps: windows in which no tenant of the family has traffic: missing data, not zero load.
        hashes: SHA-256 by file name, shortened.
    """

    family: str
    tenants: tuple[Tenant, ...]
    days: int
    gaps: frozenset[int]
    hashes: Mapping[str, str]


def read(folder: Path, family: str, *, days: int = 7, tenants: int = 16) -> Trace:
    """The largest tenants with token data, over the first days.

    Args:
        folder: with the two files.
        family: the beginning of their names.
        days: at most.
        tenants: at most.
    """
    files = [folder / f"{family}_{kind}.csv.gz" for kind in ("rates", "tokens_6h")]
    if missing := [f.name for f in files if not f.is_file()]:
        raise TraceError(f"{folder} has no {' and no '.join(missing)}")
    try:
        windows = _windows(files[0], days)
        tokens = _tokens(files[1], days, windows)
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise TraceError(f"{family} is not of the form that is read here: {error!r}") from error
    volume = {name: sum(w.rate for w in found.values()) for name, found in windows.items()}
    largest = sorted((n for n in volume if n in tokens), key=lambda n: (-volume[n], n))[:tenants]
    if not largest:
        raise TraceError(f"no tenant of {family} has both rates and tokens")
    seen = {number for found in windows.values() for number in found}
    whole = math.ceil((max(seen) + 1) * WINDOW / DAY)
    gaps = frozenset(range(whole * DAY // WINDOW)) - seen
    found = tuple(Tenant(name, windows[name], tokens[name]) for name in largest)
    hashes = {f.name: hashlib.sha256(f.read_bytes()).hexdigest()[:16] for f in files}
    return Trace(family, found, whole, gaps, hashes)


def counts(trace: Trace, seeds: int) -> Counts:
    """Arrivals of every tenant in steps of 10 s, drawn anew for each seed (0, 1, 2 ...).

    The gaps between arrivals follow the window's pattern and shape, scaled so that the window has as many
    requests as were recorded.
    """
    found = np.zeros((seeds, len(trace.tenants), trace.days * STEPS_OF_DAY), dtype=np.int32)
    for seed in range(seeds):
        for number, tenant in enumerate(trace.tenants):
            rng = np.random.default_rng([seed, number])
            for place, window in tenant.windows.items():
                first = place * STEPS_OF_WINDOW
                found[seed, number, first : first + STEPS_OF_WINDOW] = _drawn(window, rng)
    return found


def _drawn(window: Window, rng: np.random.Generator) -> Counts:
    number = max(1, round(window.rate * WINDOW))
    weibull = window.pattern == "Weibull"
    gaps = rng.weibull(max(window.shape, 0.05), number + 1) if weibull else _gamma(window, rng, number + 1)
    clock = np.cumsum(gaps)
    places = np.minimum(clock[:-1] / clock[-1] * STEPS_OF_WINDOW, STEPS_OF_WINDOW - 1).astype(np.int32)
    return np.bincount(places, minlength=STEPS_OF_WINDOW).astype(np.int32)


def _gamma(window: Window, rng: np.random.Generator, number: int) -> NDArray[np.float64]:
    return rng.gamma(max(window.shape, 1e-3), 1.0, number) + 1e-12


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)


def _windows(file: Path, days: int) -> dict[str, dict[int, Window]]:
    found: dict[str, dict[int, Window]] = defaultdict(dict)
    for row in _rows(file):
        number = int(float(row["t_s"])) // WINDOW
        if number * WINDOW < days * DAY and float(row["rate_rps"]) > 0:
            shape, cv = float(row["pat_arg1"]), float(row["cv"])
            found[row["client"]][number] = Window(float(row["rate_rps"]), cv, row["pattern"], shape)
    return found


def _tokens(file: Path, days: int, rates: Mapping[str, Mapping[int, Window]]) -> dict[str, tuple[Mix, ...]]:
    found: dict[str, list[Mix]] = defaultdict(list)
    for row in _rows(file):
        start = int(float(row["t_s"]))
        first = start // WINDOW
        covered = range(first, first + 6 * 3600 // WINDOW)
        known = rates.get(row["client"], {})
        weight = sum(known[n].rate for n in covered if n in known)
        if start < days * DAY and weight > 0:
            found[row["client"]].append(Mix(_prompt(row), _lengths(row, "output"), weight))
    return {name: tuple(mixes) for name, mixes in found.items()}


def _prompt(row: Mapping[str, str]) -> Lengths:
    """Of a family with images: text and images, long ones together; all images but the first are average."""
    if "image_tokens_mean" not in row:
        return _lengths(row, "input")
    text, images, count = (_lengths(row, kind) for kind in ("text", "image", "image_count"))
    parts = zip(text.quantiles, images.quantiles, count.quantiles, strict=True)
    quantiles = tuple(t + (i + (n - 1) * images.mean if n else 0.0) for t, i, n in parts)
    return Lengths(quantiles, text.mean + images.mean * count.mean)


def _lengths(row: Mapping[str, str], kind: str) -> Lengths:
    name = kind if kind == "image_count" else f"{kind}_tokens"
    quantiles = tuple(float(row[f"{name}_p{q}"]) for q in QUANTILES)
    return Lengths(quantiles, float(row[f"{name}_mean"]))

"""A made-up family of requests in the form that `make bench-slo` reads."""

import csv
import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.slo.trace import QUANTILES, Lengths

RATES = ("t_s", "client", "rate_rps", "cv", "pattern", "pat_arg1", "pat_arg2")
PROMPT = Lengths((100, 120, 150, 200, 300, 500, 800, 1_000, 1_200, 1_500, 2_000), 580)
ANSWER = Lengths((10, 12, 20, 30, 60, 100, 160, 220, 300, 400, 600), 122)


def write_csv(file: Path, head: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """A gzip CSV."""
    with gzip.open(file, "wt", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows([head, *lines])


def columns(kind: str) -> tuple[str, ...]:
    """Names of a length's mean and quantiles."""
    return tuple(f"{kind}_{q}" for q in ("mean", *(f"p{q}" for q in QUANTILES)))


def write_tokens(file: Path, clients: Sequence[int], **lengths: Lengths) -> None:
    """One day of windows of 6 h, the same for everybody."""
    values = [value for found in lengths.values() for value in (found.mean, *found.quantiles)]
    head = ("model", "client", "t_s", *(name for kind in lengths for name in columns(kind)))
    starts = range(0, 86_400, 21_600)
    write_csv(file, head, [("tiny", client, start, *values) for client in clients for start in starts])


def write_tiny(folder: Path) -> None:
    """One day: a tenant that is always there, another that comes and goes; nobody at 05:00."""
    rates = [
        (window * 600, client, rate, 1.2, pattern, 0.8, 1.0)
        for window in range(144)
        for client, rate, pattern in ((7, 6.0, "Gamma"), (3, 20.0 * (window % 12 == 6), "Weibull"))
        if rate and window != 30
    ]
    write_csv(folder / "tiny_rates.csv.gz", RATES, rates)
    write_tokens(folder / "tiny_tokens_6h.csv.gz", (3, 7), input_tokens=PROMPT, output_tokens=ANSWER)

"""What may be said of replicas is what the simulated engines show with one more; no plane is needed."""

from collections import Counter
from functools import lru_cache

import pytest

from integration.slo.cases import ANSWERS, CASES
from localplane.engines.workload import Workload
from support.engines import workload

WARM, SECONDS = 60, 120
"""Seconds until an endpoint has settled, and in which its events are counted after that."""


@lru_cache
def met(name: str, replicas: int) -> bool:
    """Whether so many replicas keep every objective of a case that has events."""
    made = workload(replicas, **CASES[name].engine)
    for second in range(1, WARM + 1):
        made.advance(second)
    before = events(name, made)
    for second in range(WARM + 1, WARM + SECONDS + 1):
        made.advance(second)
    found = events(name, made)
    found.subtract(before)
    return all(
        found[sli, "good"] >= found[sli, "all"] * float(objective["percent"]) / 100
        for objective in CASES[name].objectives
        for sli in [objective["sli"]]
    )


def events(name: str, made: Workload) -> "Counter[tuple[str, str]]":
    """Good and all events of each objective of a case, of all pods."""
    found: Counter[tuple[str, str]] = Counter()
    for objective in CASES[name].objectives:
        for pod in made.pods.values():
            sli, book = objective["sli"], pod.book
            if sli == "availability":
                served, refused = int(book.totals["http.2xx"]), int(book.totals["http.5xx"])
                found[sli, "good"] += served
                found[sli, "all"] += served + refused
            else:
                place = book.histograms[sli].bounds.index(seconds(objective["threshold"]))
                found[sli, "good"] += book.histograms[sli].cumulative()[place]
                found[sli, "all"] += book.histograms[sli].count
    return found


def seconds(text: str) -> float:
    """A threshold."""
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


FAULTY = [name for name, case in CASES.items() if not case.healthy and case.wanted != "ColdStart"]
"""Of an endpoint that starts there is nothing to be counted."""


@pytest.mark.parametrize("name", FAULTY)
def test_the_answers_of_the_table_are_true_of_the_engines(name: str) -> None:
    allowed = ANSWERS[CASES[name].wanted]
    brings = met(name, 3) and not met(name, 2)
    assert ("Yes" in allowed) == brings
    assert not (brings and "No" in allowed)

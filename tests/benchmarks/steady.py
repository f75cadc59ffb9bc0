"""Questions per reading of Prometheus, and what the operator does when nothing changes."""

import time
from typing import Final

from benchmarks.results import Figure
from benchmarks.rig import Rig, real, summary
from localplane.progress import say

POLL_SECONDS: Final = 0.2
QUIET_SECONDS: Final = 1.0
"""A reading asks all at once: so long without a question, it is over."""

READINGS: Final = 3
PATIENCE_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 60.0
SCRAPES: Final = 20
QUERIES: Final = "gpupool_prometheus_queries_total"


def questions_per_reading(rig: Rig) -> list[int]:
    """Questions that each of a few readings asked, told apart by the pauses between them."""
    bursts: list[int] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    last, first, changed = rig.metric(QUERIES), None, time.monotonic()
    while len(bursts) < READINGS and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        now = rig.metric(QUERIES)
        if now != last:
            last, changed = now, time.monotonic()
        elif time.monotonic() - changed >= QUIET_SECONDS:
            if first is not None and now > first:
                bursts.append(round(now - first))
            first = now  # the first quiet moment ends a reading that was under way
    return bursts


def idle(rig: Rig, name: str, seconds: float = IDLE_SECONDS) -> list[Figure]:
    """Writes and CPU over a time in which nothing changes."""
    counted, cycles = rig.metric("gpupool_writes_total"), rig.metric("gpupool_cycles_total")
    _, position = rig.writes()
    cpu, began = rig.cpu(), time.monotonic()
    time.sleep(seconds)
    writes, _ = rig.writes(position)
    lasted = time.monotonic() - began
    used = 100 * (rig.cpu() - cpu) / lasted
    part = f"idle {lasted:.0f} s: {name}"
    if writes:
        say(f"  {part}: {summary(writes)}")
    dry = sum(writes.values()) - real(writes)
    scrape = _scrape_cost(rig, used / 100)
    return [
        Figure(part, "writes (audit log)", real(writes), "writes"),
        Figure(part, "dry runs (probes of policies)", dry, "requests"),
        Figure(part, "gpupool_writes_total", rig.metric("gpupool_writes_total") - counted, "writes"),
        Figure(part, "cycles", rig.metric("gpupool_cycles_total") - cycles, "cycles"),
        Figure(part, f"CPU, scraped every {rig.scrape:g} s as here", used, "% of a core"),
        Figure(part, "CPU, less these scrapes", max(0.0, used - 100 * scrape / rig.scrape), "% of a core"),
        Figure(part, "CPU for one scrape of its page", 1000 * scrape, "ms"),
    ]


def _scrape_cost(rig: Rig, background: float) -> float:
    """CPU seconds that one look at the operator's metrics costs it.

    Args:
        rig: the cluster.
        background: CPU seconds per second that it uses anyway.
    """
    cpu, began = rig.cpu(), time.monotonic()
    for _ in range(SCRAPES):
        rig.metric(QUERIES)
    return max(0.0, rig.cpu() - cpu - background * (time.monotonic() - began)) / SCRAPES

"""What the plane does in the hour: replicas several times a second, and what the operator says of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import httpx

from benchmarks.loop.hour import HOUR
from benchmarks.loop.stage import APP, PATH, TEAM
from localplane.kube import Kube

TICK: Final = 0.25
"""Seconds of the world between two looks."""
METRICS: Final = {
    "ttft": "vllm:time_to_first_token_seconds",
    "tpot": "vllm:request_time_per_output_token_seconds",
}
SCRAPE: Final = 1
"""Seconds of the world between two scrapes."""
BEFORE: Final = 5
"""Seconds for which a sample is believed at the hour's beginning."""


@dataclass(frozen=True, slots=True)
class Look:
    """How it stood at a moment.

    Attributes:
        at: seconds of the engines; the hour begins at 0.
        present, ready: replicas that are not on their way out; of them, those that serve.
        floor: that was decided; None before.
        pace: likewise.
        samples: windows that the profile was learned from.
        rate: requests/s of a replica that was learned, in the engines' time.
    """

    at: float
    present: int
    ready: int
    floor: int | None = None
    pace: str = ""
    samples: int = 0
    rate: float = 0.0


@dataclass(slots=True)
class Watched:
    """All looks, and how long replicas took to be Ready (seconds of the engines, from made)."""

    looks: list[Look] = field(default_factory=list)
    starts: dict[str, float] = field(default_factory=dict)

    @property
    def hour(self) -> list[Look]:
        """Those within the hour."""
        return [look for look in self.looks if 0 <= look.at < HOUR]

    @property
    def replica_hours(self) -> float:
        """Each look holds until the next."""
        looks = self.hour
        ends = [*(look.at for look in looks[1:]), float(HOUR)]
        return sum(look.present * (end - look.at) for look, end in zip(looks, ends, strict=True)) / HOUR

    @property
    def changes(self) -> int:
        """Of the number of replicas."""
        looks = self.hour
        return sum(a.present != b.present for a, b in pairwise(looks))

    @property
    def replicas(self) -> tuple[int, ...]:
        """At the end of every minute."""
        found = [0] * (HOUR // 60)
        for look in self.hour:
            found[int(look.at // 60)] = look.present
        return tuple(found)

    @property
    def startup(self) -> float:
        """From made to Ready, the middle one."""
        ordered = sorted(self.starts.values())
        return ordered[len(ordered) // 2] if ordered else 0.0

    def learned(self, samples: int) -> tuple[float, float] | None:
        """When so many windows were known, and the rate at the hour's beginning."""
        since = next((look.at for look in self.looks if look.samples >= samples), None)
        rate = next((look.rate for look in self.looks if look.at >= 0), 0.0)
        return None if since is None else (since, rate)


def watch(kube: Kube, epoch: float, speed: float, show: Callable[[Look], None] = lambda _: None) -> Watched:
    """Look until the hour is over.

    Args:
        kube: a connection of its own.
        epoch: unix time of the hour's beginning.
        speed: seconds of the engines in one of the world.
        show: told every look.
    """
    found, made = Watched(), dict[str, float]()
    while (at := (time.time() - epoch) * speed) < HOUR:
        pods = kube.list(f"/api/v1/namespaces/{TEAM}/pods", labels=f"app={APP}")
        found.looks.append(look(at, pods, _status(kube), speed))
        for pod in pods:
            name = pod["metadata"]["name"]
            made.setdefault(name, at)
            if _ready(pod) and made[name] > 0:
                found.starts.setdefault(name, at - made[name])
        show(found.looks[-1])
        time.sleep(TICK)
    return found


def look(at: float, pods: Sequence[Mapping[str, Any]], status: Mapping[str, Any], speed: float) -> Look:
    """One look, from objects of the API server."""
    here = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    decision = status.get("decision", {})
    profiles = status.get("profile", [])
    learned = profiles[0].get("requestsPerSecond", {}) if profiles else {}
    return Look(
        at=at,
        present=len(here),
        ready=sum(map(_ready, here)),
        floor=decision.get("floor"),
        pace=str(decision.get("pace", "")),
        samples=int(learned.get("samples", 0)),
        rate=float(learned.get("value", 0.0)) / speed,
    )


def _ready(pod: Mapping[str, Any]) -> bool:
    rows = pod.get("status", {}).get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)


def _status(kube: Kube) -> dict[str, Any]:
    return dict(kube.get(PATH).get("status", {}))


# ------------------------------------------------------------------ what Prometheus has counted


class Counted:
    """Reads what the engines counted in the hour, those that are gone included.

    Args:
        prometheus: base URL.
        epoch: unix time of the hour's beginning.
        speed: seconds of the engines in one of the world.
    """

    def __init__(self, prometheus: str, epoch: float, speed: float) -> None:
        self._url = prometheus
        self._epoch = epoch
        self._speed = speed

    def requests(self, sli: str, limit: float) -> tuple[float, float]:
        """Good requests and all of an objective."""
        name = f'{METRICS[sli]}_bucket{{namespace="{TEAM}",le="%s"}}'
        good, total = (self._grown(name % bound) for bound in (repr(limit), "+Inf"))
        return good, total

    def lost(self) -> float:
        """Requests that found no replica, or were under way when theirs ended."""
        return self._grown(f'fake_gateway_requests_total{{workload="{APP}",code="503"}}')

    def arrived(self) -> float:
        """Requests that came to the gateway."""
        return self._grown(f'fake_gateway_requests_total{{workload="{APP}"}}')

    def _grown(self, series: str) -> float:
        """How much counters grew: the last that was seen of each, less what they were at the beginning."""
        seconds = HOUR / self._speed
        last = self._one(f"sum(last_over_time({series}[{seconds:.0f}s]))", self._epoch + seconds)
        return last - self._one(f"sum(last_over_time({series}[{BEFORE}s]))", self._epoch)

    def _one(self, query: str, at: float) -> float:
        asked: dict[str, str | float] = {"query": query, "time": at}
        answer = httpx.get(f"{self._url}/api/v1/query", params=asked, trust_env=False, timeout=30)
        rows = answer.raise_for_status().json()["data"]["result"]
        return float(rows[0]["value"][1]) if rows else 0.0


def until_scraped(epoch: float, speed: float) -> None:
    """Wait until Prometheus has seen the hour's end."""
    time.sleep(max(0.0, epoch + HOUR / speed + 2 * SCRAPE - time.time()))

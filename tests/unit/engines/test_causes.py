"""Each fault's signature shows in the numbers, and a healthy endpoint has none of them."""

from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, pstdev
from typing import Any

import pytest

from localplane.engines.causes import Fault
from localplane.engines.gpu import activity
from localplane.engines.histograms import Histogram
from localplane.engines.pod import Pod
from localplane.engines.workload import Workload
from localplane.exporter.signals import Activity
from support.engines import workload

SECONDS = 240


@dataclass(frozen=True)
class Seen:
    """An endpoint of two pods after some minutes; the first pod where nothing else is said."""

    made: Workload
    running: list[float]
    waiting: list[float]
    kv: float

    @property
    def pods(self) -> list[Pod]:
        return list(self.made.pods.values())

    @property
    def gpu(self) -> Activity:
        return activity(self.pods[0], 20)

    def mean(self, key: str) -> float:
        found = self.pods[0].book.histograms[key]
        return found.sum / found.count

    def quantile(self, key: str, part: float) -> float:
        found = self.pods[0].book.histograms[key]
        return next(
            b for b, n in zip(found.bounds, found.cumulative(), strict=False) if n >= part * found.count
        )

    def within(self, key: str, bound: float) -> float:
        found: Histogram = self.pods[0].book.histograms[key]
        return found.cumulative()[found.bounds.index(bound)] / found.count

    def total(self, key: str) -> float:
        return sum(pod.numbers()[key] for pod in self.pods)


@lru_cache(maxsize=32)
def seen(fault: str, **given: Any) -> Seen:
    made = workload(2, **({"fault": fault} if fault else {}), **given)
    running: list[list[float]] = [[], []]
    waiting: list[list[float]] = [[], []]
    kv = []
    for second in range(1, SECONDS + 1):
        made.advance(second)
        if second > SECONDS / 2:
            for place, pod in enumerate(made.pods.values()):
                running[place].append(pod.replica.running)
                waiting[place].append(pod.waiting)
            kv.append(next(iter(made.pods.values())).numbers()["kv"])
    return Seen(made, [fmean(one) for one in running], [fmean(one) for one in waiting], fmean(kv))


def test_a_healthy_endpoint_has_no_signature() -> None:
    found = seen("", load=8)
    assert found.within("ttft", 0.5) > 0.99
    assert found.within("itl", 0.05) > 0.95
    assert found.within("tpot", 0.05) > 0.999
    assert found.waiting == [0, 0]
    assert found.kv < 0.2
    assert found.total("preempted") == found.total("http.5xx") == found.total("done.abort") == 0


def test_queue_bound() -> None:
    found = seen(Fault.QUEUE_BOUND)
    assert found.running[0] == pytest.approx(16, abs=0.5)
    assert found.waiting[0] > 20
    assert found.kv < 0.7
    assert found.within("ttft", 2.5) < 0.1
    assert found.within("itl", 0.05) > 0.95
    assert found.mean("queue") > 0.5 * found.mean("ttft")


def test_kv_cache_bound() -> None:
    found = seen(Fault.KV_CACHE_BOUND)
    assert found.kv > 0.9
    assert found.total("preempted") > 50
    assert found.total("waiting.capacity") > 20
    assert found.running[0] < 30


def test_prefill_bound() -> None:
    found = seen(Fault.PREFILL_BOUND)
    assert found.within("ttft", 1.0) < 0.7
    assert found.mean("queue") < 0.05 * found.mean("ttft")
    assert found.mean("prefill") > 0.9 * found.mean("ttft")
    assert found.mean("prompt") > 10_000
    assert found.gpu.tensor > 0.5 > found.gpu.dram
    light = seen(Fault.PREFILL_BOUND, load=0.3)
    assert light.mean("ttft") < 1 < found.mean("ttft"), "fewer requests per replica help"


def test_decode_bound() -> None:
    found = seen(Fault.DECODE_BOUND)
    assert found.within("itl", 0.05) < 0.1
    assert found.within("ttft", 0.5) > 0.99
    assert found.gpu.dram > 0.6
    assert found.gpu.tensor < 0.3
    assert found.running[0] > 100
    assert found.kv < 0.9
    assert seen(Fault.DECODE_BOUND, load=2).within("itl", 0.05) > 0.9, "fewer requests per replica help"


def test_batch_too_small() -> None:
    found = seen(Fault.BATCH_TOO_SMALL)
    assert max(found.running) < 4
    assert found.within("itl", 0.05) > 0.99
    assert found.gpu.dram > 0.5
    assert found.gpu.tensor < 0.3


def test_prefill_interference() -> None:
    found = seen(Fault.PREFILL_INTERFERENCE)
    assert found.quantile("itl", 0.5) <= 0.025
    assert found.quantile("itl", 0.99) >= 0.2
    assert found.mean("prompt") > 3_000
    assert found.waiting == [0, 0]
    assert found.within("ttft", 2.5) > 0.97


def test_infeasible_at_batch_one() -> None:
    found = seen(Fault.INFEASIBLE_AT_BATCH_ONE)
    assert fmean(found.running) <= 1.1
    assert found.within("itl", 0.05) == 0
    assert found.within("ttft", 1.0) < 0.05


def test_routing_skew() -> None:
    found = seen(Fault.ROUTING_SKEW)
    assert pstdev(found.running) / fmean(found.running) > 0.5
    assert found.waiting[0] > 10
    assert found.waiting[1] == 0
    assert found.total("cache.hits") / found.total("cache.queries") == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("fault", "active", "units"),
    [(Fault.CPU_BOUND, 0.4, 0.4), (Fault.DATA_STARVED, 0.3, 0.3), (Fault.NETWORK_BOUND, 1.0, 0.3)],
)
def test_a_gpu_that_waits_is_little_active_or_its_units_are(
    fault: Fault, active: float, units: float
) -> None:
    found = seen(fault)
    assert found.running[0] > 5
    assert found.gpu.engine == pytest.approx(active, abs=0.05)
    assert found.gpu.dram < 0.8 * units
    assert found.within("itl", 0.05) < seen("", load=8).within("itl", 0.05)


def test_throttled() -> None:
    found = seen(Fault.THROTTLED, expose="clock-events,sm-active")
    assert found.gpu.clock < 0.85
    assert found.gpu.hot
    events = {labels: value for name, labels, value in found.gpu.extras if name.endswith("EVENTS_COUNT")}
    assert events['clock_event="sw_thermal"'] == "7"
    assert events['clock_event="power_cap"'] == "0"
    assert found.mean("itl") > 1.3 * seen("", load=10).mean("itl")


def test_gpu_fault_is_of_one_pod() -> None:
    found = seen(Fault.GPU_FAULT)
    assert [activity(pod, 20).xid for pod in found.pods] == [94, 0]
    aborts = [pod.book.totals["done.abort"] for pod in found.pods]
    assert aborts[0] > 20
    assert aborts[1] == 0


def test_cold_start_is_healthy_once_it_is_ready() -> None:
    assert seen(Fault.COLD_START).within("ttft", 0.5) > 0.99


def test_deferred() -> None:
    found = seen(Fault.DEFERRED)
    assert found.total("waiting.deferred") > 0
    assert found.total("waiting.capacity") == 0
    assert found.kv < 0.2
    assert found.within("ttft", 2.5) == pytest.approx(0.65, abs=0.03)


def test_error_bound() -> None:
    found = seen(Fault.ERROR_BOUND)
    bad = found.total("done.abort") + found.total("http.5xx")
    assert bad / (found.total("done") + found.total("http.5xx")) == pytest.approx(0.24, abs=0.03)
    assert found.within("ttft", 0.5) > 0.99


def test_no_traffic() -> None:
    found = seen(Fault.NO_TRAFFIC, load=8)
    assert found.made.arrived == 0
    assert found.running == found.waiting == [0, 0]
    assert found.gpu.engine == 0
    assert found.gpu.memory > 0.8

"""What is wrong with single nodes, pods and targets: a sentence each, with what to do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.combine import combine
from gpupool.collector.prometheus.devices import Readings
from gpupool.collector.prometheus.findings import findings
from gpupool.collector.prometheus.problem import over, some
from gpupool.collector.prometheus.series import GpuSeries, Source
from gpupool.collector.prometheus.targets import Targets, read_targets
from gpupool.model.objects import Key, Pod
from support.usage import a_pool, moment

NOW = moment(1_000_000)
POOL = a_pool(window=timedelta(minutes=10))
WORK = Key("team", "work")
POD = Pod(WORK, "u", {"nvidia.com/gpu": 1}, "n1", started=NOW - timedelta(hours=1))
GOOD = GpuSeries(Source("dcgm-exporter", "i"), "n1", "GPU-1", WORK, 600, 0, 0, 1.0)
LIE = replace(GOOD, source=Source("dcgm-exporter", "liar"), busy=600)


def up(instance: str, value: float, namespace: str = "gpu-operator") -> Sample:
    return Sample({"job": "dcgm-exporter", "instance": instance, "namespace": namespace}, value, 0)


def found(*series: GpuSeries, targets: Targets | None = None) -> tuple[str, ...]:
    readings = Readings(15.0, series)
    return findings(POOL, (POD,), combine(POOL, (POD,), NOW, readings), readings, targets or Targets())


def test_good_data_leaves_nothing_to_say() -> None:
    assert found(GOOD) == ()


@pytest.mark.parametrize(
    ("series", "says"),
    [
        ((), "No usable samples from nodes n1: run the exporter there"),
        ((replace(GOOD, pod=None),), "Some GPUs of nodes n1 have no usable samples"),
        ((GOOD, LIE), "contradict each other about team/work (dcgm-exporter i, dcgm-exporter liar)"),
        (
            (GOOD, replace(GOOD, device="GPU-9", source=LIE.source)),
            "contradict each other about team/work (dcgm-exporter i, dcgm-exporter liar)",
        ),
        ((replace(GOOD, crowded=True),), "Two exporters write the same series of team/work"),
        ((replace(GOOD, still=True),), "Values from nodes n1 do not move at all: restart"),
        ((replace(GOOD, uid="before"),), "The exporter on nodes n1 names pods of the past: restart"),
    ],
)
def test_each_fault_is_one_sentence(series: tuple[GpuSeries, ...], says: str) -> None:
    (sentence,) = found(*series)
    assert says in sentence


def test_targets_that_are_down_or_strangers_are_named() -> None:
    targets = Targets(
        read_targets([up("a", 1), up("b", 0), up("liar", 1, "team")]), allowed=frozenset({"gpu-operator"})
    )
    assert found(GOOD, targets=targets) == (
        "1 targets of job dcgm-exporter are down (b): see their pods",
        "Targets that call themselves job dcgm-exporter elsewhere are ignored (dcgm-exporter liar)",
    )


def test_names_are_few_and_times_are_rough_so_that_a_status_does_not_change_all_the_time() -> None:
    assert some(["d", "b", "a", "c"]) == "a, b, c and 1 more"
    assert [over(s) for s in (3, 11, 29, 59, 61, 4000)] == [
        "a few seconds",
        *("over 10s", "over 10s", "over 30s", "over 60s", "over 3600s"),
    ]

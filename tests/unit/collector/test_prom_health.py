"""Each reason why telemetry may not be rested on, as a sentence that says what to do."""

from datetime import timedelta

import pytest

from gpupool.collector.prometheus import health
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.combine import combine
from gpupool.collector.prometheus.devices import Readings
from gpupool.collector.prometheus.own import Own, Past
from gpupool.collector.prometheus.series import GpuSeries, Source
from gpupool.collector.prometheus.targets import Rhythm, Targets, read_targets
from gpupool.model.objects import Key, Pod
from gpupool.model.usage import Peak
from support.usage import a_pool, moment

NOW = moment(1_000_000)
POOL = a_pool(window=timedelta(minutes=10))
WORK = Key("team", "work")


def up(instance: str, value: float, job: str = "dcgm-exporter", at: float = 0) -> Sample:
    return Sample({"job": job, "instance": instance}, value, at)


def targets(*samples: Sample, allowed: tuple[str, ...] = ()) -> Targets:
    return Targets(exporters=read_targets(samples), allowed=frozenset(allowed))


@pytest.mark.parametrize(
    ("found", "reason", "says"),
    [
        (targets(), "NoTargets", "no target of job dcgm-exporter"),
        (targets(up("a", 0)), "TargetsDown", "All targets of job dcgm-exporter are down"),
        (targets(up("a", 1), up("b", 0)), "", ""),
        (
            targets(up("a", 1), allowed=("gpu-operator",)),
            "NoTargets",
            "are in namespaces (none), and prometheus.exporterNamespaces allows gpu-operator",
        ),
    ],
)
def test_jobs_without_a_working_target_are_named(found: Targets, reason: str, says: str) -> None:
    problem = health.no_targets(POOL, found)
    assert (problem.reason if problem else "") == reason
    assert says in (problem.message if problem else "")


def test_only_a_few_targets_witness_the_interval() -> None:
    assert health.witnesses({"a": ["1", "2", "3", "4"], "b": ["9"]}) == ("1", "2", "3", "9")


def test_the_interval_is_the_median_distance_of_scrapes() -> None:
    times = (0.0, 15.0, 30.001, 45.0, 90.0)
    scrapes = [up("a", 1, at=t) for t in times] + [up("b", 1, "slow", t) for t in (0, 60, 120)]
    assert health.intervals(scrapes) == {"dcgm-exporter": pytest.approx(15, abs=0.01), "slow": 60}
    assert health.intervals([up("a", 1)]) == {}
    twice = [up("copied", 1, at=t / 2) for t in range(20)] + [up("honest", 1, at=t) for t in range(10)]
    assert health.intervals(twice) == {"dcgm-exporter": 1.0}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({}, "Job dcgm-exporter has been scraped less than twice"),
        ({"a": 15.0, "b": 300.0}, "spec.reclaim.window 600s holds less than 3 scrapes of 300s"),
        ({"a": 15.0}, ""),
    ],
)
def test_a_rhythm_in_which_nothing_can_be_measured_is_named(found: dict[str, float], says: str) -> None:
    problem = health.no_interval(POOL, found)
    assert says in (problem.message if problem else "")
    assert bool(problem) == bool(says)


@pytest.mark.parametrize(
    ("off", "says"),
    [
        (0, ""),
        (-59, ""),
        (-61, "differs from the API server's by over 60s"),
        (200, "differs from the API server's by over 60s"),
    ],
)
def test_answers_from_another_time_are_named(off: float, says: str) -> None:
    problem = health.other_time(NOW.timestamp() + off, NOW, 15.0)
    assert says in (problem.message if problem else "")
    assert bool(problem) == bool(says)


def test_targets_that_are_scraped_no_more_are_named() -> None:
    begin = NOW.timestamp()
    for last, reason in ((-45, ""), (-46, "ScrapesStopped")):
        problem = health.not_scraped(begin, Rhythm([up("a", 1, at=begin + last)], {"dcgm-exporter": 15.0}))
        assert (problem.reason if problem else "") == reason


@pytest.mark.parametrize(
    ("window", "lookback", "recorded", "kept", "missing"),
    [
        (1, 24, 900, False, "need (spec.reclaim.lookback)"),
        (2, 24, 900, False, "need (spec.reclaim.window, spec.reclaim.lookback)"),
        (1, 24, 900, True, ""),
        (1, 24, 300, False, ""),
        (1, 1, 900, False, ""),
    ],
)
def test_missing_recording_rules_are_named_once_they_are_due(
    window: int, lookback: int, recorded: float, kept: bool, missing: str
) -> None:
    pool = a_pool(window=timedelta(hours=window), lookback=timedelta(hours=lookback))
    problem = health.rules_missing(pool, Past({}, recorded, kept=kept))
    assert missing in (problem.message if problem else "")
    assert bool(problem) == bool(missing)


def pod(*, age: float = 3600, running: bool = True) -> Pod:
    began = NOW - timedelta(seconds=age)
    started = began if running else None
    return Pod(WORK, "u", {"nvidia.com/gpu": 1}, "n1", began, started, running)


def series(*, host: str = "n1", holder: Key | None = WORK, age: float | None = 1.0) -> GpuSeries:
    return GpuSeries(Source("dcgm-exporter", "i"), host, "GPU-1", holder, 600, 0, 0, age)


NOT_FRESH: dict[str, tuple[Pod, tuple[GpuSeries, ...], str]] = {
    "fresh": (pod(), (series(),), ""),
    "young": (pod(age=10), (), ""),
    "never ran": (pod(running=False), (), ""),
    "old": (pod(), (series(age=46.0),), "Samples are over 30s old, scraped every 15s"),
    "vanished": (pod(), (series(age=None),), "Job dcgm-exporter stopped to show"),
    "none": (pod(), (), "shows neither DCGM_FI_PROF_GR_ENGINE_ACTIVE nor DCGM_FI_DEV_GPU_UTIL"),
    "other host": (pod(), (series(host="exporter-x"),), "name host exporter-x, where team/work is not bound"),
    "no host": (pod(), (series(host=""),), "name host no host"),
    "no holders": (pod(), (series(holder=None),), "DCGM_EXPORTER_KUBERNETES=true"),
}


@pytest.mark.parametrize("case", NOT_FRESH)
def test_samples_that_do_not_show_the_pool_now_are_named(case: str) -> None:
    holder, found, says = NOT_FRESH[case]
    readings = Readings(15.0, found)
    problem = health.not_fresh(POOL, (holder,), combine(POOL, (holder,), NOW, readings), readings)
    assert says in (problem.message if problem else "")
    assert bool(problem) == bool(says)


def test_an_empty_pool_has_nothing_to_be_seen() -> None:
    assert health.not_fresh(POOL, (), (), Readings(15.0)) is None


@pytest.mark.parametrize(
    ("age", "names", "own", "missing"),
    [
        (3600, ("gpupool-metrics",), Own(), True),
        (100, ("gpupool-metrics",), Own(), False),
        (3600, (), Own(), False),
        (3600, ("gpupool-metrics",), Own(past=Past({WORK: Peak(1, 60)})), False),
    ],
)
def test_an_operator_that_is_not_scraped_is_told_in_the_end(
    age: float, names: tuple[str, ...], own: Own, *, missing: bool
) -> None:
    problem = health.own_missing(POOL, (pod(age=age),), own, NOW, names)
    assert (problem is not None and problem.reason == "OwnSeriesMissing") is missing

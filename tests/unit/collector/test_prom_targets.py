"""Whom to believe: targets of a job in the right namespace, and series that come from targets."""

import pytest

from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.series import GpuSeries, Source
from gpupool.collector.prometheus.targets import Targets, read_targets
from gpupool.model.objects import Key

WORK = Key("team", "work")


def up(instance: str, namespace: str = "", value: float = 1, job: str = "dcgm-exporter") -> Sample:
    labels = {"job": job, "instance": instance}
    return Sample(labels | ({"namespace": namespace} if namespace else {}), value, 0)


def series(instance: str, *, home: str = "", age: float | None = 1.0) -> GpuSeries:
    return GpuSeries(Source("dcgm-exporter", instance), "n1", "GPU-1", WORK, age=age, home=home)


def believed(targets: Targets, *found: GpuSeries) -> list[str]:
    return [s.source.instance for s in targets.believed(found)]


def test_targets_that_are_up_are_told_from_those_that_are_down() -> None:
    found = Targets(read_targets([up("b"), up("a"), up("c", value=0), up("d", value=0, job="second")]))
    assert found.working() == {"dcgm-exporter": ["a", "b"], "second": []}
    assert [t.source.instance for t in found.down()] == ["c", "d"]


def test_only_targets_of_allowed_namespaces_work_and_are_believed() -> None:
    samples = read_targets([up("honest", "gpu-operator"), up("liar", "team")])
    found = Targets(samples, allowed=frozenset({"gpu-operator"}))
    assert found.working() == {"dcgm-exporter": ["honest"]}
    assert found.strangers == {Source("dcgm-exporter", "liar")}
    assert found.contested() is None
    assert believed(found, series("honest"), series("liar")) == ["honest"]


def test_a_liar_that_left_is_not_believed_for_what_it_said() -> None:
    found = Targets(
        read_targets([up("honest", "gpu-operator")]),
        past=read_targets([up("honest", "gpu-operator"), up("liar", "team")]),
        allowed=frozenset({"gpu-operator"}),
    )
    assert believed(found, series("honest"), series("liar", age=None)) == ["honest"]
    # Long ago: only what the series itself shows of its target is left.
    old = series("gone", home="team", age=None)
    assert believed(found, series("honest"), old, series("gone", age=None)) == ["honest", "gone"]


@pytest.mark.parametrize(
    ("samples", "allowed", "contested"),
    [
        ([up("a", "gpu-operator"), up("b", "team")], (), True),
        ([up("a"), up("b", "team")], (), True),
        ([up("a", "gpu-operator"), up("b", "gpu-operator")], (), False),
        ([up("a", "gpu-operator"), up("b", "team")], ("gpu-operator",), False),
        ([up("a", "gpu-operator"), up("a", "team")], ("gpu-operator",), True),
        ([up("a", "gpu-operator"), up("b", "amd", job="second")], (), False),
    ],
)
def test_targets_that_nobody_can_tell_from_an_impostor_are_named(
    samples: list[Sample], allowed: tuple[str, ...], *, contested: bool
) -> None:
    problem = Targets(read_targets(samples), allowed=frozenset(allowed)).contested()
    assert (problem is not None) is contested
    if problem is not None:
        assert problem.reason == "ForeignTargets"
        assert "prometheus.exporterNamespaces" in problem.message


def test_a_second_operator_elsewhere_is_named() -> None:
    own = read_targets([up("o", "gpupool-system", job="gpupool"), up("x", "team", job="gpupool")])
    problem = Targets(own=own).contested()
    assert problem is not None
    assert "are in namespaces gpupool-system, team" in problem.message
    two = read_targets([up("o", "gpupool-system", job="gpupool"), up("p", "gpupool-system", job="gpupool")])
    assert Targets(own=two).contested() is None


def test_a_fresh_series_of_a_target_that_does_not_exist_is_not_believed() -> None:
    found = Targets(read_targets([up("a")]), past=read_targets([up("a"), up("before")]))
    told = (series("a"), series("invented"), series("before", age=None), series("long-ago", age=None))
    assert believed(found, *told) == ["a", "before", "long-ago"]


def test_where_an_install_renames_instances_nothing_follows_from_them() -> None:
    assert believed(Targets(read_targets([up("10.0.0.1:9400")])), series("gpu-node-1")) == ["gpu-node-1"]

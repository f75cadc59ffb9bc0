"""A cluster is repaired, held down, run beside another, and taken away without a trace."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localplane.cluster import Cluster
from localplane.errors import PlaneError, UnknownPartError
from localplane.parts import PARTS, part_named
from localplane.processes import Process, marked, wait_until
from localplane.state import Options
from support.plane import prometheus, temporary_cluster


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster of this module's own: its parts are killed and frozen."""
    with temporary_cluster() as cluster:
        yield cluster


def process_of(cluster: Cluster, part: str) -> Process:
    return cluster.state().processes[part]


def answers(cluster: Cluster, part: str) -> bool:
    return part_named(part, Options()).ready(cluster.layout, cluster.state())


def test_up_repairs_parts_that_were_killed_and_keeps_data_and_ports(plane: Cluster) -> None:
    with plane.kube() as kube:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}})
    before = plane.state()
    for part in ("apiserver", "etcd", "scheduler", "prometheus"):
        os.kill(before.processes[part].pid, signal.SIGKILL)
    assert wait_until(lambda: not answers(plane, "apiserver"), 30)
    plane.up()
    after = plane.state()
    assert after.ports == before.ports
    assert after.processes["apiserver"] != before.processes["apiserver"]
    assert after.processes["kwok"] == before.processes["kwok"]
    with plane.kube() as kube:
        assert kube.exists("/api/v1/namespaces/kept")


def test_up_on_a_whole_cluster_changes_nothing(plane: Cluster) -> None:
    plane.up()
    before = plane.state().processes
    plane.up()
    assert plane.state().processes == before


def test_up_thaws_a_part_that_somebody_froze(plane: Cluster) -> None:
    process_of(plane, "kwok").signal(signal.SIGSTOP)
    assert wait_until(lambda: process_of(plane, "kwok").frozen, 15)
    plane.up()
    assert not process_of(plane, "kwok").frozen
    assert answers(plane, "kwok")


@pytest.mark.parametrize("part", ["apiserver", "prometheus"])
def test_a_part_held_by_kill_stays_down_over_up_until_started(plane: Cluster, part: str) -> None:
    plane.stop(part, "KILL")
    try:
        assert not process_of(plane, part).alive
        plane.up()
        assert not process_of(plane, part).alive
        assert {row.name: row.state for row in plane.status()}[part] == "held (KILL)"
    finally:
        plane.start(part)
    assert answers(plane, part)
    assert {row.name: row.state for row in plane.status()}[part] == "running"


@pytest.mark.parametrize("part", ["apiserver", "etcd"])
def test_a_part_held_by_stop_is_frozen_and_goes_on_where_it_was(plane: Cluster, part: str) -> None:
    before = process_of(plane, part)
    plane.stop(part, "STOP")
    try:
        assert process_of(plane, part).frozen
    finally:
        plane.start(part)
    assert process_of(plane, part) == before
    assert answers(plane, part)
    plane.up()
    assert process_of(plane, part) == before


def test_a_part_that_does_not_exist_is_named_with_those_that_do(plane: Cluster) -> None:
    with pytest.raises(UnknownPartError, match=r"'kubelet'.*operator, etcd, apiserver"):
        plane.stop("kubelet")
    assert not plane.state().holds


def test_two_clusters_live_side_by_side_and_down_leaves_nothing(plane: Cluster) -> None:
    with temporary_cluster() as second:
        assert not set(second.state().ports.values()) & set(plane.state().ports.values())
        with second.kube() as kube:
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "second"}})
        with plane.kube() as kube:
            assert not kube.exists("/api/v1/namespaces/second")
        stray = set(marked(second.layout.root))
        assert len(stray) >= len([part for part in PARTS if part.name in second.state().processes])
        second.down()
        assert not second.layout.root.exists()
        assert not any(process.alive for process in stray)
        assert not list(marked(second.layout.root))
        with pytest.raises(PlaneError, match="make up"):
            second.state()
    assert prometheus(plane, "vector(1)")
    assert answers(plane, "apiserver")


def test_a_cluster_does_not_outlive_a_test_run_that_was_killed(tmp_path: Path) -> None:
    told = tmp_path / "directory"
    script = f"""
import os, pathlib
from support.plane import temporary_cluster
with temporary_cluster() as cluster:
    pathlib.Path({str(told)!r}).write_text(str(cluster.layout.root))
    os._exit(1)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", script], env=environment, timeout=150, check=False)
    directory = Path(told.read_text())
    assert wait_until(lambda: not directory.exists(), 60)
    assert not list(marked(directory))


def test_down_leaves_files_that_are_not_its_own(plane: Cluster) -> None:
    assert plane.layout.state.exists()
    with temporary_cluster() as second:
        foreign = second.layout.root / "my-notes.txt"
        foreign.write_text("mine")
        second.down()
        assert [path.name for path in second.layout.root.iterdir()] == ["my-notes.txt"]

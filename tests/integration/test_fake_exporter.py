"""The fake DCGM exporter, read back from the real Prometheus."""

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from localplane.ports import free_port
from localplane.processes import wait_until
from support.gpupods import START_AFTER, STATE, USE, gpu_pod

LIMIT = 60.0
ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
FRESH = 3
"""Seconds after which a live series, scraped every second, must have a new sample."""


@pytest.fixture(scope="module")
def selector(plane: Cluster) -> Iterator[dict[str, str]]:
    """A node selector that leads to this module's own node."""
    name = f"exporter-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(name, 32, labels={"test-node": name})])
        yield {"test-node": name}
        kube.delete(f"{NODES}/{name}")


@pytest.fixture
def team(plane: Cluster, kube: Kube, namespace: Callable[..., str], selector: dict[str, str]) -> "Team":
    return Team(plane, kube, namespace("exporter"), selector)


class Team:
    """One namespace's pods and what Prometheus knows of them."""

    def __init__(self, plane: Cluster, kube: Kube, namespace: str, selector: dict[str, str]) -> None:
        self.plane, self.kube, self.namespace, self.selector = plane, kube, namespace, selector

    def run(
        self, name: str, use: str | None = None, gpus: int = 1, annotations: dict[str, str] | None = None
    ) -> None:
        given = {**(annotations or {}), **({} if use is None else {USE: use})}
        self.kube.create(gpu_pod(self.namespace, name, gpus, annotations=given, nodeSelector=self.selector))

    def use(self, name: str, use: str) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
        self.kube.patch(path, {"metadata": {"annotations": {USE: use}}})

    def query(self, promql: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.plane.prometheus_url}/api/v1/query", params={"query": promql}, trust_env=False
        )
        result: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return result

    def series(self, pod: str, name: str = ACTIVE, extra: str = 'job="dcgm-exporter"') -> str:
        """A selector that finds the pod's series under either spelling of the labels."""
        label = "exported_" if self.query(f'{name}{{exported_namespace!="",{extra}}}') else ""
        return f'{name}{{{label}namespace="{self.namespace}",{label}pod="{pod}",{extra}}}'

    def values(self, pod: str, name: str = ACTIVE) -> list[float]:
        return [float(one["value"][1]) for one in self.query(self.series(pod, name))]

    def labels(self, pod: str) -> dict[str, Any]:
        """Labels of one of the pod's series, at a moment when its last scrape was not late."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = self.query(self.series(pod))
            return bool(found)

        assert wait_until(look, LIMIT), pod
        return dict(found[0]["metric"])

    def age(self, pod: str) -> float:
        """Seconds since the newest sample of the pod."""
        found = self.query(f"max(timestamp({self.series(pod)}))")
        return time.time() - float(found[0]["value"][1]) if found else float("inf")


def test_a_steady_pod_reads_its_percent_on_every_gpu_it_holds(team: Team) -> None:
    team.run("steady", "35", gpus=2)
    assert wait_until(lambda: team.values("steady") == [0.35, 0.35], LIMIT)
    assert wait_until(lambda: team.values("steady", "DCGM_FI_DEV_GPU_UTIL") == [35.0, 35.0], LIMIT)
    labels = team.labels("steady")
    assert labels["hostname"] == team.selector["test-node"]
    assert labels["modelName"] == "NVIDIA H100 80GB HBM3"
    assert labels["UUID"].startswith("GPU-")


def test_a_pod_that_says_nothing_is_idle(team: Team) -> None:
    team.run("silent")
    assert wait_until(lambda: team.values("silent") == [0.0], LIMIT)


def test_a_range_moves_within_its_bounds(team: Team) -> None:
    team.run("moving", "10-30")
    seen: set[float] = set()

    def moved() -> bool:
        seen.update(team.values("moving"))
        return len(seen) >= 4

    assert wait_until(moved, LIMIT)
    assert all(0.1 <= value <= 0.3 for value in seen)


def test_none_has_no_series_while_others_have(team: Team) -> None:
    team.run("none", "none")
    team.run("witness", "10")
    assert wait_until(lambda: team.values("witness") == [0.1], LIMIT)
    assert wait_until(lambda: _phase(team, "none") == "Running", LIMIT)
    assert team.query(f"last_over_time({team.series('none')}[5m])") == []


def _phase(team: Team, name: str) -> str:
    return str(team.kube.get(f"/api/v1/namespaces/{team.namespace}/pods/{name}")["status"]["phase"])


def test_gone_from_the_start_is_seen_and_then_vanishes(team: Team) -> None:
    team.run("gone", "gone")

    def seen() -> list[float]:
        # The few seconds in which it is seen may pass between two looks: Prometheus remembers them.
        return [float(one["value"][1]) for one in team.query(f"last_over_time({team.series('gone')}[5m])")]

    assert wait_until(lambda: seen() == [0.0], LIMIT)
    assert wait_until(lambda: team.values("gone") == [], LIMIT)
    assert seen() == [0.0]


def test_gone_after_a_change_vanishes_and_can_return(team: Team) -> None:
    team.run("comes-back", "50")
    assert wait_until(lambda: team.values("comes-back") == [0.5], LIMIT)
    team.use("comes-back", "gone")
    assert wait_until(lambda: team.values("comes-back") == [], LIMIT)
    team.use("comes-back", "60")
    assert wait_until(lambda: team.values("comes-back") == [0.6], LIMIT)


def test_stale_stays_visible_with_a_frozen_timestamp(team: Team) -> None:
    team.run("stale", "70")
    assert wait_until(lambda: team.values("stale") == [0.7], LIMIT)
    assert wait_until(lambda: team.age("stale") < FRESH, LIMIT)
    team.use("stale", "stale")
    assert wait_until(lambda: team.age("stale") > FRESH + 2, LIMIT)

    def frozen() -> bool:
        """The value is there, no sample is new, and its exporter is up: all of it at one moment."""
        up = team.query('up{job="dcgm-exporter"}')
        new = team.query(f"count_over_time({team.series('stale')}[3s])")
        return team.values("stale") == [0.7] and not new and [one["value"][1] for one in up] == ["1"]

    assert wait_until(frozen, LIMIT)


def test_a_trace_is_followed_in_trace_time_with_its_gap(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "demo_pod_gpu_duty.csv.gz"
    file.write_bytes(
        gzip.compress(
            b"t_s,pod,value\n0,1,20\n600,1,80\n1200,1,0\n2400,1,40\n3000,1,40\n3600,1,40\n4200,1,40\n"
        )
    )
    url = f"http://127.0.0.1:{team.plane.port('exporter')}/control"
    team.run("traced", "trace:demo/1")
    assert wait_until(lambda: _phase(team, "traced") == "Running", LIMIT)
    change = {"traces": str(tmp_path), "speed": 120, "epoch": time.time()}
    assert httpx.post(url, json=change, trust_env=False).raise_for_status().json()["speed"] == 120
    seen: list[list[float]] = []

    def played() -> bool:
        now = team.values("traced")
        if not seen or seen[-1] != now:
            seen.append(now)
        return now == [0.4]

    assert wait_until(played, LIMIT), seen
    # A scrape that was late is a moment without a value: between two of the trace it is no harm.
    rest = iter(seen)
    assert all(value in rest for value in ([0.2], [0.8], [0.0], [], [0.4])), seen


@pytest.mark.parametrize(
    "annotations",
    [{START_AFTER: "10m"}, {STATE: "ImagePullBackOff"}, {STATE: "CrashLoopBackOff"}],
    ids=["not started", "no image", "crashing"],
)
def test_a_pod_that_does_not_run_has_no_series(team: Team, annotations: dict[str, str]) -> None:
    team.run("held", "35", annotations=annotations)
    team.run("witness", "10")
    assert wait_until(lambda: team.values("witness") == [0.1], LIMIT)
    assert team.values("held") == []


def test_the_text_is_what_promtool_accepts(team: Team) -> None:
    team.run("stale", "stale")
    assert wait_until(lambda: team.query(team.series("stale")) != [], LIMIT)
    text = httpx.get(f"http://127.0.0.1:{team.plane.port('exporter')}/metrics", trust_env=False).text
    command = [str(team.plane.program("promtool")), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    # DCGM's own names break naming advice (rc 3); a format error would be rc 1.
    complaints = {line.split(" ", 1)[1] for line in done.stderr.splitlines()}
    assert done.returncode in {0, 3}, done.stderr
    assert complaints <= {
        'counter metrics should have "_total" suffix',
        "metric name should not include type 'counter'",
        "label names should be written in 'snake_case' not 'camelCase'",
    }


def test_a_killed_exporter_comes_back_with_every_pod_on_its_gpu(team: Team) -> None:
    team.run("first", "10", gpus=2)
    assert wait_until(lambda: len(team.values("first")) == 2, LIMIT)
    team.run("second", "20", gpus=2)
    assert wait_until(lambda: len(team.values("second")) == 2, LIMIT)
    before = _uuids(team, "second")
    assert len(before) == 2
    team.kube.delete(f"/api/v1/namespaces/{team.namespace}/pods/first")
    assert wait_until(lambda: team.values("first") == [], LIMIT)
    team.plane.stop("exporter", "KILL")
    assert wait_until(lambda: team.values("second") == [], LIMIT)
    team.plane.start("exporter")
    assert wait_until(lambda: len(team.values("second")) == 2, LIMIT)
    assert wait_until(lambda: _uuids(team, "second") == before, LIMIT)


def _uuids(team: Team, pod: str) -> set[str]:
    return {one["metric"]["UUID"] for one in team.query(team.series(pod))}


@contextmanager
def second_exporter(plane: Cluster, name: str, *argv: str) -> Iterator[None]:
    """One more exporter, scraped as a job of this name."""
    port = free_port(frozenset(plane.state().ports.values()))
    command = [sys.executable, "-m", "localplane.exporter", f"--port={port}", *argv]
    target = plane.layout.targets / f"{name}.json"
    with subprocess.Popen(command) as process:
        try:
            target.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"job": name}}]))
            yield
        finally:
            target.unlink()
            process.terminate()
            process.wait(20)


def test_a_second_exporter_can_speak_the_old_label_names(team: Team) -> None:
    team.run("steady", "35")
    with second_exporter(
        team.plane, "old-names", f"--kubeconfig={team.plane.kubeconfig}", "--label-style=old"
    ):
        labels = f'job="old-names",pod_namespace="{team.namespace}",pod_name="steady",container_name="main"'
        promql = f"{ACTIVE}{{{labels}}}"
        assert wait_until(lambda: [one["value"][1] for one in team.query(promql)] == ["0.35"], LIMIT)
        assert team.query(promql)[0]["metric"]["Hostname"] == team.selector["test-node"]


def test_a_lying_exporter_serves_what_its_file_says(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "lie.json"
    lie = {
        "name": ACTIVE,
        "labels": {"exported_namespace": team.namespace, "exported_pod": "rival"},
        "value": 0,
    }
    file.write_text(json.dumps([lie]))
    promql = f'{ACTIVE}{{job="liar",exported_namespace="{team.namespace}",exported_pod="rival"}}'
    with second_exporter(team.plane, "liar", f"--static={file}"):
        assert wait_until(lambda: [one["value"][1] for one in team.query(promql)] == ["0"], LIMIT)
        file.write_text(json.dumps([lie | {"value": 1}]))
        assert wait_until(lambda: [one["value"][1] for one in team.query(promql)] == ["1"], LIMIT)

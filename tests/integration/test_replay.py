"""A tiny trace played on the real plane, measured by the real Prometheus."""

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube
from replay import report
from replay.cli import play
from replay.recording import read_recording
from replay.stage import NAME, team_name
from support.marks import standing
from support.plane import eventually
from support.story import GOVERNED_SECONDS

STEP = 10
SAMPLES = 30
SPEED = 10.0


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it."""
    return released_plane


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Five minutes of four pods: one always busy, one in turns, one with a gap, one that comes and goes."""
    rows = [(t, 0, 70) for t in range(SAMPLES)]
    rows += [(t, 1, 40 * (t // 5 % 2)) for t in range(SAMPLES)]
    rows += [(t, 2, 20) for t in range(SAMPLES) if not 10 <= t < 20]
    rows += [(t, 3, 90) for t in range(8, 20)]
    file = tmp_path / "tiny.csv.gz"
    with gzip.open(file, "wt") as out:
        out.write("t_s,pod,value\n" + "".join(f"{STEP * t},{pod},{value}\n" for t, pod, value in rows))
    return file


@pytest.fixture
def clean(kube: Kube) -> Iterator[None]:
    """Takes away what a replay leaves in a cluster that others use, too."""
    yield
    kube.delete(f"/apis/gpupool.dev/v1alpha1/gpupools/{NAME}")
    kube.delete(f"/api/v1/nodes/{NAME}-1")
    for team in range(4):
        kube.delete(f"/api/v1/namespaces/{team_name(team)}")
    eventually(
        lambda: not standing(kube, NAME), "the operator takes back what it wrote for it", GOVERNED_SECONDS
    )


@pytest.mark.usefixtures("clean")
def test_what_is_measured_of_a_tiny_trace_is_what_the_trace_says(plane: Cluster, trace: Path) -> None:
    recording = read_recording(trace)
    played = asyncio.run(play(plane, recording, SPEED))
    found = {row.team: row for row in report.rows(recording, played)}
    scrape = SPEED / 3600  # what one scrape more or less makes, in hours of the trace
    # Scrapes that failed and pods that began late on a busy machine are known, and no error of the sums.
    strays = (2.5 + played.failed + played.latest) * scrape
    for row in found.values():
        assert row.busy == pytest.approx(row.busy_truth, abs=strays * row.pods), row
        assert row.held == pytest.approx(row.held_truth, abs=strays * row.pods), row
        assert row.promised == pytest.approx(row.promised_truth, abs=strays * row.pods), row
    assert found["team-2"].seen < found["team-2"].held - 80 / 3600  # the gap is held and not seen
    assert found["all"].pods == 4

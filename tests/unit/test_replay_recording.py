"""The truth of a trace, computed from samples: what the replay is measured against."""

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from localplane.errors import PlaneError
from replay.player import agenda, boundaries
from replay.recording import Life, Truth, read_recording

Write = Callable[[dict[str, dict[int, float]]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a trace: pod to samples (second to percent)."""

    def make(pods: dict[str, dict[int, float]]) -> Path:
        file = tmp_path / "tiny.csv.gz"
        rows = [f"{t},{pod},{value}" for pod, samples in pods.items() for t, value in samples.items()]
        with gzip.open(file, "wt") as out:
            out.write("\n".join(["t_s,pod,value", *rows]) + "\n")
        return file

    return make


def test_a_sample_stands_for_a_step_and_only_those_above_zero_are_busy(write: Write) -> None:
    recording = read_recording(write({"4": {0: 0.0, 10: 5.0, 20: 0.1, 30: 0.0}}))
    assert recording.length == 40
    assert recording.truth(0) == Truth(held=40, seen=40, busy=20)


def test_a_gap_is_held_and_not_seen(write: Write) -> None:
    recording = read_recording(write({"1": {0: 9.0, 10: 9.0, 20: 9.0, 60: 9.0, 70: 9.0}}))
    assert recording.truth(1) == Truth(held=80, seen=50, busy=50)


def test_pods_are_dealt_to_four_teams_by_their_number(write: Write) -> None:
    recording = read_recording(write({str(pod): {0: 1.0, 10: 1.0} for pod in (3, 7, 8, 140)}))
    assert recording.teams == (0, 3)
    assert [life.pod for life in recording.of_team(0)] == [8, 140]
    assert recording.truth(3) == Truth(40, 40, 40)
    assert recording.truth(1) == Truth()


def test_the_first_hours_leave_out_what_begins_later_and_cut_what_ends_later(write: Write) -> None:
    file = write({"0": {0: 1.0, 1800: 1.0, 3600: 1.0}, "4": {3600: 1.0, 5400: 1.0}})
    recording = read_recording(file, hours=0.75)
    assert recording.length == 2700
    assert [life.pod for life in recording.lives] == [0]
    assert recording.truth(0) == Truth(2700, 2700, 2700)


def test_slices_of_the_truth_add_up_to_the_whole(write: Write) -> None:
    file = write({"0": {t: float(t % 3) for t in range(0, 300, 10) if t % 70}, "5": {50: 1.0, 60: 0.0}})
    recording = read_recording(file)
    edges = [0.0, 17.0, 120.0, 233.3, recording.length]
    for team in recording.teams:
        parts = [recording.truth(team, a, b) for a, b in pairwise(edges)]
        whole, summed = recording.truth(team), sum(parts, Truth())
        assert (summed.held, summed.seen, summed.busy) == pytest.approx((whole.held, whole.seen, whole.busy))


@pytest.mark.parametrize(
    ("pods", "hours", "says"),
    [({"a1": {0: 1.0}}, None, "pod 'a1' is no whole number"), ({"1": {9000: 1.0}}, 1.0, "no sample")],
)
def test_what_cannot_be_played_is_refused_with_the_reason(
    write: Write, pods: dict[str, dict[int, float]], hours: float | None, says: str
) -> None:
    with pytest.raises(PlaneError, match=says):
        read_recording(write(pods), hours)


def test_a_file_that_is_no_trace_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "other.csv.gz"
    file.write_text("not gzip")
    with pytest.raises(PlaneError, match="columns t_s, pod, value"):
        read_recording(file)


def test_pods_of_the_first_second_are_not_on_the_agenda_and_a_reading_comes_before_a_pod_leaves(
    write: Write,
) -> None:
    recording = read_recording(
        write({"0": {0: 1.0, 10: 1.0}, "1": {20: 1.0, 30: 1.0}, "2": {0: 1.0, 90: 0.0}})
    )
    entries = agenda(recording, speed=1.0)
    seen = [(e.at, _pod(e.coming), _pod(e.going)) for e in entries if e.coming or e.going]
    assert seen == [(20, None, 0), (20, 1, None), (40, None, 1)]
    assert [e.at for e in entries if not (e.coming or e.going)][-1] == recording.length
    assert entries == sorted(entries, key=lambda e: (e.at, e.order))


@pytest.mark.parametrize(
    ("length", "speed", "count"), [(82_137, 60, 72), (3_600, 60, 6), (100, 60, 1), (172_800, 1, 289)]
)
def test_slices_are_no_shorter_than_ten_seconds_and_no_longer_than_ten_minutes(
    length: float, speed: float, count: int
) -> None:
    edges = [0.0, *boundaries(length, speed)]
    spans = [(b - a) / speed for a, b in pairwise(edges)]
    assert len(spans) == count
    assert edges[-1] == length
    assert max(spans) <= 600
    assert count == 1 or min(spans) >= 10


def _pod(life: Life | None) -> int | None:
    return None if life is None else life.pod

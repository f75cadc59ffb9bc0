"""Recorded activity, replayed."""

import gzip
from pathlib import Path

import pytest

from localplane.exporter.traces import Trace, TraceClock, TraceLibrary, UnknownTraceError

TRACE = Trace(times=(0.0, 57.0, 114.0, 285.0), values=(10.0, 0.0, 30.0, 40.0), step=57.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        "t_s,pod,value",
        *(f"{time},7,{value}" for time, value in zip(TRACE.times, TRACE.values, strict=True)),
    ]
    rows += [f"{57 * number},8,5" for number in range(9)]
    path = tmp_path / "demo_pod_gpu_duty.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return path


@pytest.mark.parametrize(
    ("seconds", "percent"),
    [
        (-0.1, None),
        (0.0, 10.0),
        (56.9, 10.0),
        (57.0, 0.0),
        (114.0, 30.0),
        (170.9, 30.0),
        (171.0, None),
        (284.9, None),
        (285.0, 40.0),
        (341.9, 40.0),
        (342.0, None),
    ],
)
def test_a_sample_holds_until_the_next_and_gaps_have_no_value(seconds: float, percent: float | None) -> None:
    assert TRACE.at(seconds) == percent


def test_a_late_sample_within_one_and_a_half_steps_is_no_gap() -> None:
    assert Trace((0.0, 80.0), (10.0, 20.0), step=57.0).at(79.0) == 10.0


def test_played_seconds_above_zero_are_the_traces_own_busy_seconds() -> None:
    busy = sum(1 for second in range(500) if TRACE.at(float(second)))
    assert busy == 3 * 57


def test_a_trace_is_found_by_set_and_pod_in_a_directory_and_by_pod_in_a_file(file: Path) -> None:
    assert TraceLibrary(file.parent).find("demo/7") == TRACE
    assert TraceLibrary(file).find("whatever/7") == TRACE
    assert TraceLibrary(file).find("7") == TRACE


@pytest.mark.parametrize(("name", "said"), [("demo/99", "it has 7, 8"), ("other/7", "no other.csv.gz")])
def test_an_unknown_trace_says_what_there_is(file: Path, name: str, said: str) -> None:
    with pytest.raises(UnknownTraceError, match=said):
        TraceLibrary(file.parent).find(name)


def test_without_traces_the_error_says_how_to_give_them() -> None:
    with pytest.raises(UnknownTraceError, match="--traces"):
        TraceLibrary(None).find("demo/7")


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_text("not gzip")
    with pytest.raises(UnknownTraceError, match=r"x\.csv\.gz is no gzip CSV"):
        TraceLibrary(path).find("x/1")


def test_the_clock_runs_at_its_speed_from_its_epoch() -> None:
    clock = TraceClock(epoch=1000.0, speed=60.0)
    assert clock.at(1000.0) == 0.0
    assert clock.at(1002.5) == 150.0

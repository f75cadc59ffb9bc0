"""The table of a replay: trace time, tolerance, and a verdict on every team."""

from pathlib import Path

import pytest

from localplane.exporter.traces import Trace
from replay import report
from replay.metering import Measured
from replay.picture import draw
from replay.player import Played, Slice
from replay.recording import Life, Recording

SPEED = 60.0


def recording() -> Recording:
    """Two teams of one pod each, one hour; pod 0 busy for half of it, pod 1 never."""
    times = tuple(60.0 * n for n in range(60))
    half = tuple(50.0 if n < 30 else 0.0 for n in range(60))
    lives = (
        Life(0, Trace(times, half, 60.0), 60.0),
        Life(1, Trace(times, tuple(0.0 for _ in times), 60.0), 60.0),
    )
    return Recording(Path("tiny.csv.gz"), lives, 3600.0, 60.0)


def played(busy: float, busy_of_the_idle: float = 0.0) -> Played:
    """What a minute of the world measured of it, in two slices."""
    halves = [
        Slice(
            start,
            start + 1800,
            {
                "team-0": Measured(promised=30, held=30, seen=30, busy=busy / 2, reported=busy / 2),
                "team-1": Measured(promised=30, held=30, seen=30, busy=busy_of_the_idle / 2),
            },
        )
        for start in (0.0, 1800.0)
    ]
    return Played(SPEED, halves, scrapes=60)


def test_seconds_of_the_world_become_hours_of_the_trace() -> None:
    first, second, total = report.rows(recording(), played(busy=30))
    assert (first.team, first.pods, first.promised, first.held, first.busy) == ("team-0", 1, 1.0, 1.0, 0.5)
    assert (first.promised_truth, first.held_truth, first.seen_truth, first.busy_truth) == (
        1.0,
        1.0,
        1.0,
        0.5,
    )
    assert (second.busy, second.busy_truth, second.off) == (0.0, 0.0, 0.0)
    assert (total.team, total.pods, total.promised, total.busy) == ("all", 2, 2.0, 0.5)


@pytest.mark.parametrize(
    ("busy", "of_idle", "good"), [(30.8, 0, True), (29.2, 0, True), (31, 0, False), (30, 1, False)]
)
def test_every_team_and_all_must_agree_within_three_percent(
    busy: float, of_idle: float, *, good: bool
) -> None:
    assert report.agrees(report.rows(recording(), played(busy, of_idle))) is good


def test_work_where_the_trace_has_none_is_infinitely_wrong() -> None:
    assert report.percent_off(0.1, 0.0) == float("inf")
    assert report.percent_off(0.0, 0.0) == 0.0


def test_the_document_carries_the_verdict_and_every_row() -> None:
    what, found = recording(), report.rows(recording(), played(33))
    document = report.as_json(what, played(33), found)
    assert document["agrees"] is False
    assert [row["team"] for row in document["rows"]] == ["team-0", "team-1", "all"]
    assert document["rows"][0]["offPercent"] == pytest.approx(10)


def test_the_table_says_how_teams_were_made_and_the_notes_how_finely_it_looked() -> None:
    what = recording()
    shown = report.table(what, report.rows(what, played(30)))
    assert "pod id modulo 4" in str(shown.title)
    assert shown.row_count == 3
    fast = Played(600.0, [], scrapes=6, failed=1)
    assert any("one sample in 10.0" in line for line in report.footnotes(what, fast))
    assert any("1 of 6 scrapes failed" in line for line in report.footnotes(what, fast))


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "replay.png"
    draw(recording(), played(30), file)
    assert file.read_bytes().startswith(b"\x89PNG")

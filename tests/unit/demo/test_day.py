"""The second act's day: what is played, what is asked of Prometheus, and the picture of it."""

import math
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from demo import day, daypicture
from demo.closing import REPLICA, queries
from demo.narrator import Mark
from demo.scenes import FIRST_ACT, SECOND_ACT
from demo.scenes.serving import ENDPOINTS, PROMISED, gpu_seconds
from demo.series import Lines, read_lines
from demo.stage import MANIFESTS, Stage
from localplane.exporter.traces import TraceLibrary
from localplane.paths import CHECKOUT


class Answers:
    """Stands where the stage stands: answers range queries that contain a word."""

    day_began = 1000.0
    day_ended = 1000.0 + day.SECONDS

    def __init__(self, **series: dict[int, float]) -> None:
        self.series = series
        self.asked: list[str] = []

    def prometheus_range(self, query: str, *_: float) -> list[dict[str, Any]]:
        self.asked.append(query)
        found = next((values for word, values in self.series.items() if word in query), None)
        if found is None:
            return []
        return [{"metric": {}, "values": [(1000.0 + at, str(value)) for at, value in found.items()]}]


def test_the_day_is_played_in_the_time_that_the_act_gives_it(tmp_path: Path) -> None:
    found = day.rates()
    assert len(found) == day.HOURS * 6
    assert min(found) < max(found) / 5, "a night and a morning"
    trace = TraceLibrary(day.write(tmp_path)).find(f"{day.SET}/{day.CLIENT}")
    assert trace.at(0) == found[0]
    assert trace.at(day.SECONDS * day.SPEED - 0.1) == trace.at(day.SECONDS * day.SPEED + 60) == found[-1]
    assert [trace.at((n + 0.5) * day.SECONDS * day.SPEED / len(found)) for n in range(len(found))] == [*found]


@pytest.mark.parametrize(
    ("seconds", "time"),
    [(-1, "00:00"), (0, "00:00"), (7, "01:00"), (49.4, "07:03"), (84, "12:00"), (99, "12:00")],
)
def test_a_second_of_the_act_is_a_time_of_the_day(seconds: float, time: str) -> None:
    assert day.clock(seconds) == time


def test_series_stand_side_by_side_and_what_is_not_there_is_unknown() -> None:
    stage = cast("Stage", Answers(load={0: 5.0, 2: 6.0}))
    lines = read_lines(stage, {"a": "load", "b": "nothing"}, 1000.0, 1002.0)
    assert lines.seconds == (1000.0, 1001.0, 1002.0)
    assert (lines["a"][0], lines["a"][2]) == (5.0, 6.0)
    assert math.isnan(lines["a"][1])
    assert all(math.isnan(value) for value in lines["b"])


def test_gpu_seconds_are_what_was_held_times_the_day() -> None:
    held = {"assist": {0: 4.0, 1: 8.0}, "fixed": {0: 12.0, 5: 12.0}}
    stage = cast("Stage", Answers(**held))
    assert gpu_seconds(stage, "assist") == 6 * day.SECONDS
    assert gpu_seconds(stage, "fixed") == 12 * day.SECONDS
    assert gpu_seconds(cast("Stage", Answers()), "assist") == 0


def test_the_picture_shows_what_is_asked_for_and_bears_gaps(tmp_path: Path) -> None:
    times = (1000.0, 1001.0, 1002.0)
    lines = Lines(times, dict.fromkeys(queries(), (50.0, math.nan, -4000.0)))
    marks = [Mark(12, "Begin", 1000.0), Mark(13, "Day", 1000.5), Mark(14, "End", 1001.5)]
    file = tmp_path / "new" / "endpoints.png"
    daypicture.draw_day(lines, marks, PROMISED, file)
    assert file.read_bytes().startswith(b"\x89PNG")
    unseen = Lines(times, dict.fromkeys(queries(), (math.nan,) * 3))
    daypicture.draw_day(unseen, marks, PROMISED, file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_the_twins_differ_in_nothing_but_their_number_of_replicas() -> None:
    found = _manifests("11-endpoints.yaml")
    live, fixed = (found["Deployment", ENDPOINTS[team][0]]["spec"] for team in ("assist", "fixed"))
    assert live["template"] == fixed["template"]
    assert live["replicas"] < fixed["replicas"]
    (container,) = live["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": REPLICA}
    objectives = [found["InferenceSLO", ENDPOINTS[t][0]]["spec"]["objectives"] for t in ("assist", "fixed")]
    assert objectives[0] == objectives[1]
    assert [row["percent"] for row in objectives[0]] == [PROMISED]


def test_the_mended_version_is_the_first_one_and_the_bad_one_has_one_flag_more() -> None:
    first, bad, mended = (
        _manifests(name)["Deployment", "coder-live"]
        for name in ("11-endpoints.yaml", "13-coder-bad.yaml", "14-coder-mended.yaml")
    )
    assert first == mended
    flags = bad["spec"]["template"]["metadata"]["annotations"]
    assert flags.pop("fake.gpupool.dev/max-seqs") == "4"
    assert bad == first


def test_every_scene_belongs_to_one_act() -> None:
    assert len({*FIRST_ACT, *SECOND_ACT}) == len(FIRST_ACT) + len(SECOND_ACT)


def _manifests(name: str) -> dict[tuple[str, str], Any]:
    text = (CHECKOUT / MANIFESTS / name).read_text()
    return {(d["kind"], d["metadata"].get("namespace", "")): d for d in yaml.safe_load_all(text)}

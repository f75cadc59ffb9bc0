"""The picture: series put together from Prometheus' answers, gaps included, and a file that is a PNG."""

import math
from pathlib import Path
from typing import Any, cast

from demo.narrator import Mark
from demo.picture import draw
from demo.series import KINDS, Team, read_teams
from demo.stage import Stage


class Answers:
    """Stands where the stage stands: answers range queries with series given before."""

    def __init__(self, **series: list[dict[str, Any]]) -> None:
        self.series = series

    def prometheus_range(self, query: str, *_: float) -> list[dict[str, Any]]:
        return self.series.get(query.removeprefix("gpupool_share_").removesuffix("_gpus"), [])


def _series(team: str, values: dict[int, int]) -> dict[str, Any]:
    pairs = [(1000.0 + at, str(value)) for at, value in values.items()]
    return {"metric": {"pool": "lab", "team": team}, "values": pairs}


def test_a_team_is_one_line_before_and_after_its_share_names_it_and_silence_is_unknown() -> None:
    answers = Answers(held=[_series("vision-lab", {0: 20, 1: 20}), _series("vision", {2: 24, 4: 28})])
    stage = cast("Stage", answers)
    (team,) = read_teams(stage, {"vision": "lab"}, {"vision": "vision-lab"}, 1000.0, 1004.0)
    assert team.seconds == (1000.0, 1001.0, 1002.0, 1003.0, 1004.0)
    held = team.gpus["held"]
    assert (held[:3], held[4]) == ((20, 20, 24), 28)
    assert math.isnan(held[3])
    assert all(math.isnan(value) for value in team.gpus["busy"])


def test_the_picture_is_written_with_gaps_and_close_scenes(tmp_path: Path) -> None:
    values = (8.0, 8.0, math.nan, 16.0, 16.0)
    times = (1000.0, 1001.0, 1002.0, 1003.0, 1004.0)
    teams = [Team(name, "lab", times, dict.fromkeys(KINDS, values)) for name in ("vision", "nlp")]
    marks = [Mark(1, "Begin", 1000.0), Mark(2, "Next", 1000.1), Mark(3, "End", 1003.0)]
    file = tmp_path / "new" / "story.png"
    draw(teams, marks, file)
    assert file.read_bytes().startswith(b"\x89PNG")

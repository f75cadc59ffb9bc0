"""The exporter that serves a file, and the control of the replay."""

import json
from pathlib import Path
from typing import Any

import pytest

from localplane.exporter.__main__ import control
from localplane.exporter.shown import Showing
from localplane.exporter.static import StaticFileError, render_file
from localplane.exporter.traces import TraceClock, TraceLibrary


def test_a_file_is_served_as_it_is_and_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "lie.json"
    lie = {"name": "DCGM_FI_DEV_GPU_UTIL", "labels": {"pod": 'a"b'}, "value": 90, "timestamp": 1700000000.5}
    file.write_text(json.dumps([lie, {"name": "other", "value": 1, "type": "counter"}]))
    assert render_file(file).splitlines() == [
        "# TYPE DCGM_FI_DEV_GPU_UTIL gauge",
        'DCGM_FI_DEV_GPU_UTIL{pod="a\\"b"} 90.0 1700000000500',
        "# TYPE other counter",
        "other{} 1.0",
    ]
    file.write_text("[]")
    assert render_file(file) == ""


@pytest.mark.parametrize("content", ["{", '[{"name": "x"}]', '[{"value": 1}]', "7"])
def test_a_file_that_is_no_list_of_series_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "lie.json"
    file.write_text(content)
    with pytest.raises(StaticFileError, match=r"lie\.json is no list of series"):
        render_file(file)


def test_control_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    showing = Showing(TraceLibrary(None), TraceClock(100.0, 1.0))
    assert control(showing, {"speed": 60}) == {"epoch": 100.0, "speed": 60.0}
    assert control(showing, {"epoch": 500, "traces": str(tmp_path)}) == {"epoch": 500.0, "speed": 60.0}
    assert showing.clock == TraceClock(500.0, 60.0)


@pytest.mark.parametrize(
    ("change", "said"), [({"sped": 1}, "sped"), ({"speed": "x"}, "x"), ({"traces": "/nowhere"}, "/nowhere")]
)
def test_a_wrong_control_is_refused_and_changes_nothing(change: dict[str, Any], said: str) -> None:
    showing = Showing(TraceLibrary(None), TraceClock(100.0, 1.0))
    with pytest.raises(ValueError, match=said):
        control(showing, change)
    assert showing.clock == TraceClock(100.0, 1.0)

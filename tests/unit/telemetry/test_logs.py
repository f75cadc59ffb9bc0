"""Log lines: one JSON object each, with the keys of the cycle they belong to."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gpupool.telemetry.logs import CycleLine, configure, cycle_line


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    text = io.StringIO()
    configure("info", text)
    yield text
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object_with_its_keys(stream: io.StringIO) -> None:
    logging.getLogger("gpupool.test").warning("quota refused\nus", extra={"namespace": "team", "gpus": 3})
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "gpupool.test",
        "message": "quota refused\nus",
        "namespace": "team",
        "gpus": 3,
    }


def test_a_cycle_has_one_line_with_what_it_took_and_did(stream: io.StringIO) -> None:
    cycle_line(CycleLine("lab", "c1", "ok", {"plan": 0.01234}, {"pods": 8}, fresh=True))
    (line,) = lines(stream)
    assert line["message"] == "cycle"
    assert line["level"] == "info"
    assert (line["pool"], line["cycle"]) == ("lab", "c1")
    assert (line["durations"], line["counts"], line["fresh"]) == ({"plan": 12.3}, {"pods": 8}, True)


def test_a_failed_cycle_is_a_warning(stream: io.StringIO) -> None:
    cycle_line(CycleLine("lab", "c2", "Forbidden"))
    assert lines(stream)[0]["level"] == "warning"


def test_an_exception_stays_on_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("broken")  # noqa: TRY301 - the test is about the traceback
    except ValueError:
        logging.getLogger("gpupool.test").exception("failed", extra={"what": object})
    (line,) = lines(stream)
    assert "ValueError: broken" in line["exception"]
    assert "object" in line["what"]


def test_debug_and_the_http_clients_chatter_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("gpupool.test").debug("detail")
    logging.getLogger("httpx").info("GET")
    assert lines(stream) == []

"""Timers on our quota: written and read without loss, and never a reason to stop."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gpupool.model.annotations import read_epoch, read_json, read_timers, write_timers
from gpupool.model.objects import Timer
from gpupool.model.reasons import Stage

NOON = datetime(2030, 1, 7, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FULL = Timer(Stage.LENT, NOON, NOON + HOUR, 4, NOON + 2 * HOUR, "Job/train", 8)


@pytest.mark.parametrize(
    "timer",
    [
        Timer(Stage.WARNED, NOON),
        Timer(Stage.WARNED, NOON, NOON + HOUR, target=0),
        Timer(Stage.RECALLING, NOON, forced_at=NOON + HOUR, workload="app=x,!old"),
        Timer(Stage.WARNED, NOON + timedelta(microseconds=5)),
        FULL,
    ],
)
def test_a_timer_is_read_as_it_was_written(timer: Timer) -> None:
    assert read_timers(write_timers({"train": timer})) == {"train": timer}


def test_the_same_timers_are_the_same_text_in_any_order() -> None:
    other = Timer(Stage.WARNED, NOON)
    assert write_timers({"a": FULL, "b": other}) == write_timers({"b": other, "a": FULL})
    assert " " not in write_timers({"a": FULL})


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    east = NOON.astimezone(timezone(HOUR))
    assert read_timers(write_timers({"a": Timer(Stage.WARNED, east)}))["a"].since == NOON


ROW = {"stage": "Warned", "since": "2030-01-07T12:00:00+00:00"}


@pytest.mark.parametrize(
    "row",
    [
        None,
        7,
        "Warned",
        [],
        {},
        {"stage": "Warned"},
        {"since": ROW["since"]},
        ROW | {"stage": "Frozen"},
        ROW | {"since": "noon"},
        ROW | {"since": 7},
        ROW | {"since": "2030-01-07T12:00:00"},
        ROW | {"deadline": "2030-01-07T13:00:00"},
        ROW | {"deadline": None},
        ROW | {"deadline": "9999-12-31T23:59:59Z"},
        ROW | {"deadline": "3000-01-01T00:00:00Z"},
        ROW | {"since": "0001-01-01T00:00:00+14:00"},
        ROW | {"forcedAt": "later"},
        ROW | {"target": "4"},
        ROW | {"target": -1},
        ROW | {"target": 1.5},
        ROW | {"target": True},
        ROW | {"granted": {}},
    ],
)
def test_a_timer_that_somebody_broke_counts_as_not_written_and_spares_the_others(row: object) -> None:
    text = json.dumps({"broken": row, "train": ROW})
    assert read_timers(text) == {"train": Timer(Stage.WARNED, NOON)}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "[" * 100_000, '{"a":' * 100_000])
def test_an_annotation_that_is_no_object_counts_as_empty(text: str) -> None:
    assert read_json(text) == {}
    assert read_timers(text) == {}


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("", 0),
        ("7", 7),
        ("500000000", 500_000_000),
        ("500000001", 0),
        ("1000000000", 0),
        ("-1", 0),
        ("7 ", 0),
        ("٣", 0),
    ],
)
def test_an_epoch_is_a_plain_number_that_a_leader_can_have(text: str, epoch: int) -> None:
    assert read_epoch(text) == epoch

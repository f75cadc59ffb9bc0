"""What of a written status is remembered: measured numbers apart from decisions."""

import copy
from typing import Any

import pytest

from gpupool.runtime.memo import memo

STATUS: dict[str, Any] = {
    "granted": 8,
    "busy": 3,
    "efficiency": 40,
    "activity": 50,
    "coverage": 98,
    "summary": {"granted": 8, "busy": 3},
    "shares": [{"team": "vision", "granted": {"nvidia.com/gpu": 8}, "busy": {"nvidia.com/gpu": 3}}],
    "decision": {"message": "All 8 GPUs."},
    "conditions": [
        {
            "type": "Granted",
            "status": "True",
            "lastTransitionTime": "2030-01-07T12:00:00Z",
            "reason": "Granted",
            "message": "All 8 GPUs.",
        },
        {
            "type": "UnderUsed",
            "status": "True",
            "lastTransitionTime": "2030-01-07T12:00:00Z",
            "reason": "Unheld",
            "message": "Efficiency 40 %.",
        },
    ],
}


def test_the_newest_change_of_a_condition_tells_when_something_was_written() -> None:
    assert memo(STATUS).written == "2030-01-07T12:00:00Z"
    assert memo({}).written == ""


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    status = copy.deepcopy(STATUS)
    holder: Any = status
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return status


MEASURED: list[tuple[tuple[str | int, ...], Any]] = [
    (("busy",), 4),
    (("efficiency",), 41),
    (("activity",), 51),
    (("coverage",), 97),
    (("summary", "busy"), 4),
    (("shares", 0, "busy"), {"nvidia.com/gpu": 4}),
    (("conditions", 1, "message"), "Efficiency 41 %."),
]
DECIDED: list[tuple[tuple[str | int, ...], Any]] = [
    (("granted",), 9),
    (("summary", "granted"), 9),
    (("shares", 0, "granted"), {"nvidia.com/gpu": 9}),
    (("decision", "message"), "All 9 GPUs."),
    (("conditions", 0, "message"), "All 9 GPUs."),
    (("conditions", 1, "status"), "False"),
    (("conditions", 1, "reason"), "Low"),
]


@pytest.mark.parametrize(("path", "value"), MEASURED)
def test_a_measured_number_is_another_status_and_the_same_decision(
    path: tuple[str | int, ...], value: Any
) -> None:
    before, after = memo(STATUS), memo(changed(*path, value=value))
    assert after.whole != before.whole
    assert after.decided == before.decided


@pytest.mark.parametrize(("path", "value"), DECIDED)
def test_everything_else_is_another_decision(path: tuple[str | int, ...], value: Any) -> None:
    before, after = memo(STATUS), memo(changed(*path, value=value))
    assert after.whole != before.whole
    assert after.decided != before.decided


def test_the_order_of_keys_is_no_difference() -> None:
    assert memo(dict(reversed(STATUS.items()))) == memo(STATUS)


def test_a_new_status_builds_on_the_conditions_and_their_times() -> None:
    assert memo(STATUS).before == {
        "conditions": [
            {"type": "Granted", "status": "True", "lastTransitionTime": "2030-01-07T12:00:00Z"},
            {"type": "UnderUsed", "status": "True", "lastTransitionTime": "2030-01-07T12:00:00Z"},
        ]
    }


def test_a_status_that_was_never_written_is_a_memory_too() -> None:
    assert memo({}).before == {"conditions": []}
    assert memo({}) != memo(STATUS)


def test_the_sentences_of_steering_carry_rates_and_its_numbers_are_decisions() -> None:
    def told(floor: int, text: str) -> str:
        rejected = [{"alternative": "floor 9", "reason": "AboveCeiling", "message": text}]
        return memo(
            {"decision": {"floor": floor, "pace": "Save", "message": text, "rejected": rejected}}
        ).decided

    assert told(1, "3 requests/s") == told(1, "4 requests/s")
    assert told(1, "3 requests/s") != told(2, "3 requests/s")

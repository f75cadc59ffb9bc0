"""Conditions keep their transition time unless their status changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gpupool.api.v1alpha1 import Condition, ConditionStatus
from gpupool.api.v1alpha1.conditions import find_condition, set_condition, shorten

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def ready(
    before: list[dict[str, Any]], *, status: str | bool, now: datetime, message: str = "m"
) -> list[dict[str, Any]]:
    return set_condition(
        before, type_="Ready", status=status, reason="Reason", message=message, generation=4, now=now
    )


def test_a_new_condition_carries_the_generation_and_the_time() -> None:
    assert ready([], status=True, now=NOW) == [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 4,
            "lastTransitionTime": "2026-07-01T12:00:00Z",
            "reason": "Reason",
            "message": "m",
        }
    ]


def test_the_transition_time_stays_while_the_status_does() -> None:
    after = ready(ready([], status=True, now=NOW), status=True, now=LATER, message="other words")
    assert after[0]["lastTransitionTime"] == "2026-07-01T12:00:00Z"
    assert after[0]["message"] == "other words"


@pytest.mark.parametrize("status", [False, ConditionStatus.FALSE, "Unknown"])
def test_the_transition_time_moves_when_the_status_flips(status: Any) -> None:
    after = ready(ready([], status=True, now=NOW), status=status, now=LATER)
    assert after[0]["lastTransitionTime"] == "2026-07-01T13:00:00Z"
    assert after[0]["status"] == str(status)


def test_a_status_outside_the_three_is_refused() -> None:
    with pytest.raises(ValueError, match="Maybe"):
        ready([], status="Maybe", now=NOW)


def test_other_conditions_stay_and_the_order_is_by_type() -> None:
    before: list[dict[str, Any]] = [{"type": "Zeta", "status": "True"}, {"type": "Alpha", "status": "False"}]
    after = ready(before, status=True, now=NOW)
    assert [condition["type"] for condition in after] == ["Alpha", "Ready", "Zeta"]
    assert [condition["type"] for condition in before] == ["Zeta", "Alpha"]


def test_a_long_message_is_cut_with_an_ellipsis() -> None:
    message = ready([], status=True, now=NOW, message="x" * 2000)[0]["message"]
    assert len(message) == 1024
    assert message.endswith("x…")
    assert shorten("short") == "short"


def test_a_condition_is_found_by_its_type() -> None:
    conditions = ready([], status=True, now=NOW)
    assert find_condition(conditions, "Ready") == conditions[0]
    assert find_condition(conditions, "Conflict") is None


def test_what_is_set_is_a_condition_of_the_api() -> None:
    model = Condition.model_validate(ready([], status=False, now=NOW)[0])
    assert model.last_transition_time == NOW
    assert model.status is ConditionStatus.FALSE

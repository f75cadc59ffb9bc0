"""The one place where conditions are set."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gpupool.api.v1alpha1.base import write_time
from gpupool.api.v1alpha1.common import ConditionStatus

MAX_MESSAGE = 1024


def shorten(text: str) -> str:
    """Return the text, cut with an ellipsis where it is longer than a message may be."""
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def set_condition(
    conditions: Sequence[Mapping[str, Any]],
    *,
    type_: str,
    status: str | bool,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the conditions with one of them set, sorted by type; the given list is left as it is.

    Args:
        conditions: Conditions as JSON objects, as they stand in status.
        type_: Condition to set, such as `Ready`.
        status: The new status: a bool, or `True`, `False` or `Unknown`.
        reason: Machine reason in one word.
        message: Sentence for people; cut at 1024 characters.
        generation: `metadata.generation` of the spec that was judged.
        now: Time of the judgement. It becomes `lastTransitionTime` only where the status changes.

    Raises:
        ValueError: The status is none of the three.
    """
    wanted = ConditionStatus(str(status))
    old = find_condition(conditions, type_)
    same = old is not None and old.get("status") == wanted.value and bool(old.get("lastTransitionTime"))
    fresh = {
        "type": type_,
        "status": wanted.value,
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and same else write_time(now),
        "reason": reason,
        "message": shorten(message),
    }
    others = [dict(condition) for condition in conditions if condition.get("type") != type_]
    return sorted([*others, fresh], key=lambda condition: str(condition["type"]))


def find_condition(conditions: Sequence[Mapping[str, Any]], type_: str) -> Mapping[str, Any] | None:
    """Return the named condition, or None."""
    return next((condition for condition in conditions if condition.get("type") == type_), None)

"""What our ResourceQuota carries beside its numbers: timers, the implicit grant, the writer's epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Timer

QUOTA_NAME = "gpupool"
REQUESTS = "requests."
TIMERS = "gpupool.dev/timers"
IMPLICIT = "gpupool.dev/implicit"
EPOCH = "gpupool.dev/epoch"


def read_json(text: str) -> dict[str, Any]:
    """An annotation of ours; what somebody broke by hand counts as not written."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_timers(text: str) -> dict[str, Timer]:
    """Timers by request name; an entry that cannot be read counts as not written."""
    return {name: t for name, raw in read_json(text).items() if (t := _timer(raw)) is not None}


def _timer(raw: Any) -> Timer | None:
    try:
        return Timer(
            stage=Stage(raw["stage"]),
            since=datetime.fromisoformat(raw["since"]),
            deadline=_moment(raw.get("deadline")),
            target=raw.get("target"),
            forced_at=_moment(raw.get("forcedAt")),
            workload=raw.get("workload", ""),
            granted=raw.get("granted"),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def write_timers(timers: Mapping[str, Timer]) -> str:
    """Timers as compact JSON with sorted keys: the same text for the same timers."""
    rows = {name: _row(timer) for name, timer in timers.items()}
    return json.dumps(rows, sort_keys=True, separators=(",", ":"))


def _row(timer: Timer) -> dict[str, Any]:
    row = {
        "stage": timer.stage.value,
        "since": timer.since.isoformat(),
        "deadline": timer.deadline.isoformat() if timer.deadline else None,
        "target": timer.target,
        "forcedAt": timer.forced_at.isoformat() if timer.forced_at else None,
        "workload": timer.workload or None,
        "granted": timer.granted,
    }
    return {k: v for k, v in row.items() if v is not None}

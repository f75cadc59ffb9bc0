"""The recorded night and morning of the second act, and how it is played.

`day.csv` has 12 hours of one client, a row for each 10 minutes: requests/s of client 142 of `m-large`
(ServeGen, github.com/alibaba/ServeGen, Apache-2.0), from 00:00 of its sixth day on.
"""

import csv
import gzip
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("day.csv")
SET: Final = "day"
CLIENT: Final = "142"
TRACE: Final = f"trace:{SET}/{CLIENT}"

SPEED: Final = 10.0
"""Seconds of the engines in one of the world: what is counted by requests is sure ten times as soon."""

SECONDS: Final = 84.0
"""Of the world, in which the day is played: an hour takes seven."""

HOURS: Final = 12
BEGINS: Final = 0
"""Minute of the recorded day."""

REST: Final = 30
"""Further steps in which its last rate is played on."""


def rates() -> tuple[float, ...]:
    """Requests/s, step by step."""
    with FILE.open(newline="", encoding="utf-8") as lines:
        return tuple(float(row["requests_per_second"]) for row in csv.DictReader(lines))


def write(folder: Path) -> Path:
    """The trace for the engines, so much shorter that it lasts `SECONDS`."""
    found = rates()
    step = SECONDS * SPEED / len(found)
    file = folder / f"{SET}.csv.gz"
    with gzip.open(file, "wt", newline="", encoding="utf-8") as text:
        rows = csv.writer(text)
        rows.writerow(("t_s", "pod", "value"))
        played = (*found, *found[-1:] * REST)
        rows.writerows((f"{number * step:.3f}", CLIENT, rate) for number, rate in enumerate(played))
    return file


def clock(seconds: float) -> str:
    """Time of the recorded day after so many seconds of the act."""
    minutes = BEGINS + int(min(max(0.0, seconds / SECONDS), 1.0) * HOURS * 60)
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"

"""Log lines for machines: one JSON object a line, a constant message and keys."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final, TextIO

from typing_extensions import override

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

log = logging.getLogger("gpupool.cycle")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the record's own keys."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all log lines of the process to a stream (stderr), from a level on; replaces other handlers.

    Args:
        level: a key of LEVELS.
        stream: where to.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request would drown ours


@dataclass(frozen=True, slots=True)
class CycleLine:
    """The one line of a cycle.

    Attributes:
        pool: which pool.
        cycle: id of the cycle.
        result: `ok`, or `incomplete` where a write failed.
        durations: seconds by step.
        counts: what was looked at and done (nodes, pods, requests, actions, writes, refusals, ...).
        fresh: whether use was measured freshly.
        problem: if not, why.
    """

    pool: str
    cycle: str
    result: str
    durations: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    fresh: bool = False
    problem: str = ""


def cycle_line(line: CycleLine) -> None:
    """Write the canonical line of a cycle, with durations in milliseconds."""
    keys = asdict(line)
    keys["durations"] = {step: round(seconds * 1000, 1) for step, seconds in line.durations.items()}
    log.log(logging.INFO if line.result == "ok" else logging.WARNING, "cycle", extra=keys)

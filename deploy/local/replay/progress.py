"""A bar with the trace's clock: live at a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from localplane.progress import say

LINE_SECONDS: Final = 30.0


@contextmanager
def trace_bar(length: float) -> Iterator[Callable[[float], None]]:
    """Show how far the trace is.

    Args:
        length: trace seconds in all.

    Yields:
        A function that takes the trace second.
    """
    if sys.stdout.isatty():
        columns = (TextColumn("  {task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task(clock(0.0, length), total=length)
            yield lambda at: progress.update(task, completed=max(0.0, at), description=clock(at, length))
        return
    yield _Lines(length)


class _Lines:
    """The bar of a log file."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._next = 0.0

    def __call__(self, at: float) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LINE_SECONDS
            share = max(0.0, at) / self._length
            say(f"  [{'#' * int(30 * share):<30}] {100 * share:3.0f} %  {clock(at, self._length)}")


def clock(at: float, length: float) -> str:
    """`trace 03:25 of 22:49`, in hours and minutes."""
    return f"trace {_hours(max(0.0, at))} of {_hours(length)}"


def _hours(seconds: float) -> str:
    minutes = int(seconds / 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"

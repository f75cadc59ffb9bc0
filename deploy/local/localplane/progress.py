"""Progress that a person can follow: a live table at a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.status import Status

HEARTBEAT_SECONDS: Final = 20.0
"""A plain log shows a line at least this often while a step runs."""

LIVE_SECONDS: Final = 0.25


class Step:
    """One running step: its name, what it is doing now, and since when."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.detail = ""
        self.result = ""
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._began

    def line(self) -> str:
        """Name, seconds so far and detail, as one line."""
        detail = f"  {self.detail}" if self.detail else ""
        return f"{self.name:<24} {self.seconds:6.1f}s{detail}"


def say(text: str) -> None:
    """One line of talk, flushed at once."""
    print(text, flush=True)


@contextmanager
def step(name: str, *, quiet: bool = False) -> Iterator[Step]:
    """Show a step while the block runs, and its result afterwards.

    Args:
        name: What is being done, for example the program's name.
        quiet: Say nothing; tests use it.

    Yields:
        The step; set `detail` while working and `result` for the closing line.
    """
    current = Step(name)
    if quiet:
        yield current
        return
    if sys.stdout.isatty():
        status = Status(current.line(), console=Console())
        with status, _every(LIVE_SECONDS, lambda: status.update(current.line())):
            yield current
    else:
        with _every(HEARTBEAT_SECONDS, lambda: say(f"  ... {current.line()}")):
            yield current
    say(f"  {name:<24} {current.seconds:6.1f}s  {current.result or 'done'}")


@contextmanager
def _every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

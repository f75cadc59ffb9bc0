"""The story on the terminal: numbered scenes, the commands a person would type, one line per expectation."""

import re
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from demo.reading import ExpectationError, Look, Reading, wait_for

WIDTH: Final = 100
WHAT_WIDTH: Final = 43
SLOW_SECONDS: Final = 0.95
"""Waits shorter than this are not worth a number."""

HEARTBEAT_SECONDS: Final = 10.0
DEFAULT_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Mark:
    """When a scene began, for the picture."""

    number: int
    title: str
    at: float
    """Seconds since the epoch."""


class Narrator:
    """Tells the story; every tick stands for something that was read back."""

    def __init__(self, console: Console | None = None) -> None:
        plain = Console()
        self.console = console or Console(
            width=min(plain.width, WIDTH) if plain.is_terminal else WIDTH, highlight=False
        )
        self.marks: list[Mark] = []
        self.kept = 0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._began

    def scene(self, title: str, words: str) -> None:
        """Open the next scene."""
        number = len(self.marks) + 1
        self.marks.append(Mark(number, title, time.time()))
        clock = f"{int(self.seconds) // 60}:{int(self.seconds) % 60:02}"
        heading = Text(f"{number:>2}  {title}", style="bold cyan")
        heading.pad_right(self.console.width - heading.cell_len - len(clock))
        self.console.print()
        self.console.print(heading.append(clock, style="dim"))
        self.say(words)

    def say(self, words: str) -> None:
        """Words between the lines."""
        for line in textwrap.wrap(" ".join(words.split()), self.console.width - 4):
            self.console.print(Text(f"    {line}", style="italic"))

    def command(self, text: str) -> None:
        """What a person types to do this."""
        lines = textwrap.wrap(text, self.console.width - 8, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(lines):
            end = " \\" if number < len(lines) - 1 else ""
            self.console.print(Text(f"    {'$ ' if not number else '    '}{line}{end}", style="yellow"))

    def show(self, table: str, *without: str) -> None:
        """A table that a command printed, less the columns there is no room for."""
        lines = table.rstrip().splitlines()
        starts = [found.start() for found in re.finditer(r"\S+", lines[0])]
        spans = list(zip(starts, [*starts[1:], None], strict=True))
        spans = [(first, end) for first, end in spans if lines[0][first:end].strip() not in without]
        for line in lines:
            text = "".join(line[first:end] for first, end in spans).rstrip()
            self.console.print(Text(f"      {text}", style="dim"), no_wrap=True, overflow="ellipsis")
        if without:
            self.console.print(Text(f"      (without {', '.join(without)})", style="dim"))

    def expect(self, what: str, look: Look, seconds: float = DEFAULT_SECONDS) -> None:
        """Wait until something is as the story says, and show what was read.

        Raises:
            ExpectationError: It was not so within the limit.
        """
        began = time.monotonic()
        try:
            with self._waiting(what) as tell:
                reading = wait_for(what, look, seconds, tell)
        except ExpectationError as error:
            self._line("✗", "bold red", what, error.reading.text, time.monotonic() - began)
            raise
        self.kept += 1
        self._line("✓", "bold green", what, reading.text, time.monotonic() - began)

    def _line(self, sign: str, style: str, what: str, read: str, seconds: float) -> None:
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(width=1)
        row.add_column(width=WHAT_WIDTH)
        row.add_column(ratio=1, overflow="fold")
        row.add_column(width=5, justify="right")
        took = f"{seconds:.0f}s" if seconds >= SLOW_SECONDS else ""
        row.add_row(Text(sign, style), Text(what), Text(read, "cyan"), Text(took, "dim"))
        self.console.print(Padding(row, (0, 0, 0, 4)))

    @contextmanager
    def _waiting(self, what: str) -> "Iterator[_Tell]":
        if not self.console.is_terminal:
            yield _Tell(self.console, what, None)
            return
        with Status(f"    {what}", console=self.console) as status:
            yield _Tell(self.console, what, status)


class _Tell:
    """Shows what is being waited for: a spinner at a terminal, now and then a line elsewhere."""

    def __init__(self, console: Console, what: str, status: Status | None) -> None:
        self._console = console
        self._what = what
        self._status = status
        self._began = self._told = time.monotonic()

    def __call__(self, reading: Reading) -> None:
        now = time.monotonic()
        text = Text(f"{self._what} ({now - self._began:.0f}s; now: {reading.text})")
        if self._status is not None:
            text.truncate(self._console.width - 4, overflow="ellipsis")
            self._status.update(text)
        elif now - self._told >= HEARTBEAT_SECONDS:
            self._told = now
            text.truncate(self._console.width - 8, overflow="ellipsis")
            self._console.print(Text("    … ").append_text(text))

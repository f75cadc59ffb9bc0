"""Detached processes that can be found again, and never mistaken for another.

A process is known by its pid *and* the kernel's start time: a recycled pid is somebody else's and is
never signalled. Every process carries the directory of its cluster in the environment variable MARK, so
that what a killed command forgot to record can still be swept.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARK: Final = "GPUPOOL_PLANE"
POD_MARK: Final = "GPUPOOL_PLANE_POD"
"""Beside MARK in the processes that the runner starts for pods."""

POLL_SECONDS: Final = 0.05
KILL_SECONDS: Final = 10.0

_STATE = 0
_THREADS = 17
_START_TICKS = 19
"""Positions in /proc/PID/stat counted after the command's closing parenthesis."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process, named so that a recycled pid is not it."""

    pid: int
    started: int
    """Clock ticks between the machine's boot and the start of the process."""

    @property
    def alive(self) -> bool:
        """Whether it still runs (frozen counts as running, a zombie does not).

        A zombie whose other threads have not ended yet still has its ports and files.
        """
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # reaps it where it is our own child
        fields = _stat(self.pid)
        if fields is None or int(fields[_START_TICKS]) != self.started:
            return False
        return fields[_STATE] not in "ZX" or int(fields[_THREADS]) > 1

    @property
    def frozen(self) -> bool:
        """Whether it is stopped by SIGSTOP."""
        return self.alive and is_frozen(self.pid)

    def variable(self, name: str) -> str:
        """Value of one variable of its environment; empty where it has none."""
        with suppress(OSError):
            for entry in (Path("/proc") / str(self.pid) / "environ").read_bytes().split(b"\0"):
                if entry.startswith(f"{name}=".encode()):
                    return entry.decode().partition("=")[2]
        return ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group, if this process still lives."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(os.getpgid(self.pid), number)

    def stop(self, seconds: float) -> None:
        """End the process group: TERM, then KILL after `seconds`.

        Raises:
            TimeoutError: It outlived the KILL as well.
        """
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a frozen process sees TERM only once it is thawed
        if not wait_until(lambda: not self.alive, seconds):
            self.kill()

    def kill(self) -> None:
        """KILL the process group and wait until it is gone.

        Raises:
            TimeoutError: The kernel did not end it within KILL_SECONDS.
        """
        self.signal(signal.SIGKILL)
        if not wait_until(lambda: not self.alive, KILL_SECONDS):
            raise TimeoutError(f"process {self.pid} survives SIGKILL")


def identify(pid: int) -> Process | None:
    """The process that has this pid now."""
    fields = _stat(pid)
    return Process(pid, int(fields[_START_TICKS])) if fields else None


def is_frozen(pid: int) -> bool:
    """Whether the process that has this pid now is stopped; never reaps it."""
    fields = _stat(pid)
    return fields is not None and fields[_STATE] == "T"


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """Start a detached process in a session of its own, appending its output to a log file.

    Raises:
        OSError: The program does not exist or may not be run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], list(command), dict(environment), file_actions=actions, setsid=True)
    process = identify(pid)
    return process or Process(pid, -1)  # ended already: a start time no process has


def marked(directory: Path, *, pods_only: bool = False) -> Iterator[Process]:
    """Every live process that carries this cluster's mark (and that of a pod, if asked)."""
    wanted = f"{POD_MARK if pods_only else MARK}={directory}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                process = identify(int(entry.name))
                if process is not None and process.alive:
                    yield process


def wait_until(condition: Callable[[], bool], seconds: float, every: float = POLL_SECONDS) -> bool:
    """Poll until the condition holds; False when `seconds` have passed without it."""
    deadline = time.monotonic() + seconds
    while True:
        if condition():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()

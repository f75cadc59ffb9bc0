"""Start, stop and check the processes of one cluster; every change is recorded before it matters."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from localplane.errors import PartError
from localplane.parts import Part, parts_of
from localplane.paths import CHECKOUT, Layout
from localplane.processes import MARK, POLL_SECONDS, Process, marked, spawn, wait_until
from localplane.state import State
from localplane.toolchain import Toolchain

TAIL_LINES: Final = 15
KEPT_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR")


def environment(layout: Layout) -> dict[str, str]:
    """The environment of every part: little from ours, our package, and the mark of this cluster."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "PYTHONPATH": str(CHECKOUT / "deploy" / "local"), MARK: str(layout.root)}


def log_file(layout: Layout, name: str) -> Path:
    """The log of a part."""
    return layout.logs / f"{name}.log"


def start_missing(layout: Layout, state: State, tools: Toolchain, on_progress: Callable[[str], None]) -> None:
    """Start all parts that neither run nor are held, and wait until each answers.

    A part whose prerequisite is held down is left as it is. `on_progress` hears what is waited for.

    Raises:
        PartError: A part died or did not become ready in time.
    """
    parts = [part for part in parts_of(state.options) if part.name not in state.holds]
    waiting = [part for part in parts if not set(part.after) & set(state.holds)]
    ready = {name for part in parts for name in part.after if state.options.kind}
    began: dict[str, float] = {}
    while waiting:
        for part in list(waiting):
            if part.name not in began and set(part.after) <= ready:
                began[part.name] = time.monotonic()
                ensure_running(layout, state, tools, part)
            elif part.name in began and part.ready(layout, state):
                ready.add(part.name)
                waiting.remove(part)
            elif part.name in began:
                _still_starting(layout, state, part, time.monotonic() - began[part.name])
        on_progress("waiting for " + ", ".join(part.name for part in waiting))
        time.sleep(POLL_SECONDS)


def ensure_running(layout: Layout, state: State, tools: Toolchain, part: Part) -> None:
    """Start a part unless its process lives; one that was frozen is thawed."""
    process = state.processes.get(part.name)
    if process is not None and process.alive:
        process.signal(signal.SIGCONT)
        return
    command = part.command(layout, state, tools)
    log = log_file(layout, part.name)
    with log.open("a") as file:
        file.write(f"--- {' '.join(command)}\n")
    state.processes[part.name] = spawn(command, log, environment(layout))
    state.save(layout.state)


def wait_ready(layout: Layout, state: State, part: Part) -> None:
    """Wait until a started part answers.

    Raises:
        PartError: It died or did not answer in time.
    """
    began = time.monotonic()
    while not part.ready(layout, state):
        _still_starting(layout, state, part, time.monotonic() - began)
        time.sleep(POLL_SECONDS)


def hold(state: State, part: Part, number: signal.Signals) -> None:
    """Freeze (STOP) or end (TERM, KILL) a part; the caller has recorded the hold already."""
    process = state.processes.get(part.name)
    if process is None or not process.alive:
        return
    if number == signal.SIGSTOP:
        process.signal(number)
        wait_until(lambda: process.frozen, part.stop_seconds)
    elif number == signal.SIGKILL:
        process.kill()
    else:
        process.stop(part.stop_seconds)


def kill_everything(layout: Layout, recorded: Iterable[Process]) -> None:
    """KILL every process of the cluster, recorded or only marked; nothing of it is worth saving."""
    victims = {*recorded, *marked(layout.root)}
    for process in victims:
        process.signal(signal.SIGKILL)
    for process in victims:
        process.kill()
    # A dying runner may have started one more container between the two looks.
    for process in marked(layout.root):
        process.kill()


def _still_starting(layout: Layout, state: State, part: Part, seconds: float) -> None:
    if not state.processes[part.name].alive:
        raise PartError(f"{part.name} ended while it started\n{_tail(log_file(layout, part.name))}")
    if seconds > part.start_seconds:
        text = f"{part.name} did not become ready within {part.start_seconds:.0f} s"
        raise PartError(f"{text}\n{_tail(log_file(layout, part.name))}")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f"{log}:", *(f"  {line[:400]}" for line in lines)])

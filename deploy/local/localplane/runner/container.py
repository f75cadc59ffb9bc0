"""One container as a local process: started, probed, restarted with back-off, ended with grace."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localplane.processes import is_frozen
from localplane.runner.podspec import ContainerSpec, Json
from localplane.runner.probing import Prober

FIRST_BACKOFF: Final = 1.0
LONGEST_BACKOFF: Final = 30.0
CALM_SECONDS: Final = 60.0
"""A container that ran this long starts its back-off anew."""

CANNOT_START: Final = 127
LOST: Final = 137
"""Exit code of a run that ended with the runner that had started it (killed, as 128 + 9)."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything needed to start a container's process."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    log: Path
    ports: Mapping[str, int]
    """Container port (by name and by number as text) to the port it really listens on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended; times are seconds of the wall clock."""

    exit_code: int
    began: float
    ended: float

    @property
    def reason(self) -> str:
        """The word a kubelet uses."""
        return "Completed" if self.exit_code == 0 else "Error"


class Container:
    """The life of one container over all its runs."""

    def __init__(self, spec: ContainerSpec, restart_policy: str, grace: float, executor: Executor) -> None:
        self.spec = spec
        self.restarts = 0
        self.began = 0.0
        self.last: Ended | None = None
        self.finished = False
        """No further run will follow."""

        self._policy = restart_policy
        self._grace = grace
        self._executor = executor
        self._process: subprocess.Popen[bytes] | None = None
        self._probers: dict[str, Prober] = {}
        self._kill_at: float | None = None
        self._backoff = FIRST_BACKOFF
        self._start_at = 0.0
        self._held = False

    @property
    def pid(self) -> int | None:
        """Pid of the current run."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process exists (frozen included)."""
        return self._process is not None

    @property
    def waiting(self) -> bool:
        """Whether a next run is to come: the first one, or one after a back-off."""
        return not self.running and not self.finished and not self._held

    @property
    def started(self) -> bool:
        """Whether it runs and its startup probe has passed."""
        prober = self._probers.get("startup")
        return self.running and (prober is None or prober.passed)

    @property
    def ready(self) -> bool:
        """Whether it runs, has started, and its readiness probe says yes."""
        prober = self._probers.get("readiness")
        return self.started and self._kill_at is None and (prober is None or prober.passed)

    def resume(self, reported: Json) -> None:
        """Go on from what an earlier runner reported; whatever it had running is gone.

        Args:
            reported: The container's entry in the pod's status.
        """
        self.restarts = int(reported.get("restartCount", 0))
        ended = reported.get("state", {}).get("terminated")
        lost = "running" in reported.get("state", {})
        if ended or lost:
            moment = time.time()
            self.last = Ended(ended["exitCode"] if ended else LOST, moment, moment)
            self.finished = self._is_final(self.last.exit_code)

    def step(self, now: float, launch: Launch, hold: str) -> None:
        """Move on: notice an end, start a due run, probe, carry out a hold.

        Args:
            now: Wall clock, in seconds.
            launch: How to start the next run.
            hold: "" or the signal (TERM, KILL, STOP) that holds the operator down.
        """
        self._notice_end(now, hold)
        if self._process is not None:
            self._apply_hold(now, hold)
            self._probe(now, hold)
        elif not self.finished and hold in ("", "STOP") and now >= self._start_at:
            self._start(now, launch)

    def terminate(self, now: float) -> bool:
        """End the current run for good: TERM at the first call, KILL after the grace period.

        Returns:
            Whether nothing runs any more.
        """
        self.finished = True
        self._notice_end(now, "")
        if self._process is not None:
            self._end(now)
        return self._process is None

    def kill(self) -> None:
        """KILL the process group now and reap it."""
        self.finished = True
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(timeout=10)

    def _start(self, now: float, launch: Launch) -> None:
        if self.last is not None:
            self.restarts += 1
        self._held = False
        self.began = now
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with launch.log.open("ab") as log:
                self._process = subprocess.Popen(
                    launch.argv,
                    env=launch.environment,
                    cwd=launch.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            launch.log.write_text(f"cannot start {launch.argv[0]}: {error}\n")
            self._ended(now, CANNOT_START, "")
            return
        self._kill_at = None
        self._probers = {
            kind: Prober(probe, _port(probe.port, launch), self._executor, now)
            for kind, probe in (
                ("startup", self.spec.startup),
                ("readiness", self.spec.readiness),
                ("liveness", self.spec.liveness),
            )
            if probe is not None
        }

    def _notice_end(self, now: float, hold: str) -> None:
        if self._process is None:
            if self._held and hold in ("", "STOP"):
                self._held, self._start_at = False, now
            return
        code = self._process.poll()
        if code is not None:
            self._process = None
            self._ended(now, code if code >= 0 else 128 - code, hold)

    def _ended(self, now: float, code: int, hold: str) -> None:
        self._probers = {}
        self._kill_at = None
        self.last = Ended(code, self.began, now)
        self._held = hold in ("TERM", "KILL")
        self.finished = self.finished or self._is_final(code)
        if now - self.began >= CALM_SECONDS:
            self._backoff = FIRST_BACKOFF
        self._start_at = now + self._backoff
        self._backoff = min(2 * self._backoff, LONGEST_BACKOFF)

    def _is_final(self, code: int) -> bool:
        return self._policy == "Never" or (self._policy == "OnFailure" and code == 0)

    def _apply_hold(self, now: float, hold: str) -> None:
        if hold == "KILL":
            self._signal(signal.SIGKILL)
        elif hold == "TERM" or self._kill_at is not None:
            self._end(now)
        elif hold == "STOP" and not self._frozen():
            self._signal(signal.SIGSTOP)
        elif hold == "" and self._frozen():
            self._signal(signal.SIGCONT)

    def _probe(self, now: float, hold: str) -> None:
        for kind, prober in self._probers.items():
            if kind == "startup" or self.started:
                prober.step(now)
        if hold == "STOP":
            for kind in ("startup", "liveness"):
                if kind in self._probers:
                    self._probers[kind].forget_failures()
        elif any(self._probers[kind].failed for kind in ("startup", "liveness") if kind in self._probers):
            self._end(now)

    def _end(self, now: float) -> None:
        if self._kill_at is None:
            self._kill_at = now + self._grace
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
        elif now >= self._kill_at:
            self._signal(signal.SIGKILL)

    def _frozen(self) -> bool:
        return self._process is not None and is_frozen(self._process.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _port(name: str, launch: Launch) -> int:
    return launch.ports.get(name) or int(name)

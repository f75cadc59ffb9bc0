"""A container's life as the runner plays it: back-off, policies, holds, grace, probes."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest

from localplane.runner.container import FIRST_BACKOFF, LONGEST_BACKOFF, LOST, Container, Launch
from localplane.runner.podspec import ContainerSpec

SLEEPS = "import time\nwhile True: time.sleep(1)"
SPEC = ContainerSpec(name="main", image="gpupool:test", argv=(), env=(), mounts=(), ports={})


class Maker(Protocol):
    def __call__(self, policy: str, grace: float = 5) -> Container: ...


@pytest.fixture
def make() -> Iterator[Maker]:
    """Makes containers; none of them outlives the test."""
    containers: list[Container] = []
    with ThreadPoolExecutor(1) as executor:

        def make_one(policy: str, grace: float = 5) -> Container:
            containers.append(Container(SPEC, policy, grace, executor))
            return containers[-1]

        yield make_one
        for container in containers:
            container.kill()


def launch(script: str, directory: Path) -> Launch:
    return Launch((sys.executable, "-c", script), {}, directory, directory / "log", {})


def run_to_end(subject: Container, what: Launch, now: float, hold: str = "") -> None:
    """Step at a standing clock until the current run has ended."""
    subject.step(now, what, hold)
    deadline = time.monotonic() + 20
    while subject.running:
        assert time.monotonic() < deadline
        subject.step(now, what, hold)


@pytest.mark.parametrize(
    ("policy", "code", "finished"),
    [
        ("Always", 0, False),
        ("OnFailure", 0, True),
        ("OnFailure", 3, False),
        ("Never", 0, True),
        ("Never", 3, True),
    ],
)
def test_the_restart_policy_decides_whether_a_run_was_the_last(
    policy: str,
    code: int,
    finished: bool,
    make: Maker,
    tmp_path: Path,
) -> None:
    subject = make(policy)
    run_to_end(subject, launch(f"raise SystemExit({code})", tmp_path), 100.0)
    assert subject.last is not None
    assert (subject.last.exit_code, subject.finished, subject.waiting) == (code, finished, not finished)


def test_the_backoff_doubles_up_to_its_cap(make: Maker, tmp_path: Path) -> None:
    subject, crash = make("Always"), launch("raise SystemExit(1)", tmp_path)
    now, expected = 100.0, FIRST_BACKOFF
    run_to_end(subject, crash, now)
    for restarts in range(1, 8):
        subject.step(now + expected - 0.01, crash, "")
        assert not subject.running, f"started before its back-off of {expected} s was over"
        now += expected
        run_to_end(subject, crash, now)
        assert subject.restarts == restarts
        expected = min(2 * expected, LONGEST_BACKOFF)


def test_a_program_that_does_not_exist_ends_with_127_and_says_why(make: Maker, tmp_path: Path) -> None:
    subject = make("Never")
    subject.step(1.0, Launch(("/no/such/program",), {}, tmp_path, tmp_path / "log", {}), "")
    assert subject.last is not None
    assert subject.last.exit_code == 127
    assert "/no/such/program" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("hold", ["KILL", "TERM"])
def test_a_hold_ends_a_run_and_its_release_starts_the_next_at_once(
    hold: str, make: Maker, tmp_path: Path
) -> None:
    subject, sleeper = make("Always"), launch(SLEEPS, tmp_path)
    subject.step(1.0, sleeper, "")
    run_to_end(subject, sleeper, 2.0, hold)
    subject.step(1000.0, sleeper, hold)
    assert (subject.running, subject.waiting, subject.finished) == (False, False, False)
    subject.step(1000.0, sleeper, "")
    assert subject.running
    assert subject.restarts == 1


def test_a_process_that_ignores_term_is_killed_after_its_grace(make: Maker, tmp_path: Path) -> None:
    up = tmp_path / "up"
    script = "import signal,pathlib\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    script += f"pathlib.Path({str(up)!r}).touch()\n"
    subject = make("Always", grace=5)
    subject.step(1.0, launch(script + SLEEPS, tmp_path), "")
    deadline = time.monotonic() + 20
    while not up.exists():
        assert time.monotonic() < deadline
    assert not subject.terminate(10.0)
    assert not subject.terminate(14.9)
    assert subject.running
    while not subject.terminate(15.0):
        assert time.monotonic() < deadline
    assert subject.last is not None
    assert subject.last.exit_code == 137


def test_what_ran_under_a_lost_runner_counts_as_killed(make: Maker) -> None:
    job = make("Never")
    job.resume({"restartCount": 2, "state": {"running": {}}})
    assert job.finished
    assert job.last is not None
    assert job.last.exit_code == LOST
    server = make("Always")
    server.resume({"restartCount": 2, "state": {"running": {}}})
    assert server.waiting
    assert server.restarts == 2

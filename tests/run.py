"""`make test`: each part of the suite as a pytest of its own, with its time, and one sum at the end."""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PASSED = 0


@dataclass(frozen=True, slots=True)
class Part:
    """One pytest run."""

    name: str
    paths: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one part came to."""

    part: str
    seconds: float
    passed: int
    failed: int
    skipped: int


# The tables cover every branch of the core. One percent is left for branches that only the random histories
# reach: what they happen to visit must not make a run red.
COVERAGE = ("--cov", "--cov-branch", "--cov-report=term", "--cov-fail-under=99")
PARTS = (
    Part("unit", ("unit",), COVERAGE),
    Part("integration", ("integration",), ("--durations=10",)),
    Part("chart", ("chart",), ("--durations=5",)),
)


def main(names: list[str]) -> int:
    """Run all parts, or those named; returns 1 if anything failed."""
    unknown = set(names) - {part.name for part in PARTS}
    if unknown:
        say(f"no such part: {', '.join(sorted(unknown))}; parts: {', '.join(part.name for part in PARTS)}")
        return 2
    chosen = [part for part in PARTS if (not names or part.name in names) and has_tests(part)]
    outcomes = [run(part) for part in chosen]
    print_table(outcomes)
    return 1 if any(outcome.failed for outcome in outcomes) or not outcomes else 0


def has_tests(part: Part) -> bool:
    """Whether a part has a test file at all."""
    return any(next((TESTS / path).rglob("test_*.py"), None) for path in part.paths)


def run(part: Part) -> Outcome:
    """Run one part, its output going straight to the terminal."""
    say(f"\n=== {part.name} ===")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        paths = [str(TESTS / path) for path in part.paths]
        command = [sys.executable, "-m", "pytest", *paths, *part.options, f"--junitxml={report}"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        code = subprocess.run(command, cwd=TESTS.parent, env=environment, check=False).returncode
        return count(part.name, time.monotonic() - began, code, report)


def count(name: str, seconds: float, code: int, report: Path) -> Outcome:
    """Numbers of one run; one that went wrong without a failed test (coverage, a crash) counts as one."""
    if not report.exists():
        return Outcome(name, seconds, 0, 1, 0)
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - pytest wrote it a moment ago
    rows = [
        {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        for suite in suites
    ]
    failed = sum(row["failures"] + row["errors"] for row in rows)
    skipped = sum(row["skipped"] for row in rows)
    passed = sum(row["tests"] for row in rows) - failed - skipped
    return Outcome(name, seconds, max(passed, 0), failed or int(code != PASSED), skipped)


def print_table(outcomes: list[Outcome]) -> None:
    """The time of each part, and the sum as the last line."""
    say(f"\n{'part':<14}{'seconds':>9}{'passed':>9}{'failed':>9}{'skipped':>9}")
    for row in outcomes:
        say(f"{row.part:<14}{row.seconds:>9.1f}{row.passed:>9}{row.failed:>9}{row.skipped:>9}")
    seconds = sum(row.seconds for row in outcomes)
    passed, failed, skipped = (
        sum(getattr(row, key) for row in outcomes) for key in ("passed", "failed", "skipped")
    )
    say(f"{'all':<14}{seconds:>9.1f}{passed:>9}{failed:>9}{skipped:>9}")
    say(f"{passed} passed, {failed} failed, {skipped} skipped")


def say(text: str) -> None:
    """One line, flushed before a child process writes."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make test`: each part of the suite as a pytest of its own, with its time, and one sum at the end.

`make test-faults` is the same runner over the long forms of some parts (`--full`).

What fails beside others on a control plane is tried once more on a plane of its own, with nothing beside it:
a machine that is shared may be slow for a moment, and a defect fails again. Both are told. A law that was
broken is no matter of a slow moment: where one was, nothing is tried again.

The unit tests run alone, on every processor. The parts on control planes mostly wait for them, so three run
at a time, each on planes of its own; what a part prints is shown whole when it has ended.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PASSED = 0
LANES = 3
"""Parts on control planes at a time."""
PATIENCE = 60.0
"""Seconds between two lines about a part that goes on."""
REPORT = "report.xml"
FEW = 5
"""More failures than these are no matter of a moment: nothing is tried again."""
LAW = "LawBrokenError"
"""What fails with it fails for good (`support.verdict`)."""
REASON = 300
"""Characters of what a failed test said that the last lines repeat."""


@dataclass(frozen=True, slots=True)
class Part:
    """One pytest run.

    Attributes:
        name: as it is asked for: `python tests/run.py faults`.
        paths: files and folders below `tests/`.
        options: of pytest.
        without: folders that belong to other parts.
        alone: keeps the processors busy, so nothing runs beside it.
        variables: of its environment, beside ours.
    """

    name: str
    paths: tuple[str, ...]
    options: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    alone: bool = False
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def files(self) -> frozenset[Path]:
        """Its test files."""
        places = [TESTS / path for path in self.paths]
        found = {file for place in places for file in ([place] if place.suffix else place.rglob("test_*.py"))}
        return frozenset(
            f for f in found if not any((TESTS / folder) in f.parents for folder in self.without)
        )

    @property
    def environment(self) -> dict[str, str]:
        """Ours and its own, and nothing kept back in a buffer."""
        return {**os.environ, "PYTHONUNBUFFERED": "1", **dict(self.variables)}

    def command(self, scratch: Path, *more: str) -> list[str]:
        """The pytest call; it writes its results, and what failed, below `scratch`."""
        paths = [str(TESTS / path) for path in self.paths]
        ignored = [f"--ignore={TESTS / folder}" for folder in self.without]
        kept = ("-o", f"cache_dir={scratch / 'cache'}", f"--junitxml={scratch / REPORT}")
        return [sys.executable, "-m", "pytest", *paths, *ignored, *self.options, *kept, *more]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one part came to."""

    part: str
    seconds: float
    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...] = ()
    """Test and reason of each, of those too that passed at their second try."""
    again: int = 0
    """How many passed at their second try."""
    unlawful: int = 0
    """How many of the failures say that a law was broken."""


# The tables cover every branch of the core. One percent is left for branches that only the random histories
# reach: what they happen to visit must not make a run red.
COVERAGE = ("--cov", "--cov-branch", "--cov-report=term", "--cov-fail-under=99")
SPREAD = ("--numprocesses=auto", "--dist=worksteal")
SLOWEST = ("--durations=5",)
# A fixture of a package lives as long as the session, so each of these folders keeps its plane to the end of
# its part: no more than two beside each other.
FAULTS = ("integration/faults", "integration/outages")
TELEMETRY = ("integration/telemetry", "integration/leader")
ENDPOINTS = ("integration/slo",)
STEERING = ("integration/steering",)
GOVERNED = (
    "integration/operator",
    "integration/scenarios",
    "integration/brownfield",
    "integration/healing",
    "integration/attackers",
    "integration/manifests",
)
# The longest first, so that the lanes end at about the same time.
PARTS = (
    Part("unit", ("unit",), (*COVERAGE, *SPREAD), alone=True),
    Part("operator", GOVERNED, SLOWEST),
    Part(
        "integration",
        ("integration",),
        SLOWEST,
        without=(*FAULTS, *TELEMETRY, *GOVERNED, *ENDPOINTS, *STEERING),
    ),
    Part("steering", STEERING, SLOWEST),
    Part("endpoints", ENDPOINTS, SLOWEST),
    Part("chart", ("chart",), SLOWEST),
    Part("telemetry", TELEMETRY, SLOWEST),
    Part("faults", FAULTS, SLOWEST),
)
EVERYTHING = (("GPUPOOL_FAULTS", "full"),)
LONG_ENDPOINTS = (
    *(f"integration/slo/test_{name}.py" for name in ("outage", "diagnosis", "guide")),
    "integration/steering/test_pressed.py",
)
LONG = (
    Part(
        "laws",
        ("unit/simulator",),
        (*SPREAD, "--timeout=5400"),
        alone=True,
        variables=(("HYPOTHESIS_PROFILE", "faults"),),
    ),
    Part("faults", FAULTS, SLOWEST, variables=EVERYTHING),
    Part("endpoints", LONG_ENDPOINTS, SLOWEST, variables=EVERYTHING),
    # One rule taken away at a time, on two planes beside each other.
    Part("rights", ("chart/test_least_rbac.py",), ("--numprocesses=2", *SLOWEST), variables=EVERYTHING),
    Part("manifests", ("integration/manifests",), SLOWEST, variables=EVERYTHING),
    Part("gitops", ("chart/test_gitops.py",), SLOWEST, variables=EVERYTHING),
)


def main(words: list[str]) -> int:
    """Run all parts, or those named; of the long forms with `--full`. Returns 1 if anything failed."""
    parts, names = (LONG if "--full" in words else PARTS), set(words) - {"--full"}
    unknown = names - {part.name for part in parts}
    if unknown:
        say(f"no such part: {', '.join(sorted(unknown))}; parts: {', '.join(part.name for part in parts)}")
        return 2
    began = time.monotonic()
    chosen = [part for part in parts if (not names or part.name in names) and part.files]
    outcomes = [run(part) for part in chosen if part.alone]
    beside = [part for part in chosen if not part.alone]
    with tempfile.TemporaryDirectory() as scratch:
        places = [Path(scratch) / part.name for part in beside]
        with ThreadPoolExecutor(LANES) as lanes:
            found = list(lanes.map(run_beside, beside, places))
        outcomes += map(tried_again, beside, places, found)
    print_table(outcomes, time.monotonic() - began)
    return 1 if any(outcome.failed for outcome in outcomes) or not outcomes else 0


def run(part: Part) -> Outcome:
    """Run one part, its output going straight to the terminal."""
    say(f"\n=== {part.name} ===")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        command = part.command(Path(scratch))
        code = subprocess.run(command, cwd=TESTS.parent, env=part.environment, check=False).returncode
        return count(part.name, time.monotonic() - began, code, Path(scratch) / REPORT)


def tried_again(part: Part, scratch: Path, first: Outcome) -> Outcome:
    """Run the few tests that failed once more, alone; where all ran, what they came to counts.

    Not where a law was broken: a kill at another moment passes, and the law was broken all the same.
    """
    if not first.failures or first.failed > FEW or first.unlawful:
        return first
    say(f"\n=== {part.name}: once more, alone: {len(first.failures)} failed ===")
    began = time.monotonic()
    (scratch / REPORT).unlink()
    command = part.command(scratch, "--last-failed", "--last-failed-no-failures=none")
    code = subprocess.run(command, cwd=TESTS.parent, env=part.environment, check=False).returncode
    second = count(part.name, time.monotonic() - began, code, scratch / REPORT)
    return merged(first, second)


def merged(first: Outcome, second: Outcome) -> Outcome:
    """What both tries came to."""
    return Outcome(
        first.part,
        first.seconds + second.seconds,
        first.passed + second.passed,
        max(second.failed, first.failed - second.passed),
        first.skipped,
        (*first.failures, *(f"again: {failure}" for failure in second.failures)),
        second.passed,
        first.unlawful + second.unlawful,
    )


def run_beside(part: Part, scratch: Path) -> Outcome:
    """Run one part beside others: a line now and then, and its whole output at the end."""
    say(f"=== {part.name}: begins ({len(part.files)} files)")
    began = time.monotonic()
    scratch.mkdir()
    output = scratch / "output"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            part.command(scratch), cwd=TESTS.parent, env=part.environment, stdout=sink, stderr=sink
        )
        code = watched(part, process, output, began)
    show(f"\n=== {part.name} ===\n{output.read_text(errors='replace')}")
    return count(part.name, time.monotonic() - began, code, scratch / REPORT)


def watched(part: Part, process: "subprocess.Popen[bytes]", output: Path, began: float) -> int:
    """Wait for a part's end and say how far it is; returns its exit status."""
    while True:
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            percent = re.findall(r"\[ *(\d+)%\]", output.read_text(errors="replace"))
            say(f"=== {part.name}: {percent[-1] if percent else 0} % after {time.monotonic() - began:.0f} s")


def count(name: str, seconds: float, code: int, report: Path) -> Outcome:
    """Numbers of one run; one that went wrong without a failed test (coverage, a crash) counts as one."""
    if not report.exists():
        return Outcome(name, seconds, 0, 1, 0)
    root = ET.parse(report).getroot()  # noqa: S314 - pytest wrote it a moment ago
    rows = [
        {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        for suite in root.iter("testsuite")
    ]
    failed = sum(row["failures"] + row["errors"] for row in rows)
    skipped = sum(row["skipped"] for row in rows)
    passed = sum(row["tests"] for row in rows) - failed - skipped
    failures = tuple(reasons(root))
    failed = failed or int(code != PASSED)
    return Outcome(
        name, seconds, max(passed, 0), failed, skipped, failures, unlawful=sum(map(unlawful, wrongs(root)))
    )


def wrongs(root: ET.Element) -> Iterator[ET.Element]:
    """What failed in any test, or beside it, in its fixtures."""
    for case in root.iter("testcase"):
        yield from (*case.iter("failure"), *case.iter("error"))


def unlawful(wrong: ET.Element) -> bool:
    """Whether a law was broken; of several errors at a test's end only the whole text names each."""
    return LAW in (wrong.get("message") or "") or LAW in (wrong.text or "")


def reasons(root: ET.Element) -> Iterator[str]:
    """One line of each test that failed: where it is, and what it said."""
    for case in root.iter("testcase"):
        for what in wrongs(case):
            said = " ".join((what.get("message") or "").split())
            yield f"{case.get('classname')}::{case.get('name')}: {said[:REASON]}"


def print_table(outcomes: Sequence[Outcome], elapsed: float) -> None:
    """The time of each part and of the whole, and the sum as the last line."""
    say(f"\n{'part':<14}{'seconds':>9}{'passed':>9}{'failed':>9}{'skipped':>9}")
    for row in outcomes:
        say(f"{row.part:<14}{row.seconds:>9.1f}{row.passed:>9}{row.failed:>9}{row.skipped:>9}")
    passed, failed, skipped = (
        sum(getattr(row, key) for row in outcomes) for key in ("passed", "failed", "skipped")
    )
    say(f"{'all':<14}{elapsed:>9.1f}{passed:>9}{failed:>9}{skipped:>9}")
    for row in outcomes:
        for failure in row.failures:
            say(f"{row.part}: {failure}")
    if broken := sum(row.unlawful for row in outcomes):
        say(f"{broken} of the failures are broken laws, which no second try makes good")
    if again := sum(row.again for row in outcomes):
        say(f"{again} of those that passed did so at the second try, alone")
    say(f"{passed} passed, {failed} failed, {skipped} skipped")


_speaking = threading.Lock()


def say(text: str) -> None:
    """One line, flushed before a child process writes."""
    show(f"{text}\n")


def show(text: str) -> None:
    """A text that no other part's lines come between."""
    with _speaking:
        sys.stdout.write(text)
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make test` runs every test, and each of them once."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import run
from support.verdict import LawBrokenError

NOT_TESTS = frozenset({"benchmarks"})


def test_every_test_file_belongs_to_exactly_one_part() -> None:
    found = {
        file for file in run.TESTS.rglob("test_*.py") if file.relative_to(run.TESTS).parts[0] not in NOT_TESTS
    }
    taken = Counter(file for part in run.PARTS for file in part.files)
    assert found, "there are tests at all"
    assert (found - taken.keys(), {f for f, n in taken.items() if n > 1}) == (set(), set())


def test_a_part_leaves_to_others_what_is_theirs() -> None:
    rest = next(part for part in run.PARTS if part.name == "integration")
    asked = rest.command(run.TESTS)
    assert {f"--ignore={run.TESTS / folder}" for folder in rest.without} < set(asked)


def test_a_failed_test_is_named_with_its_reason_in_one_line() -> None:
    report = """<testsuites><testsuite tests="2" failures="1">
      <testcase classname="unit.test_a" name="test_one"/>
      <testcase classname="unit.test_a" name="test_two">
        <failure message="assert 1&#10;  == 2">long</failure></testcase>
    </testsuite></testsuites>"""
    assert list(run.reasons(ET.fromstring(report))) == ["unit.test_a::test_two: assert 1 == 2"]  # noqa: S314


def outcome(passed: int, failed: int, *failures: str) -> run.Outcome:
    return run.Outcome("faults", 10.0, passed, failed, 1, failures)


def test_what_passes_at_the_second_try_is_told_and_what_fails_twice_fails() -> None:
    first = outcome(7, 2, "a: slow", "b: wrong")
    both = run.merged(first, outcome(1, 1, "b: wrong"))
    assert (both.passed, both.failed, both.again) == (8, 1, 1)
    assert both.failures == ("a: slow", "b: wrong", "again: b: wrong")
    assert run.merged(first, outcome(2, 0)).failed == 0
    assert run.merged(first, outcome(0, 0)).failed == 2, "what did not run again did not pass"


def test_a_part_that_fails_altogether_is_not_tried_again(tmp_path: Path) -> None:
    part = next(part for part in run.PARTS if part.name == "faults")
    many = outcome(0, run.FEW + 1, *("x: broken",) * (run.FEW + 1))
    crashed = run.Outcome("faults", 1.0, 0, 1, 0)
    assert run.tried_again(part, tmp_path, many) is many
    assert run.tried_again(part, tmp_path, crashed) is crashed


BROKEN = """
import pytest
from support.verdict import law

@pytest.fixture
def judged():
    yield
    law(False, "oversold")

@pytest.fixture
def falls():
    yield
    raise ValueError("the stage falls")

def test_judged(judged): pass
def test_judged_and_more(judged, falls): pass
def test_slow(): assert False, "not within 60 s"
def test_law(): law([], "a notice was lost")
"""
"""Tests that fail in each way that there is: in themselves, after themselves, and twice after themselves."""


def written(folder: Path, text: str) -> Path:
    """The report that pytest writes about tests with this text."""
    file, report = folder / "test_broken.py", folder / run.REPORT
    file.write_text(text)
    settings = ("-c", str(run.TESTS.parent / "pyproject.toml"), "-p", "no:randomly", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", str(file), *settings, f"--junitxml={report}"]
    subprocess.run(command, cwd=run.TESTS.parent, check=False, capture_output=True)
    return report


def test_a_broken_law_is_found_in_the_report_wherever_it_was_raised(tmp_path: Path) -> None:
    assert LawBrokenError.__name__ == run.LAW
    found = run.count("faults", 1.0, 1, written(tmp_path, BROKEN))
    assert (found.failed, found.unlawful) == (4, 3)


def test_where_a_law_was_broken_nothing_is_tried_again(tmp_path: Path) -> None:
    part = next(part for part in run.PARTS if part.name == "faults")
    broken = run.Outcome("faults", 10.0, 7, 2, 1, ("a: slow", "b: oversold"), unlawful=1)
    assert run.tried_again(part, tmp_path, broken) is broken


def test_a_law_that_broke_at_the_second_try_is_told() -> None:
    second = run.Outcome("faults", 10.0, 0, 1, 0, ("a: oversold",), unlawful=1)
    both = run.merged(outcome(7, 1, "a: slow"), second)
    assert (both.failed, both.unlawful) == (1, 1)

"""`make test` runs every test, and each of them once."""

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import run

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

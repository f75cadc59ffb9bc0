"""`make test` runs every test, and each of them once."""

import xml.etree.ElementTree as ET
from collections import Counter

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
    asked = rest.command(run.TESTS / "report.xml")
    assert {f"--ignore={run.TESTS / folder}" for folder in rest.without} < set(asked)


def test_a_failed_test_is_named_with_its_reason_in_one_line() -> None:
    report = """<testsuites><testsuite tests="2" failures="1">
      <testcase classname="unit.test_a" name="test_one"/>
      <testcase classname="unit.test_a" name="test_two">
        <failure message="assert 1&#10;  == 2">long</failure></testcase>
    </testsuite></testsuites>"""
    assert list(run.reasons(ET.fromstring(report))) == ["unit.test_a::test_two: assert 1 == 2"]  # noqa: S314

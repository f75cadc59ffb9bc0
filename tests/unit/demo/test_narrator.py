"""The story's lines on a terminal of 100 columns, without one."""

import io

import pytest
from rich.console import Console

from demo.narrator import Narrator
from demo.reading import ExpectationError, Reading

LONG = "word " * 40
TABLE = """
NAMESPACE    NAME       PHASE     AGE
vision-lab   train-sam  Granted   5s
nlp-lab      finetune             5s
""".lstrip()


@pytest.fixture
def paper() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def narrator(paper: io.StringIO) -> Narrator:
    return Narrator(Console(file=paper, width=100, highlight=False))


def test_what_holds_is_ticked_and_counted(narrator: Narrator, paper: io.StringIO) -> None:
    narrator.expect("vision holds 20", lambda: Reading("held 20", holds=True))
    assert "✓ vision holds 20" in paper.getvalue()
    assert "held 20" in paper.getvalue()
    assert narrator.kept == 1


def test_what_does_not_hold_is_crossed_and_ends_the_story(narrator: Narrator, paper: io.StringIO) -> None:
    with pytest.raises(ExpectationError):
        narrator.expect("vision holds 20", lambda: Reading("held 8", holds=False), 0)
    assert "✗ vision holds 20" in paper.getvalue()
    assert narrator.kept == 0


def test_nothing_is_wider_than_the_paper_and_no_word_is_lost(narrator: Narrator, paper: io.StringIO) -> None:
    name = "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    narrator.scene("A scene", LONG)
    narrator.command(f"kubectl {LONG}")
    narrator.expect(LONG, lambda: Reading(name, holds=True))
    lines = paper.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 100
    assert name in "".join(line[50:94].strip() for line in lines)


def test_scenes_are_numbered_and_remembered(narrator: Narrator, paper: io.StringIO) -> None:
    narrator.scene("First", "words")
    narrator.scene("Second", "words")
    assert [(m.number, m.title) for m in narrator.marks] == [(1, "First"), (2, "Second")]
    assert narrator.marks[0].at <= narrator.marks[1].at
    assert " 2  Second" in paper.getvalue()


def test_a_table_loses_whole_columns_and_says_so(narrator: Narrator, paper: io.StringIO) -> None:
    narrator.show(TABLE, "NAME")
    lines = [line.strip() for line in paper.getvalue().splitlines()]
    assert [line.split() for line in lines[:3]] == [
        ["NAMESPACE", "PHASE", "AGE"],
        ["vision-lab", "Granted", "5s"],
        ["nlp-lab", "5s"],
    ]
    assert lines[3] == "(without NAME)"

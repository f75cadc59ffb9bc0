"""What an expectation says when it holds and when it does not."""

import httpx
import pytest

from demo.reading import ExpectationError, Reading, facts, says, wait_for
from localplane.kube import KubeError


def test_facts_show_what_was_read_and_hold_when_all_agree() -> None:
    look = facts(lambda: {"granted": 64, "held": 20, "other": 1}, granted=64, held=20)
    assert look() == Reading("granted 64, held 20", holds=True)


def test_facts_name_what_was_expected_instead() -> None:
    look = facts(dict[str, int], {"granted": 32}, granted=64, pods_running=2)
    assert look() == Reading(
        "granted 32, pods running nothing (expected granted 64, pods running 2)", holds=False
    )


def test_whole_numbers_of_prometheus_are_shown_whole() -> None:
    assert facts(lambda: {"up": 2.0, "load": 0.5}, up=2, load=0.5)().text == "up 2, load 0.5"


def test_a_sentence_must_contain_every_part() -> None:
    assert says(lambda: "80 usable - 64 committed", "80 usable", "64")().holds
    assert says(lambda: "", "80 usable")() == Reading("(nothing) (expected: 80 usable)", holds=False)


def test_waiting_ends_with_the_first_reading_that_holds() -> None:
    answers = iter([Reading("1", holds=False), Reading("2", holds=True)])
    waited: list[Reading] = []
    assert wait_for("two", lambda: next(answers), 5, waited.append).text == "2"
    assert [reading.text for reading in waited] == ["1"]


def test_waiting_in_vain_says_what_was_awaited_and_read_last() -> None:
    with pytest.raises(ExpectationError) as caught:
        wait_for("two", lambda: Reading("1", holds=False), 0, lambda _: None)
    assert (caught.value.what, caught.value.reading.text) == ("two", "1")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KubeError(404, "NotFound", "no such pool"), "the API server says: 404 NotFound: no such pool"),
        (httpx.ConnectError("refused"), "no answer: refused"),
    ],
)
def test_a_server_that_refuses_or_is_away_is_a_reading(error: Exception, said: str) -> None:
    def look() -> Reading:
        raise error

    with pytest.raises(ExpectationError) as caught:
        wait_for("an answer", look, 0, lambda _: None)
    assert caught.value.reading.text == said

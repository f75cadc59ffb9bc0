"""Durations are read and written the way users write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.api.v1alpha1 import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("90s", 90),
        ("1h30m", 5400),
        ("2w", 1_209_600),
        ("1d12h", 129_600),
        ("250ms", 0.25),
        ("0s", 0),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "h", "1.5h", "-5m", "1 h", "1H", "1us", "1h\n", "1y", None, 5, True]
)
def test_anything_else_is_refused_with_the_form_that_is_asked(text: object) -> None:
    with pytest.raises(ValueError, match="write whole numbers with ms, s, m, h, d or w"):
        parse_duration(text)


def test_a_duration_of_centuries_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 100 years: write a shorter duration"):
        parse_duration("99999999999999w")


def test_a_duration_already_read_passes_through() -> None:
    assert parse_duration(timedelta(minutes=3)) == timedelta(minutes=3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(hours=1), "1h"),
        (timedelta(seconds=5400), "1h30m"),
        (timedelta(days=15), "15d"),
        (timedelta(days=365) - timedelta(milliseconds=1), "31535999999ms"),
        (timedelta(milliseconds=1), "1ms"),
        (timedelta(), "0s"),
        (timedelta(seconds=-5), "0s"),
        (timedelta(microseconds=900), "0s"),
    ],
)
def test_a_duration_is_written_in_its_largest_units(value: timedelta, text: str) -> None:
    assert format_duration(value) == text


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_written_is_read_back_the_same(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value

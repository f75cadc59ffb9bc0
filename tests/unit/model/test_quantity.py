"""Quantities as numbers."""

import pytest

from gpupool.model.quantity import amount, higher, lower


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2.0),
        (2, 2.0),
        ("1500m", 1.5),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1Gi", 2.0**30),
        ("1.5Ki", 1536.0),
        ("2k", 2000.0),
        ("3e3", 3000.0),
        ("1E", 1e18),
        ("-1", -1.0),
        ("250u", 0.00025),
        ("many", None),
        ("", None),
        (None, None),
    ],
)
def test_a_quantity_is_a_number_or_none(text: object, number: float | None) -> None:
    found = amount(text)
    assert found == (None if number is None else pytest.approx(number))


def test_the_lower_and_the_higher_of_two() -> None:
    assert (lower("900m", "1"), lower("1", "900m")) == ("900m", "900m")
    assert (higher("900m", "1"), higher("1", "900m")) == ("1", "1")
    assert (lower("1", None), higher("1", None), lower("1", "x"), higher("1", "x")) == ("1",) * 4

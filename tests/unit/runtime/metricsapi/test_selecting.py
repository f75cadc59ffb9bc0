"""Label selectors as they stand in a query."""

import pytest

from gpupool.runtime.metricsapi.selecting import matches, requirements

LABELS = {"namespace": "vision", "slo": "chat"}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        (" ", True),
        ("slo=chat", True),
        ("slo==chat", True),
        ("slo = chat , namespace=vision", True),
        ("slo=code", False),
        ("slo=", False),
        ("slo!=code", True),
        ("slo!=chat", False),
        ("team!=a", True),
        ("slo in (code, chat),namespace=vision", True),
        ("slo in (code,tools)", False),
        ("slo notin (code,tools)", True),
        ("slo notin (chat)", False),
        ("slo", True),
        ("team", False),
        ("!team", True),
        ("!slo", False),
        ("slo=chat,namespace=lab", False),
    ],
)
def test_a_selector_selects(text: str, fits: bool) -> None:
    assert matches(requirements(text), LABELS) is fits


@pytest.mark.parametrize(
    "text", ["slo in (chat", "slo>1", ",", "slo=chat,", "slo=a=b", "in (a)", "slo in chat", "()"]
)
def test_what_is_none_is_refused_with_the_part(text: str) -> None:
    with pytest.raises(ValueError, match="labelSelector"):
        requirements(text)

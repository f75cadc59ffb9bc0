"""Label selectors, as Kubernetes defines them."""

import pytest

from gpupool.model.selector import Expression, Operator, Selector

LABELS = {"app": "train", "tier": "gpu"}


@pytest.mark.parametrize(
    ("selector", "matches", "text"),
    [
        (Selector(), False, ""),
        (Selector((("app", "train"),)), True, "app=train"),
        (Selector((("app", "other"),)), False, "app=other"),
        (Selector((), (Expression("tier", Operator.IN, ("cpu", "gpu")),)), True, "tier in (cpu,gpu)"),
        (Selector((), (Expression("zone", Operator.IN, ("a",)),)), False, "zone in (a)"),
        (Selector((), (Expression("tier", Operator.NOT_IN, ("gpu",)),)), False, "tier notin (gpu)"),
        (Selector((), (Expression("zone", Operator.NOT_IN, ("a",)),)), True, "zone notin (a)"),
        (Selector((), (Expression("tier", Operator.EXISTS),)), True, "tier"),
        (Selector((), (Expression("zone", Operator.EXISTS),)), False, "zone"),
        (Selector((), (Expression("zone", Operator.DOES_NOT_EXIST),)), True, "!zone"),
        (Selector((), (Expression("app", Operator.DOES_NOT_EXIST),)), False, "!app"),
        (Selector((("app", "train"),), (Expression("zone", Operator.EXISTS),)), False, "app=train,zone"),
    ],
)
def test_a_selector_matches_like_kubernetes_and_reads_as_text(
    selector: Selector, text: str, *, matches: bool
) -> None:
    assert selector.matches(LABELS) is matches
    assert str(selector) == text

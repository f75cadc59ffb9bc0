"""Actions read as text: logs and recommendations print them."""

import pytest

from gpupool.model.objects import Key
from gpupool.model.plan import Action, DropQuota, Evict, LabelNamespace, MarkNode, SetPolicies, SetQuota
from support.builders import GPU


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (
            SetQuota("vision", {GPU: 4, "a/b": 1}, {}, {}, "7", raises=False),
            "set quota vision: a/b=1, nvidia.com/gpu=4",
        ),
        (SetQuota("vision", {GPU: 4}, {}, {}, "7", raises=True), "raise quota vision: nvidia.com/gpu=4"),
        (DropQuota("vision"), "drop quota vision"),
        (LabelNamespace("vision", "lab"), "label namespace vision: lab"),
        (LabelNamespace("vision", None), "label namespace vision: none"),
        (MarkNode("n1", "lab", taint=True), "mark node n1: label lab, taint on"),
        (MarkNode("n1", None, taint=False), "mark node n1: label none, taint off"),
        (
            SetPolicies(enforce=True, recommend=("a", "b"), nodes_labelled=True, mutate=False),
            "policies: enforce=True recommend=2 mutate=False",
        ),
        (Evict(Key("vision", "p"), "uid", "train", force=False), "evict pod vision/p (request train)"),
        (Evict(Key("vision", "p"), "uid", "", force=True), "delete pod vision/p (request none)"),
    ],
)
def test_an_action_says_what_it_does(action: Action, text: str) -> None:
    assert str(action) == text

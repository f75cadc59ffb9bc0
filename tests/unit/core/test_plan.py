"""A plan says what it does: every action has its own line, for logs and for people."""

import pytest

from gpupool.model.plan import (
    Action,
    DropQuota,
    Evict,
    LabelNamespace,
    MarkNode,
    Plan,
    SetPolicies,
    SetQuota,
)
from gpupool.model.snapshot import Key
from support.builders import GPU

CASES: list[tuple[Action, str]] = [
    (SetQuota("vision", {GPU: 8}, {}, {}, "7", raises=True), f"raise quota vision: {GPU}=8"),
    (SetQuota("vision", {GPU: 4}, {}, {}, "7", raises=False), f"set quota vision: {GPU}=4"),
    (DropQuota("vision"), "drop quota vision"),
    (LabelNamespace("vision", "lab"), "label namespace vision: lab"),
    (LabelNamespace("vision", None), "label namespace vision: none"),
    (MarkNode("n1", "lab", taint=True), "mark node n1: label lab, taint on"),
    (MarkNode("n1", None, taint=False), "mark node n1: label none, taint off"),
    (
        SetPolicies(enforce=True, recommend=("a", "b"), nodes_labelled=True, mutate=False),
        "policies: enforce=True recommend=2 mutate=False",
    ),
    (Evict(Key("vision", "p1"), "u1", "train", force=False), "evict pod vision/p1 (request train)"),
    (Evict(Key("vision", "p1"), "u1", "", force=True), "delete pod vision/p1 (request none)"),
]


@pytest.mark.parametrize(("action", "line"), CASES, ids=[line for _, line in CASES])
def test_an_action_says_what_it_does(action: Action, line: str) -> None:
    assert str(action) == line


def test_a_plan_lists_its_actions() -> None:
    assert str(Plan("lab", tuple(a for a, _ in CASES[:2]))).splitlines() == [
        "pool lab: 2 actions",
        f"  raise quota vision: {GPU}=8",
        f"  set quota vision: {GPU}=4",
    ]

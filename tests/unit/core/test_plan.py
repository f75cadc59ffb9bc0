"""A plan says what it does."""

from gpupool.model.plan import DropQuota, LabelNamespace, Plan


def test_a_plan_lists_its_actions() -> None:
    plan = Plan("lab", (DropQuota("vision"), LabelNamespace("vision", None)))
    assert str(plan).splitlines() == [
        "pool lab: 2 actions",
        "  drop quota vision",
        "  label namespace vision: none",
    ]

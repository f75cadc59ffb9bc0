"""A pool is not enforced while a guard of the chart is open, and claims none that are switched off."""

from dataclasses import replace

import pytest

from gpupool.model.chartguards import ChartGuards, GuardBinding
from gpupool.model.enforcement import Enforcement
from gpupool.model.plan import Condition
from gpupool.model.pool import Mode
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from support.builders import a_pool, a_quota, a_share, a_snapshot, condition_of, nodes

USE = "gpupool-use"
STAND = ChartGuards((USE,), frozenset({USE}), {USE: GuardBinding(USE, denies=True)})
LOST = replace(STAND, bindings={})
SNAPSHOT = a_snapshot(
    a_pool(a_share("vision", 8)), nodes=nodes(), quotas={"vision": a_quota(0)}, labels={"vision": "lab"}
)


def enforced(guards: ChartGuards, snapshot: Snapshot = SNAPSHOT, *, probe: tuple[str, ...] = ()) -> Condition:
    facts = Enforcement(policies_current=True, probe=probe, bound=True, guards=guards)
    return condition_of(make_plan(replace(snapshot, enforcement=facts)), "Enforced")


def test_guards_that_stand_need_no_word() -> None:
    found = enforced(STAND)
    assert (found.status, found.message) == ("True", "Quotas, labels and policies were read back as written.")


def test_an_open_guard_is_named_with_what_brings_it_back() -> None:
    found = enforced(LOST)
    assert (found.status, found.reason) == ("False", "Open")
    assert found.message.startswith("Guards of the chart are open: gpupool-use (its binding is missing).")
    assert "`helm upgrade`" in found.message


def test_probes_that_were_let_in_are_named_beside_an_open_guard() -> None:
    found = enforced(LOST, probe=("node-name",))
    assert found.message.endswith("These attempts were not refused: node-name.")


def test_guards_that_are_switched_off_are_not_claimed() -> None:
    found = enforced(ChartGuards())
    assert found.status == "True"
    assert "The chart's guards are switched off (policies.enabled)" in found.message


@pytest.mark.parametrize(
    ("quota", "isolation", "reason"),
    [
        (Mode.ENFORCE, Mode.OBSERVE, "Open"),
        (Mode.OBSERVE, Mode.ENFORCE, "Open"),
        (Mode.OBSERVE, Mode.OBSERVE, "Enforce"),
    ],
)
def test_every_layer_that_enforces_needs_the_guards(quota: Mode, isolation: Mode, reason: str) -> None:
    pool = replace(SNAPSHOT.pool, quota_mode=quota, isolation_mode=isolation)
    assert enforced(LOST, replace(SNAPSHOT, pool=pool)).reason == reason

"""How fast replicas may move: from the budget, on top of what the HPA's owner chose."""

import json
from typing import Any

import pytest

from gpupool.model.slo import SloState
from gpupool.model.steering import Pace, canonical
from gpupool.policy.slo.budget import Alarm, Budget, Burn
from gpupool.policy.slo.pace import behaviour, pace


def left(remaining: float | None, long: float | None = 0.5, short: float | None = 0.5) -> Budget:
    return Budget(99.0, remaining, 100.0, 1000.0, (Burn(Alarm(3600, 300, 14.4), long, short),))


@pytest.mark.parametrize(
    ("state", "budgets", "found"),
    [
        (SloState.OK, [left(90)], Pace.SAVE),
        (SloState.NO_TRAFFIC, [left(90, None, None)], Pace.SAVE),
        (SloState.OK, [left(90), left(40)], Pace.STEADY),
        (SloState.OK, [left(90, 2.0)], Pace.STEADY),
        (SloState.OK, [], Pace.STEADY),
        (SloState.OK, [left(None)], Pace.STEADY),
        (SloState.OK, [left(90), left(-1, 2.0)], Pace.PROTECT),
        (SloState.OK, [left(90), left(-1)], Pace.STEADY),
        (SloState.OK, [left(90, 20, 20)], Pace.PROTECT),
        (SloState.STALE, [left(90)], Pace.HOLD),
        (SloState.MISSING, [left(-1)], Pace.HOLD),
        (SloState.PARTIAL, [left(90)], Pace.HOLD),
        (SloState.INVALID, [left(90)], Pace.HOLD),
        (SloState.UNSUPPORTED, [left(90)], Pace.HOLD),
    ],
)
def test_the_budget_sets_the_pace_and_what_is_not_known_holds(
    state: SloState, budgets: list[Budget], found: Pace
) -> None:
    assert pace(state, budgets) is found


OWN = {
    "scaleDown": {
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
        "selectPolicy": "Max",
        "stabilizationWindowSeconds": 600,
        "tolerance": "0",
    },
    "scaleUp": {
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
        "selectPolicy": "Max",
        "stabilizationWindowSeconds": 30,
    },
}


def made(wanted: Pace, theirs: Any = None) -> Any:
    return json.loads(behaviour(wanted, canonical(theirs)))


def test_a_steady_pace_is_the_owners_own() -> None:
    assert made(Pace.STEADY, OWN) == OWN


def test_a_rich_budget_lets_replicas_go_sooner_at_the_owners_rate() -> None:
    down = made(Pace.SAVE, OWN)["scaleDown"]
    assert down == {**OWN["scaleDown"], "stabilizationWindowSeconds": 120}
    short = {"scaleDown": {"stabilizationWindowSeconds": 10}}
    assert made(Pace.SAVE, short)["scaleDown"]["stabilizationWindowSeconds"] == 10


def test_a_burning_budget_brings_them_faster_and_lets_none_go() -> None:
    found = made(Pace.PROTECT, OWN)
    assert found["scaleDown"]["selectPolicy"] == "Disabled"
    assert found["scaleUp"]["policies"] == [{"type": "Pods", "value": 4, "periodSeconds": 60}]
    assert found["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_what_is_not_known_lets_none_go() -> None:
    found = made(Pace.HOLD, OWN)
    assert found["scaleDown"]["selectPolicy"] == "Disabled"
    assert found["scaleUp"] == OWN["scaleUp"]


def test_what_its_owner_disabled_stays_so() -> None:
    off = {"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Disabled"}}
    assert made(Pace.PROTECT, off)["scaleUp"]["selectPolicy"] == "Disabled"
    assert made(Pace.SAVE, off)["scaleDown"]["selectPolicy"] == "Disabled"


def test_without_a_behaviour_it_is_that_of_kubernetes() -> None:
    found = made(Pace.STEADY)
    assert found["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert found["scaleUp"]["policies"][0] == {"periodSeconds": 15, "type": "Pods", "value": 4}

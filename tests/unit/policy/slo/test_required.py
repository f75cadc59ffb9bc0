"""The number that a created HPA scales on."""

import pytest

from gpupool.model.steering import Decision, Pace
from gpupool.policy.slo.required import required


@pytest.mark.parametrize(
    ("pace", "value"), [(Pace.SAVE, 6), (Pace.STEADY, 6), (Pace.PROTECT, 6), (Pace.HOLD, None)]
)
def test_it_is_what_is_needed_and_nothing_while_users_are_not_seen(pace: Pace, value: int | None) -> None:
    assert required(Decision(3, 5, "MaxReplicas", "", pace, needed=6)) == value

"""One more where users miss objectives and no profile holds: a step a window, and only where it may help."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.diagnosis import Cause, Confidence, Diagnosis, Help
from gpupool.model.profile import Profile
from gpupool.model.signals import Started, Starting
from gpupool.policy.slo.diagnosis.situation import Situation
from gpupool.policy.slo.pressed import pressed
from support.signals import TTFT, a_profile, judged, seen, situation

MISSED = judged(TTFT, 0.5)
LIKELY = Diagnosis(Cause.DECODE_BOUND, Confidence.HIGH, Help.YES)


def missing(profile: Profile | None = None, **signals: Any) -> Situation:
    return situation(seen(**signals), MISSED, profile=profile)


def test_one_more_where_nothing_is_learned() -> None:
    found = pressed(missing(), LIKELY)
    assert found is not None
    assert found.replicas == 3
    assert found.why.startswith("objectives are missed with 2 replicas, and one more may help; ")
    assert found.why.endswith("what a replica carries is not learned yet")
    young = pressed(missing(a_profile(samples=9)), LIKELY)
    assert young == found


def test_a_profile_that_holds_knows_better_and_one_in_doubt_does_not() -> None:
    learned = missing(a_profile(samples=10))
    assert pressed(learned, LIKELY) is None
    found = pressed(replace(learned, doubt="output tokens are 750, 250 when it was learned"), LIKELY)
    assert found is not None
    assert found.replicas == 3
    assert found.why.endswith("; output tokens are 750, 250 when it was learned")


@pytest.mark.parametrize(
    "signals",
    [{"starting": (Starting("new", 5.0),)}, {"started": (Started(0.0, 60.0, "chat-1", 100.0),)}],
)
def test_the_step_before_is_waited_for(signals: dict[str, Any]) -> None:
    found = pressed(missing(**signals), LIKELY)
    assert found is not None
    assert found.replicas == 2


def test_nothing_is_tried_that_would_not_help() -> None:
    for helps in (Help.NO, Help.UNKNOWN):
        assert pressed(missing(), replace(LIKELY, replicas_help=helps)) is None
    assert pressed(situation(), LIKELY) is None, "all is well"
    nobody = Situation(replace(seen(), pods=()), (MISSED,))
    assert pressed(nobody, LIKELY) is None

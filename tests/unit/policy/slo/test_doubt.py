"""When a profile holds no more: longer requests, a colder cache, slower answers at equal load."""

from dataclasses import replace

import pytest

from gpupool.model.profile import Profile, Shape, Stat
from gpupool.model.traits import Trait
from gpupool.policy.slo.doubt import cache_moved, doubt
from support.signals import a_profile

NOW, WINDOW = 10_000.0, 300.0
PROFILE = replace(a_profile(), since=5_000.0, shape=Shape(1000, 250, 1000, 250), cache=Stat(0.7, 20, 9_000.0))


def known(*traits: Trait, profile: Profile = PROFILE) -> str:
    return doubt(replace(profile, traits=traits), WINDOW, NOW)


def trait(name: str, recent: float, base: float, *, at: float = NOW, since: float = 0.0) -> Trait:
    return Trait(name, base, recent, 9, at, since)


def test_requests_as_they_were_learned_leave_no_doubt() -> None:
    same = (
        trait("prompt tokens", 1100, 1000),
        trait("output tokens", 240, 250),
        trait("cache hits", 0.65, 0.7),
    )
    assert not known(*same)
    assert not known()
    assert not doubt(None, WINDOW, NOW)
    assert not doubt(Profile("H100", "r1", 0.0, traits=(trait("output tokens", 900, 250),)), WINDOW, NOW)


def test_another_shape_is_told_with_both_numbers() -> None:
    longer = known(trait("output tokens", 750, 250), trait("cache hits", 0.1, 0.7))
    assert longer == "output tokens are 750, 250 when it was learned; cache hits moved from 70 %"
    assert "prompt tokens are 500, 1000" in known(trait("prompt tokens", 500, 1000))


def test_what_was_learned_anew_of_another_shape_holds_although_the_endpoint_drifted() -> None:
    anew = replace(PROFILE, shape=Shape(1000, 750, 1000, 750))
    assert not known(trait("output tokens", 750, 250, since=4_000.0), profile=anew)


def test_what_was_not_seen_for_long_says_nothing() -> None:
    assert not known(trait("output tokens", 750, 250, at=NOW - 21 * WINDOW))


@pytest.mark.parametrize(
    ("recent", "since", "doubted"), [(30.0, 6_000.0, True), (30.0, 4_000.0, False), (10.0, 6_000.0, False)]
)
def test_answers_that_grew_slower_at_equal_load_since_it_was_learned(
    recent: float, since: float, doubted: bool
) -> None:
    found = known(trait("ms between tokens with 8 to 11.3 running", recent, 20.0, since=since))
    assert bool(found) == doubted


def test_a_cache_that_nobody_tells_of_did_not_move() -> None:
    assert not cache_moved(PROFILE)
    assert not cache_moved(replace(PROFILE, cache=None, traits=(trait("cache hits", 0.1, 0.7),)))
    unshaped = replace(PROFILE, shape=None, cache=None)
    assert not known(trait("output tokens", 750, 250), profile=unshaped)

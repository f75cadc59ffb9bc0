"""Modes: per pool, per layer, per share; the weaker of two overrides holds."""

from dataclasses import replace

import pytest

from gpupool.model.pool import Mode, weaker
from support.builders import a_pool, a_share

LOOK, SAY, DO = Mode.OBSERVE, Mode.RECOMMEND, Mode.ENFORCE


@pytest.mark.parametrize(
    ("pool", "layer", "share", "holds"),
    [
        (DO, None, None, DO),
        (DO, SAY, None, SAY),
        (LOOK, DO, None, DO),
        (DO, None, LOOK, LOOK),
        (LOOK, None, DO, DO),
        (DO, SAY, DO, SAY),
        (DO, DO, LOOK, LOOK),
    ],
)
def test_layer_and_share_override_the_pool_and_the_weaker_of_both_holds(
    pool: Mode, layer: Mode | None, share: Mode | None, holds: Mode
) -> None:
    overridden = frozenset() if layer is None else frozenset({"quota", "isolation", "reclaim"})
    found = replace(a_pool(mode=layer or pool), mode=pool, overridden=overridden)
    own = replace(a_share("vision"), mode=share)
    assert found.quota_for(own) is holds
    assert found.isolation_for(own) is holds
    assert found.reclaim_for(own) is holds


def test_a_namespace_without_a_share_is_only_looked_at() -> None:
    assert a_pool().quota_for(None) is LOOK


def test_nothing_set_is_observe() -> None:
    assert weaker(None, None) is LOOK


def test_one_enforced_share_makes_the_pool_wall_and_isolate() -> None:
    enforced = replace(a_share("vision"), mode=DO)
    assert a_pool(enforced, mode=LOOK).walls
    assert a_pool(enforced, mode=LOOK).isolates
    assert not a_pool(a_share("vision"), mode=LOOK).walls
    assert not a_pool(a_share("vision"), mode=LOOK).isolates

"""Behaviour against what was learned: what differs for a while is told, one odd window is not."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.traits import Trait
from gpupool.policy.slo.drift import CACHE, FORGOTTEN, LEARNED, MOST, OUTPUT, PROMPT, drifted, told, watch
from support.signals import a_pod, seen

WINDOW = 300.0


def watched(
    *windows: dict[str, Any], before: tuple[Trait, ...] = (), good: bool = True, at: float = 0.0
) -> dict[str, Trait]:
    """Traits after windows that show this, one after the other."""
    traits, now = before, at
    for change in windows:
        now += WINDOW
        traits = watch(traits, seen(a_pod(**change), a_pod("b", **change)), now, good=good)
    return {t.name: t for t in traits}


def differing(found: dict[str, Trait], later: float = 0.0) -> list[str]:
    now = max(t.at for t in found.values()) + later
    return [t.name for t in drifted(found.values(), WINDOW, now)]


LEARNT: list[dict[str, Any]] = [{}] * LEARNED


def test_it_is_learned_from_the_first_good_windows_and_stays() -> None:
    found = watched({"prompt": 900}, {"prompt": 1100}, *[{}] * 3)
    assert found[PROMPT].base == pytest.approx(1000)
    later = watched(*[{"prompt": 1100}] * 20, before=tuple(found.values()), at=5 * WINDOW)
    assert later[PROMPT].base == pytest.approx(1000)
    assert later[PROMPT].recent == pytest.approx(1100, rel=0.01)
    assert later[PROMPT].samples == 25


def test_bad_windows_teach_nothing_and_are_compared_all_the_same() -> None:
    assert watched({}, good=False) == {}
    young = watched({})
    same = watched({"prompt": 3000}, before=tuple(young.values()), good=False, at=WINDOW)
    assert same[PROMPT] == young[PROMPT]
    known = watched(*LEARNT)
    found = watched(*[{"prompt": 2000}] * 3, before=tuple(known.values()), good=False, at=5 * WINDOW)
    assert PROMPT in differing(found)


def test_two_looks_of_one_window_count_once() -> None:
    found = watched(*LEARNT)
    same = watch(tuple(found.values()), seen(a_pod(), a_pod("b")), 5.5 * WINDOW, good=True)
    assert {t.name: t for t in same} == found


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (PROMPT, {"prompt": 1500}),
        (OUTPUT, {"output": 150}),
        (CACHE, {"known": 3000}),
        ("ms to the first token with 11.3 to 16 running", {"ttft": 0.1}),
        ("ms between tokens with 11.3 to 16 running", {"itl": 0.01}),
    ],
)
def test_what_differs_for_a_while_is_told_and_what_is_back_is_not(name: str, change: dict[str, Any]) -> None:
    found = watched(*LEARNT, *[change] * 6)
    assert differing(found) == [name]
    assert found[name].since <= 11 * WINDOW
    again = watched(*[{}] * 12, before=tuple(found.values()), at=11 * WINDOW)
    assert differing(again) == []


def test_one_odd_window_is_no_drift() -> None:
    assert differing(watched(*LEARNT, {"prompt": 1600}, {})) == []


def test_the_moment_it_began_stays_while_it_wavers() -> None:
    found = watched(*LEARNT, *[{"prompt": 1500}] * 6)
    since = found[PROMPT].since
    waver = watched(*[{"prompt": 1150}] * 9, before=tuple(found.values()), at=11 * WINDOW)
    assert waver[PROMPT].recent < 1200
    assert waver[PROMPT].since == since


def test_latency_is_compared_at_equal_load() -> None:
    """Twice the requests and slower tokens: that is load, and no drift."""
    found = watched(*LEARNT, *[{"running": 28, "itl": 0.03}] * 6)
    assert differing(found) == []
    assert "ms between tokens with 22.6 to 32 running" in found
    assert "ms between tokens with 0 to 1.41 running" in watched({"running": 0.3})
    assert len(watched({"running": 0})) == 3


def test_few_requests_and_what_is_not_told_say_nothing() -> None:
    assert watched({"requests": 0.05}) == {}
    assert watched({"requests": None}) == {}
    unseen = watched({"prompt": None, "output": None, "looked_up": None, "ttft": None, "itl": None})
    assert unseen == {}


def test_what_was_not_seen_for_long_is_not_told() -> None:
    found = watched(*LEARNT, *[{"prompt": 1500}] * 6)
    assert differing(found, FORGOTTEN * WINDOW + 1) == []


def test_only_what_was_seen_lately_is_kept() -> None:
    bands: Iterable[dict[str, Any]] = [{"running": 2.0**n} for n in range(12)]
    found = watched(*bands)
    assert len(found) == MOST
    assert "ms between tokens with 2048 to 2896 running" in found


def test_both_numbers_are_told() -> None:
    trait = Trait(PROMPT, 1000, 1400, 9, 0.0, 1.0)
    assert told(trait) == "prompt tokens are 1400, 1000 when it was learned (+40 %)"
    assert told(replace(trait, base=0)) == "prompt tokens are 1400, 0 when it was learned (new)"
    hits = Trait(CACHE, 0.6, 0.2, 9, 0.0, 1.0)
    assert told(hits) == "cache hits are 20 %, 60 % when it was learned"

"""An API server that refuses, throttles and dawdles while GPUs change hands."""

from collections import defaultdict
from itertools import pairwise

import pytest

from support.faultproxy.asked import Asked
from support.faultproxy.faults import Refuse, Slow, writes
from support.faultstory import LONG, FaultStory
from support.observer import Observer
from support.verdict import none_of

RETRY_AFTER = 2
PUNCTUAL = 0.05
"""Seconds that two clocks on one machine may differ by, and that asyncio may wake early."""


def _changes_hands(story: FaultStory) -> tuple[str, str]:
    """A borrower has all eight, its owner wants them: one whole recall. Returns who has them now."""
    story.add_nodes(1)
    owner, other = story.team("owner"), story.team("other")
    story.pool(shares=[story.share(owner, 8), story.share(other)], recall={"within": "15s", "notice": "5s"})
    story.until_enforced()
    story.ask(other, "batch", 8, preemptible=True)
    story.until_phase(other, "batch", "Granted", seconds=LONG)
    story.deploy(other, "batch", 8)
    story.until(lambda: story.held(other) == 8, "the borrower runs", LONG)
    return owner, other


def _takes_back(story: FaultStory, owner: str, other: str) -> None:
    story.deploy(owner, "serve", 8)
    story.ask(owner, "serve", 8)
    story.until_returned(owner, other)


@pytest.mark.timeout(1200)
def test_conflicts_and_delays_cost_time_and_nothing_else(story: FaultStory, observer: Observer) -> None:
    del observer
    owner, other = _changes_hands(story)
    conflicts = Refuse(writes, status=409, share=0.4)
    with story.proxy.failing(conflicts), story.proxy.failing(Slow(lambda _: True, seconds=0.1)) as slow:
        _takes_back(story, owner, other)
    story.until_settled()
    story.counts["refused 409"] += len(conflicts.hits)
    story.counts["answered late"] += len(slow.hits)
    assert conflicts.hits


@pytest.mark.timeout(1200)
def test_who_is_told_to_come_later_comes_later(story: FaultStory, observer: Observer) -> None:
    del observer
    owner, other = _changes_hands(story)
    throttled = Refuse(writes, status=429, share=0.4, retry_after=RETRY_AFTER)
    with story.proxy.failing(throttled):
        _takes_back(story, owner, other)
    story.until_settled()
    early = list(_too_early(story.proxy.writes(), throttled.hits))
    story.counts["refused 429"] += len(throttled.hits)
    story.counts["came back before Retry-After"] += len(early)
    assert throttled.hits
    none_of(early, "came back before Retry-After")


def _too_early(seen: list[Asked], refused: list[Asked]) -> list[str]:
    """Writes that were tried again sooner than they were told, in words."""
    tries: dict[tuple[str, str, bytes], list[Asked]] = defaultdict(list)
    for asked in seen:
        tries[asked.method, asked.path, asked.body].append(asked)
    numbers = {asked.number for asked in refused}
    return [
        f"{first} came again after {second.at - first.at:.2f} s"
        for attempts in tries.values()
        for first, second in pairwise(attempts)
        if first.number in numbers and second.at - first.at < RETRY_AFTER - PUNCTUAL
    ]

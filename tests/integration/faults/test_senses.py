"""An operator that hears nothing, or is told the wrong time, takes and gives nothing wrongly."""

from datetime import datetime

import pytest

from support.faultproxy.faults import Refuse, watches
from support.faultstory import FULL, LONG, FaultStory, variant
from support.observer import Observer
from support.replicas import pods, restarts
from support.story import Json
from support.verdict import law

HOUR = 3600.0
SILENCE = 8.0
"""Seconds without a byte on any watch; in full it lasts until the mirrors have found out by themselves."""


def _borrowed(story: FaultStory) -> tuple[str, str]:
    """A borrower runs on all eight GPUs of an owner who does not ask yet."""
    story.add_nodes(1)
    owner, other = story.team("owner"), story.team("other")
    story.pool(shares=[story.share(owner, 8), story.share(other)], recall={"within": "15s", "notice": "10s"})
    story.until_enforced()
    story.ask(other, "batch", 8, preemptible=True)
    story.until_phase(other, "batch", "Granted", seconds=LONG)
    story.deploy(other, "batch", 8)
    story.until(lambda: story.held(other) == 8, "the borrower runs", LONG)
    return owner, other


@pytest.mark.timeout(1200)
def test_on_silent_watches_nothing_is_given_twice(story: FaultStory, observer: Observer) -> None:
    del observer
    story.add_nodes(1)
    a, b = story.team("a"), story.team("b")
    story.pool(shares=[story.share(a, 4, limit=8), story.share(b, 4)])
    story.until_enforced()
    story.ask(a, "one", 4)
    story.until_phase(a, "one", "Granted", seconds=LONG)
    with story.proxy.freezing():
        story.kube.patch(story.request_path(a, "one"), {"spec": {"gpus": 2, "minGpus": 2}})
        story.ask(b, "want", 4)
        if FULL:
            story.until_phase(b, "want", "Granted", seconds=2 * LONG)
        else:
            story.passes(SILENCE)
    story.until_phase(b, "want", "Granted", seconds=LONG)
    story.until(lambda: story.hard(a) == 2, "the decrease is heard of", LONG)
    story.until_settled()
    story.counts["seconds of silent watches"] += int(SILENCE)


@variant
@pytest.mark.timeout(1200)
def test_watches_that_are_refused_as_too_old_lose_nothing(story: FaultStory, observer: Observer) -> None:
    owner, other = _borrowed(story)
    lives = {name: restarts(story.kube, name) for name in pods(story.kube)}
    with story.proxy.failing(Refuse(watches, status=410, share=0.5)) as gone:
        story.proxy.cut()
        story.deploy(owner, "serve", 8)
        story.ask(owner, "serve", 8)
        story.until_returned(owner, other)
    story.until_settled()
    assert gone.hits
    assert {name: restarts(story.kube, name) for name in pods(story.kube)} == lives, (
        "no process ended over it"
    )
    story.counts["watches answered 410"] += len(gone.hits)
    law(observer.stages(other, "batch") == ["Recalling", ""], f"{observer.stages(other, 'batch')}")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "skew", [pytest.param(HOUR, id="fast"), pytest.param(-HOUR, id="slow", marks=variant)]
)
def test_a_clock_an_hour_off_neither_fires_nor_stops_a_recall(
    story: FaultStory, observer: Observer, skew: float
) -> None:
    owner, other = _borrowed(story)
    story.deploy(owner, "serve", 8)
    story.ask(owner, "serve", 8)
    story.until_stage(other, "batch", "Recalling")
    with story.proxy.skewed(skew):
        story.proxy.cut()
        deadline = datetime.fromisoformat(_reclaim(story, other)["deadline"])
        story.until(lambda: observer.first_asked_to_go(other), "the first pod is asked to go", LONG)
    law(observer.first_asked_to_go(other) >= deadline.timestamp(), "not before the deadline that was given")
    story.until_returned(owner, other)
    story.until_settled()
    law(observer.stages(other, "batch") == ["Recalling", ""], f"{observer.stages(other, 'batch')}")
    story.counts["clocks an hour off"] += 1


@variant
@pytest.mark.timeout(1200)
def test_a_leader_that_begins_under_a_fast_clock_fires_no_deadline(
    story: FaultStory, observer: Observer
) -> None:
    owner, other = _borrowed(story)
    story.deploy(owner, "serve", 8)
    story.ask(owner, "serve", 8)
    story.until_stage(other, "batch", "Recalling")
    deadline = datetime.fromisoformat(_reclaim(story, other)["deadline"])
    with story.proxy.skewed(HOUR):
        story.kill_all()
        story.until(lambda: observer.first_asked_to_go(other), "the first pod is asked to go", LONG)
    law(observer.first_asked_to_go(other) >= deadline.timestamp(), "not before the deadline that was given")
    story.until_returned(owner, other)
    story.until_settled()
    story.counts["clocks an hour off"] += 1


def _reclaim(story: FaultStory, namespace: str) -> Json:
    return dict(story.status(namespace, "batch")["reclaim"])

"""Events as data: their bodies, their names, and that the same thing is said once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.model.objects import Key
from gpupool.model.plan import Notice
from gpupool.telemetry.events import LONGEST_MESSAGE, Said, event, event_name
from support.usage import moment

NOW = moment(1_200_000)
NOTICE = Notice(
    "CapacityRequest", Key("team", "train"), "uid-1", "UnderUsed", "44 GPUs are unheld.", warning=True
)


def test_an_event_names_its_object_and_says_why() -> None:
    body = event(NOTICE, NOW, instance="gpupool-0")
    assert body["metadata"]["namespace"] == "team"
    assert body["involvedObject"] == {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "CapacityRequest",
        "namespace": "team",
        "name": "train",
        "uid": "uid-1",
    }
    assert (body["type"], body["reason"], body["message"]) == ("Warning", "UnderUsed", "44 GPUs are unheld.")
    assert body["firstTimestamp"] == body["lastTimestamp"] == "1970-01-14T21:20:00Z"
    assert (body["reportingComponent"], body["reportingInstance"]) == ("gpupool", "gpupool-0")


def test_events_of_cluster_scoped_objects_live_in_default() -> None:
    body = event(Notice("GpuPool", Key("", "lab"), "", "Ready", "4 nodes."), NOW)
    assert body["metadata"]["namespace"] == "default"
    assert body["involvedObject"] == {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "GpuPool",
        "name": "lab",
    }
    assert body["type"] == "Normal"


@pytest.mark.parametrize(
    ("other", "at", "same"),
    [
        (NOTICE, NOW + timedelta(minutes=9), True),
        (NOTICE, NOW + timedelta(minutes=10), False),
        (replace(NOTICE, message="45"), NOW, False),
        (replace(NOTICE, reason="Lent"), NOW, False),
        (replace(NOTICE, uid="uid-2"), NOW, False),
    ],
)
def test_the_same_notice_has_the_same_name_for_ten_minutes(other: Notice, at: object, same: bool) -> None:
    assert (event_name(other, at) == event_name(NOTICE, NOW)) is same  # type: ignore[arg-type]


def test_what_speaks_of_a_moment_is_the_same_event_whenever_and_however_it_is_told() -> None:
    first = replace(NOTICE, since=NOW)
    again = replace(first, message="43 GPUs are unheld.")
    late = NOW + timedelta(hours=5)
    assert event_name(again, late) == event_name(first, NOW)
    assert event_name(replace(first, since=late), late) != event_name(first, NOW)


def test_names_and_messages_fit_the_api() -> None:
    long = replace(NOTICE, key=Key("team", "a." * 126 + "b"), message="x" * 2000)
    body = event(long, NOW)
    assert len(body["metadata"]["name"]) <= 253
    assert ".." not in body["metadata"]["name"]
    assert len(body["message"]) == LONGEST_MESSAGE


def test_the_same_thing_is_news_again_after_ten_minutes() -> None:
    said, other = Said(), replace(NOTICE, reason="Lent")
    assert said.news([NOTICE, NOTICE], NOW) == (NOTICE,)
    assert said.news([NOTICE, other], NOW + timedelta(minutes=9)) == (other,)
    assert said.news([NOTICE, other], NOW + timedelta(minutes=10)) == (NOTICE,)


def test_what_could_not_be_said_is_still_news() -> None:
    said = Said()
    said.news([NOTICE], NOW)
    said.unsay(NOTICE)
    assert said.news([NOTICE], NOW) == (NOTICE,)

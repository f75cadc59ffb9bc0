"""Recordings: versioned, the same text for the same snapshot, nothing lost."""

import json

import pytest

from gpupool.model import recording
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.world import NamespaceFacts, World
from support.builders import (
    HOUR,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    pods,
    sampled,
)

SNAPSHOT = a_snapshot(
    a_pool(a_share("vision", 8), overridden=frozenset({"quota", "isolation"})),
    a_request("train", 4, ref=ObjectRef("batch/v1", "Job", "fit")),
    granted("serve", 2, timer=a_timer("Warned", HOUR)),
    pods=pods(2, "serve"),
    usage=sampled(pods(2, "serve"), peaks={Key("vision", "serve"): 2}),
)


def test_what_was_recorded_is_read_back_the_same() -> None:
    assert recording.read(recording.write(SNAPSHOT)) == SNAPSHOT


def test_a_recording_names_its_version() -> None:
    assert json.loads(recording.write(SNAPSHOT))["version"] == recording.VERSION


def test_a_field_that_an_older_recording_lacks_has_its_default() -> None:
    raw = json.loads(recording.write(SNAPSHOT))
    del raw["snapshot"]["stray_nodes"]
    assert recording.read(json.dumps(raw)) == SNAPSHOT


@pytest.mark.parametrize("text", ['{"version":0,"snapshot":{}}', "[]", "{}"])
def test_a_recording_of_another_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a recording of version 1"):
        recording.read(text)


def test_a_world_is_read_back_the_same_too() -> None:
    ending = NamespaceFacts("old", {}, a_quota(4))
    world = World(NOW, ending=(ending,), unreadable_pools=frozenset({"b", "a"}), queues_known=False)
    assert recording.decode(World, json.loads(recording.dump(world))) == world

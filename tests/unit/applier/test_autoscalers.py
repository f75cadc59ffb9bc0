"""Writes to HPAs: three fields and the note; back in two steps, so that a stop between them loses nothing."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from gpupool.applier.autoscalers import adopt, give_back
from gpupool.applier.serverside import Writer
from gpupool.kube.resources import Json, ObjectKey
from gpupool.model.hpanote import ORIGINALS, read_note, write_note
from gpupool.model.objects import Key
from gpupool.model.steering import Adopt, GiveBack, Limits, Originals

HPA, SLO = Key("chat-prod", "hpa"), Key("chat-prod", "chat")
NOTE = Originals(Limits(1, 9, '{"scaleDown":{}}'), Limits(2, 4))


class Notes:
    """Remembers what was sent; answers as an API server that others write to as well."""

    def __init__(self, *managers: Json) -> None:
        self.managers = list(managers)
        self.sent: list[Any] = []

    async def apply(self, _resource: Any, body: Json, *, epoch: int, force: bool) -> Json:
        self.sent.append(("apply", body, epoch, force))
        return {"metadata": {"resourceVersion": "8", "managedFields": self.managers}}

    async def json_patch(
        self, _resource: Any, key: ObjectKey, operations: list[Json], *, version: int, epoch: int
    ) -> Json:
        self.sent.append(("patch", key, operations, version, epoch))
        return {}


async def test_an_adoption_writes_three_fields_and_the_note() -> None:
    writer = Notes()
    action = Adopt(SLO, HPA, "uid", "7", NOTE, force=True)
    await adopt(cast("Writer", writer), action, epoch=3)
    ((verb, body, epoch, force),) = writer.sent
    assert (verb, epoch, force) == ("apply", 3, True)
    assert body["spec"] == {"minReplicas": 2, "maxReplicas": 4}
    meta = body["metadata"]
    assert (meta["name"], meta["namespace"], meta["uid"], meta["resourceVersion"]) == (
        *("hpa", "chat-prod"),
        *("uid", "7"),
    )
    assert read_note(meta["annotations"][ORIGINALS]) == NOTE
    assert json.loads(meta["annotations"][ORIGINALS])["maxReplicas"] == 9


@pytest.mark.parametrize("asleep", [0, 3])
def test_who_sleeps_is_noted(asleep: int) -> None:
    note = replace(NOTE, asleep=asleep)
    assert read_note(write_note(note)) == note
    assert ("asleep" in write_note(note)) == (asleep > 0)


def test_a_note_that_somebody_broke_puts_nobody_to_sleep() -> None:
    text = write_note(replace(NOTE, asleep=3))
    assert read_note(text.replace('"asleep":3', '"asleep":-3')) == NOTE
    assert read_note(text.replace('"asleep":3', '"asleep":"x"')) is None


async def test_a_later_write_is_bound_to_no_version() -> None:
    writer = Notes()
    await adopt(cast("Writer", writer), Adopt(SLO, HPA, "uid", "", NOTE, force=False), epoch=3)
    assert "resourceVersion" not in writer.sent[0][1]["metadata"]


async def test_giving_back_writes_the_values_first_and_then_takes_off_note_and_name() -> None:
    theirs = {"manager": "helm"}
    status = {"manager": "gpupool", "subresource": "status"}
    writer = Notes(theirs, {"manager": "gpupool"}, status)
    await give_back(cast("Writer", writer), GiveBack(HPA, "uid", NOTE.theirs, NOTE), epoch=3)
    (_, body, _, force), patch = writer.sent
    assert force
    assert body["spec"] == {"minReplicas": 1, "maxReplicas": 9, "behavior": {"scaleDown": {}}}
    assert read_note(body["metadata"]["annotations"][ORIGINALS]) == NOTE
    assert patch == (
        "patch",
        ObjectKey("chat-prod", "hpa"),
        [
            {"op": "remove", "path": "/metadata/annotations/gpupool.dev~1hpa-originals"},
            {"op": "replace", "path": "/metadata/managedFields", "value": [theirs, status]},
        ],
        8,
        3,
    )


async def test_where_nobody_else_owns_anything_owners_are_left_alone() -> None:
    writer = Notes({"manager": "gpupool"})
    await give_back(cast("Writer", writer), GiveBack(HPA, "uid", NOTE.theirs, NOTE), epoch=3)
    assert [o["op"] for o in writer.sent[1][2]] == ["remove"]

"""Writes to HPAs: three fields and the note; back in two steps, so that a stop between them loses nothing."""

import json
from typing import Any, cast

import pytest

from gpupool.applier.autoscalers import adopt, give_back
from gpupool.applier.serverside import Writer
from gpupool.kube.resources import Json, ObjectKey
from gpupool.model.hpanote import HIGH, LOW, ORIGINALS, read_note
from gpupool.model.kedanote import ORIGINALS as KEDA_ORIGINALS
from gpupool.model.kedanote import note_of
from gpupool.model.objects import Key
from gpupool.model.steering import Adopt, GiveBack, Limits, Originals, ScalerKind

HPA, SLO = Key("chat-prod", "hpa"), Key("chat-prod", "chat")
NOTE = Originals(Limits(1, 9, '{"scaleDown":{}}'), Limits(2, 4))


class Notes:
    """Remembers what was sent; answers as an API server that others write to as well."""

    def __init__(self, *managers: Json, spec: Json | None = None) -> None:
        self.managers = list(managers)
        self.spec = spec or {}
        self.sent: list[Any] = []

    async def apply(self, _resource: Any, body: Json, *, epoch: int, force: bool) -> Json:
        self.sent.append(("apply", body, epoch, force))
        meta = {"namespace": HPA.namespace, "name": HPA.name, "resourceVersion": "8"}
        return {"metadata": {**meta, "managedFields": self.managers}, "spec": self.spec}

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


KEDA = ScalerKind.SCALED_OBJECT
SILENT = Originals(Limits(0, 100, unsaid=frozenset({LOW, HIGH})), Limits(2, 4, '{"scaleDown":{}}'))


async def test_a_scaled_object_is_written_in_its_own_words_under_a_note_of_its_own() -> None:
    writer = Notes()
    await adopt(cast("Writer", writer), Adopt(SLO, HPA, "uid", "7", SILENT, force=True, kind=KEDA), epoch=3)
    body = writer.sent[0][1]
    config: Json = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {}}}}
    assert body["spec"] == {"minReplicaCount": 2, "maxReplicaCount": 4, "advanced": config}
    assert note_of(body["metadata"]["annotations"][KEDA_ORIGINALS]) == SILENT


@pytest.mark.parametrize(
    ("spec", "fields", "removed"),
    [
        ({"advanced": {"horizontalPodAutoscalerConfig": {}}}, {}, ["/spec/advanced"]),
        (
            {"advanced": {"horizontalPodAutoscalerConfig": {}}},
            {"f:advanced": {}},
            ["/spec/advanced/horizontalPodAutoscalerConfig"],
        ),
        (
            {"advanced": {"horizontalPodAutoscalerConfig": {}, "restoreToOriginalReplicaCount": True}},
            {"f:advanced": {"f:restoreToOriginalReplicaCount": {}}},
            ["/spec/advanced/horizontalPodAutoscalerConfig"],
        ),
        ({"advanced": {"horizontalPodAutoscalerConfig": {"name": "own"}}}, {}, []),
        ({}, {}, []),
    ],
)
async def test_giving_a_scaled_object_back_leaves_no_empty_shell(
    spec: Json, fields: Json, removed: list[str]
) -> None:
    writer = Notes({"manager": "helm", "fieldsV1": {"f:spec": fields}}, {"manager": "gpupool"}, spec=spec)
    action = GiveBack(HPA, "uid", SILENT.theirs, SILENT, KEDA)
    await give_back(cast("Writer", writer), action, epoch=3)
    assert writer.sent[0][1]["spec"] == {}, "what was not said is given up"
    note, *rest, _managed = writer.sent[1][2]
    assert note["path"] == "/metadata/annotations/gpupool.dev~1scaledobject-originals"
    assert [o["path"] for o in rest] == removed

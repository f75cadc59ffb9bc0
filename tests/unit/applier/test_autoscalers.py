"""Writes to HPAs: three fields and the note; back in two steps, so that a stop between them loses nothing."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from gpupool.applier.autoscalers import adopt, give_back, make, remove
from gpupool.applier.serverside import Writer
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import Json, ObjectKey
from gpupool.model.hpanote import HIGH, LOW, ORIGINALS, read_note, write_note
from gpupool.model.kedanote import ORIGINALS as KEDA_ORIGINALS
from gpupool.model.kedanote import note_of
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.scalerwrites import Adopt, GiveBack, Make, Remove
from gpupool.model.steering import Limits, Originals, ScalerKind

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

    async def create(self, _resource: Any, body: Json, *, epoch: int) -> Json:
        self.sent.append(("create", body, epoch))
        return body

    async def delete(self, _resource: Any, key: ObjectKey, *, epoch: int, options: DeleteOptions) -> None:
        self.sent.append(("delete", key, epoch, options.uid))

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


async def test_one_that_we_made_tolerates_nothing_also_when_it_is_written_again() -> None:
    writer = Notes()
    await adopt(cast("Writer", writer), Adopt(SLO, HPA, "uid", "", NOTE, force=True, made=True), epoch=3)
    ((_, body, _, _),) = writer.sent
    assert body["spec"]["behavior"] == {"scaleUp": {"tolerance": "0"}, "scaleDown": {"tolerance": "0"}}
    assert read_note(body["metadata"]["annotations"][ORIGINALS]) == NOTE


async def test_ours_asks_for_the_value_of_its_own_endpoint() -> None:
    writer = Notes()
    target = ObjectRef("apps/v1", "Deployment", "chat")
    await make(cast("Writer", writer), Make(SLO, "slo-uid", HPA, target, NOTE), epoch=3)
    ((verb, body, epoch),) = writer.sent
    assert (verb, epoch) == ("create", 3)
    (metric,) = body["spec"]["metrics"]
    assert metric["external"] == {
        "metric": {
            "name": "gpupool_required_replicas",
            "selector": {"matchLabels": {"namespace": "chat-prod", "slo": "chat"}},
        },
        "target": {"type": "AverageValue", "averageValue": "1"},
    }


async def test_ours_is_deleted_and_no_namesake() -> None:
    writer = Notes()
    await remove(cast("Writer", writer), Remove(HPA, "uid"), epoch=3)
    assert writer.sent == [("delete", ObjectKey("chat-prod", "hpa"), 3, "uid")]


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
    action = GiveBack(HPA, "uid", SILENT.theirs, SILENT, kind=KEDA)
    await give_back(cast("Writer", writer), action, epoch=3)
    assert writer.sent[0][1]["spec"] == {}, "what was not said is given up"
    note, *rest, _managed = writer.sent[1][2]
    assert note["path"] == "/metadata/annotations/gpupool.dev~1scaledobject-originals"
    assert [o["path"] for o in rest] == removed

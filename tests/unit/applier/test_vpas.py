"""Writes to VPAs: the policies and the note; of ours all of it; back in two steps, or away."""

from typing import Any, cast

from gpupool.applier.serverside import Writer
from gpupool.applier.vpas import leave, write
from gpupool.kube.resources import Json, ObjectKey
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.resources import LeaveVpa, VpaNote, WriteVpa
from gpupool.model.steering import canonical
from gpupool.model.vpanote import ORIGINALS, read_note

SLO, VPA = Key("vision", "slo"), Key("vision", "vpa")
REF = ObjectRef("apps/v1", "Deployment", "chat")
OURS = canonical([{"containerName": "main"}])
NOTE = VpaNote("", OURS)


class Notes:
    """Remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def apply(self, _resource: Any, body: Json, *, epoch: int, force: bool) -> Json:
        self.sent.append((body, epoch, force))
        meta = {"name": "vpa", "namespace": "vision", "resourceVersion": "8", "managedFields": []}
        return {"metadata": meta, "spec": {"resourcePolicy": {}}}

    async def json_patch(
        self, _resource: Any, key: ObjectKey, operations: list[Json], *, version: int, epoch: int
    ) -> Json:
        self.sent.append((key, operations, version, epoch))
        return {}

    async def delete(self, _resource: Any, key: ObjectKey, *, epoch: int, options: Any) -> None:
        self.sent.append((key, options.uid, epoch))


async def test_an_adoption_writes_the_policies_and_the_note_alone() -> None:
    writer = Notes()
    action = WriteVpa(SLO, "slo-uid", VPA, "uid", "7", REF, "Off", NOTE, force=True)
    await write(cast("Writer", writer), action, epoch=3)
    ((body, epoch, force),) = writer.sent
    assert (epoch, force) == (3, True)
    assert body["spec"] == {"resourcePolicy": {"containerPolicies": [{"containerName": "main"}]}}
    meta = body["metadata"]
    assert read_note(meta.pop("annotations")[ORIGINALS]) == NOTE
    assert meta == {"name": "vpa", "namespace": "vision", "uid": "uid", "resourceVersion": "7"}


async def test_one_that_we_make_is_whole_and_goes_with_its_promise() -> None:
    writer = Notes()
    note = VpaNote("", OURS, made=True)
    action = WriteVpa(SLO, "slo-uid", SLO, "", "", REF, "Initial", note, force=False)
    await write(cast("Writer", writer), action, epoch=3)
    body, _, force = writer.sent[0]
    assert not force
    assert body["spec"]["updatePolicy"] == {"updateMode": "Initial"}
    assert body["spec"]["targetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("InferenceSLO", "slo", "slo-uid")
    assert body["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "gpupool"
    assert not {"uid", "resourceVersion"} & body["metadata"].keys()


async def test_giving_back_leaves_no_shell_and_one_of_ours_is_deleted() -> None:
    writer = Notes()
    await leave(cast("Writer", writer), LeaveVpa(VPA, "uid", "", NOTE), epoch=3)
    assert writer.sent[0][0]["spec"] == {}
    key, operations, version, epoch = writer.sent[1]
    assert (key, version, epoch) == (ObjectKey("vision", "vpa"), 8, 3)
    assert [o["path"] for o in operations] == [
        "/metadata/annotations/gpupool.dev~1vpa-originals",
        "/spec/resourcePolicy",
    ]
    made = LeaveVpa(SLO, "uid", "", VpaNote("", OURS, made=True))
    await leave(cast("Writer", writer), made, epoch=3)
    assert writer.sent[2] == (ObjectKey("vision", "slo"), "uid", 3)

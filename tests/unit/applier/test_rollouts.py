"""Writes to Deployments: at the version that was seen, with the note, and nothing of us left at the end."""

from typing import Any, cast

import pytest

from gpupool.applier.rollouts import pause, resume, roll_back, template_of
from gpupool.applier.serverside import Writer
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, ObjectKey
from gpupool.model.objects import Key
from gpupool.model.rollout import Acted, PauseRollout, ResumeRollout, RollBack
from gpupool.model.rolloutnote import read_acted

CHAT, SLO = Key("chat-prod", "chat"), Key("chat-prod", "slo")
NOTE = "/metadata/annotations/gpupool.dev~1rollout-guard"
THEIRS = {"manager": "helm"}


class Server:
    """Remembers what was sent; keeps one ReplicaSet."""

    def __init__(self, *managers: Json) -> None:
        self.managers = list(managers)
        self.sent: list[tuple[ObjectKey, list[Json], int, int]] = []

    async def json_patch(
        self, _resource: Any, key: ObjectKey, operations: list[Json], *, version: int, epoch: int
    ) -> Json:
        self.sent.append((key, operations, version, epoch))
        return {"metadata": {"resourceVersion": "8", "managedFields": self.managers}}

    async def look_up(self, _resource: Any, name: str, namespace: str) -> Json:
        labels = {"app": "chat", "pod-template-hash": name.removeprefix("chat-")}
        template = {"metadata": {"labels": labels}, "spec": {"containers": []}}
        return {"metadata": {"name": name, "namespace": namespace}, "spec": {"template": template}}


async def test_a_pause_is_written_with_its_note() -> None:
    server, acted = Server(), (Acted("Pause", "7d9f", "digest"),)
    await pause(cast("Writer", server), PauseRollout(SLO, CHAT, "uid", "7", acted), epoch=3)
    ((key, (note, paused), version, epoch),) = server.sent
    assert (key, version, epoch) == (ObjectKey("chat-prod", "chat"), 7, 3)
    assert (note["op"], note["path"], read_acted(note["value"])) == ("add", NOTE, acted)
    assert paused == {"op": "add", "path": "/spec/paused", "value": True}


@pytest.mark.parametrize("paused", [True, False])
async def test_letting_go_takes_off_note_pause_and_name(paused: bool) -> None:
    server = Server(THEIRS, {"manager": "gpupool"})
    await resume(cast("Writer", server), ResumeRollout(None, CHAT, "uid", "7", paused), epoch=3)
    (_, first, version, _), (_, second, after, _) = server.sent
    wanted = [{"op": "remove", "path": NOTE}]
    assert first == ([*wanted, {"op": "remove", "path": "/spec/paused"}] if paused else wanted)
    assert second == [{"op": "replace", "path": "/metadata/managedFields", "value": [THEIRS]}]
    assert (version, after) == (7, 8)


async def test_a_template_is_put_back_as_its_deployment_had_it_and_is_nobodys() -> None:
    server, acted = Server(THEIRS, {"manager": "gpupool"}), (Acted("Rollback", "7d9f", "digest", "5c4b"),)
    action = RollBack(SLO, CHAT, "uid", "7", "chat-5c4b", acted)
    await roll_back(cast("KubeClient", server), cast("Writer", server), action, epoch=3)
    (_, (note, template), version, _), (_, second, _, _) = server.sent
    assert read_acted(note["value"]) == acted
    assert (template["op"], template["path"], version) == ("replace", "/spec/template", 7)
    assert template["value"] == {"metadata": {"labels": {"app": "chat"}}, "spec": {"containers": []}}
    assert second[0]["value"] == [THEIRS]


async def test_where_nobody_else_owns_anything_owners_are_left_alone() -> None:
    server = Server()
    await resume(cast("Writer", server), ResumeRollout(None, CHAT, "uid", "7", paused=True), epoch=3)
    assert len(server.sent) == 1


def test_a_template_without_labels() -> None:
    assert template_of({"spec": {"template": {"spec": {}}}}) == {"metadata": {"labels": {}}, "spec": {}}

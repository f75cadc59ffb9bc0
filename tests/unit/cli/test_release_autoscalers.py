"""Whose autoscalers a release gives back: those with a note of ours, where their kind is served."""

from typing import Any, cast

import pytest

from gpupool.applier import autoscalers, vpas
from gpupool.cli import release as module
from gpupool.errors import Failure, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import AUTOSCALERS, SCALED_OBJECTS, VPAS, Resource, Selection
from gpupool.model import kedanote, vpanote
from gpupool.model.hpanote import write_note
from gpupool.model.resources import LeaveVpa, VpaNote
from gpupool.model.scalerwrites import GiveBack
from gpupool.model.steering import Limits, Originals, ScalerKind, canonical

OURS = canonical([{"containerName": "main"}])
HPA_NOTE = "gpupool.dev/hpa-originals"
PAUSED = "autoscaling.keda.sh/paused"
NOTE = write_note(Originals(Limits(1, 9), Limits(1, 4)))
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}


def an_object(name: str, annotations: dict[str, str], **spec: Any) -> dict[str, Any]:
    meta = {"namespace": "vision", "name": name, "uid": name, "resourceVersion": "7"}
    return {"metadata": {**meta, "annotations": annotations}, "spec": spec}


class Server:
    """Lists what it has; what it does not serve is not found."""

    def __init__(self, objects: dict[Resource, list[dict[str, Any]]]) -> None:
        self._objects = objects

    async def list_all(self, selection: Selection) -> list[dict[str, Any]]:
        if selection.resource not in self._objects:
            raise NotFound(selection.path, Failure(404))
        return self._objects[selection.resource]


async def released(monkeypatch: pytest.MonkeyPatch, server: Server) -> list[Any]:
    done: list[Any] = []

    async def note(_writer: Any, action: Any, *, epoch: int) -> None:
        assert epoch == module.LAST
        done.append(action)

    monkeypatch.setattr(autoscalers, "give_back", note)
    monkeypatch.setattr(vpas, "leave", note)
    release = module._Release(cast("KubeClient", server), lambda _: None)
    await release.autoscalers()
    await release.vpas()
    assert (release.count, release.failures) == (len(done), 0)
    return done


async def test_what_carries_a_note_is_given_back_a_paused_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hpa = {"scaleTargetRef": TARGET, "minReplicas": 1, "maxReplicas": 4}
    scaled = {"scaleTargetRef": {"name": "chat"}, "minReplicaCount": 1, "maxReplicaCount": 4}
    made, adopted = VpaNote("", OURS, made=True), VpaNote("", OURS)
    server = Server(
        {
            AUTOSCALERS: [an_object("bare", {}, **hpa), an_object("hpa", {HPA_NOTE: NOTE}, **hpa)],
            SCALED_OBJECTS: [an_object("so", {kedanote.ORIGINALS: NOTE, PAUSED: "true"}, **scaled)],
            VPAS: [
                an_object("theirs", {}, targetRef=TARGET),
                an_object("made", {vpanote.ORIGINALS: vpanote.write_note(made)}, targetRef=TARGET),
                an_object("adopted", {vpanote.ORIGINALS: vpanote.write_note(adopted)}, targetRef=TARGET),
                an_object("nothing", {}),
            ],
        }
    )
    hpas, keda, *others = await released(monkeypatch, server)
    assert isinstance(hpas, GiveBack)
    assert isinstance(keda, GiveBack)
    assert (hpas.kind, keda.kind) == (ScalerKind.HPA, ScalerKind.SCALED_OBJECT)
    assert [(v.vpa.name, v.note) for v in others if isinstance(v, LeaveVpa)] == [
        ("made", made),
        ("adopted", adopted),
    ]


async def test_kinds_that_are_not_served_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await released(monkeypatch, Server({AUTOSCALERS: []})) == []

"""Uninstalling lets go of rollouts: our pause and our note, and nothing of anybody else."""

from typing import Any, cast

import pytest

from gpupool.applier import rollouts
from gpupool.cli import release
from gpupool.errors import Failure, kube_error
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json
from gpupool.model.rollout import Acted, ResumeRollout
from gpupool.model.rolloutnote import NOTE, write_acted

OURS = {"manager": "gpupool", "fieldsV1": {"f:spec": {"f:paused": {}}}}
THEIRS = {"manager": "kubectl-rollout", "fieldsV1": {"f:spec": {"f:paused": {}}}}


def a_deployment(name: str, *, noted: bool = True, manager: Json | None = None) -> Json:
    note = {NOTE: write_acted([Acted("Pause", "7d9f", "t")])} if noted else {}
    metadata = {"namespace": "chat-prod", "name": name, "uid": name, "resourceVersion": "7"}
    owners = [] if manager is None else [manager]
    return {
        "metadata": {**metadata, "annotations": note, "managedFields": owners},
        "spec": {"paused": manager is not None, "template": {}},
    }


class Client:
    """Lists Deployments."""

    def __init__(self, *found: Json) -> None:
        self.found = list(found)

    async def list_all(self, _selection: Any) -> list[Json]:
        return self.found


async def test_pauses_of_ours_are_lifted_and_notes_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[ResumeRollout] = []

    async def resume(_writer: Any, action: ResumeRollout, *, epoch: int) -> None:
        assert epoch == release.LAST
        if action.target.name == "gone":
            raise kube_error("PATCH", Failure(500, "Broken"))
        done.append(action)

    monkeypatch.setattr(rollouts, "resume", resume)
    client = Client(
        a_deployment("ours", manager=OURS),
        a_deployment("theirs", manager=THEIRS),
        a_deployment("plain", noted=False, manager=THEIRS),
        a_deployment("gone"),
    )
    said: list[str] = []
    made = release._Release(cast("KubeClient", client), said.append)
    await made.rollouts()
    assert [(a.target.name, a.paused, a.version) for a in done] == [
        ("ours", True, "7"),
        ("theirs", False, "7"),
    ]
    assert (made.count, made.failures) == (2, 1)
    assert said[0] == "release: let go of the rollout of Deployment chat-prod/ours"

"""Raises rest on what was seen just now, and none whose fate is unknown is forgotten (law 2)."""

from typing import Any, cast

import pytest

from gpupool.applier import execute
from gpupool.applier.execute import Executor, Results
from gpupool.applier.policyset import PolicySet
from gpupool.applier.serverside import Writer
from gpupool.errors import Conflict, Failure, KubeError, NotFound, ServerError, Unreachable
from gpupool.kube.client import KubeClient
from gpupool.model.annotations import EPOCH, SETTLED
from gpupool.model.plan import Action, SetQuota
from support.builders import GPU, a_pool
from support.notedwriter import NotedWriter, Write

POOL = a_pool()


def a_set(namespace: str, *, raises: bool) -> SetQuota:
    return SetQuota(namespace, {GPU: 8}, {}, {}, "7", raises, "u")


def error(kind: type[KubeError], *, unsure: bool | None = None) -> KubeError:
    found = kind("PATCH /x", Failure(message="no"))
    found.unsure = found.unsure if unsure is None else unsure
    return found


class Rig:
    """An executor, the writes that it makes, and quotas as the server has them."""

    def __init__(self) -> None:
        self.writer = NotedWriter()
        self.answers: list[Any] = []
        self.clock = 0.0
        self.executor = Executor(
            cast("KubeClient", self),
            cast("Writer", self.writer),
            cast("PolicySet", None),
            monotonic=lambda: self.clock,
        )

    async def look_up(self, *_: Any) -> Any:
        """The quota as it stands: version 9, unless told otherwise."""
        found = self.answers.pop(0) if self.answers else {"metadata": {"resourceVersion": "9"}}
        if isinstance(found, KubeError):
            raise found
        return found

    async def run(self, *actions: Action) -> Results:
        results = Results()
        self.writer.writes.clear()
        await self.executor.walls(POOL, actions, results, epoch=5)
        return results


async def unsure_of(rig: Rig, namespace: str, kind: type[KubeError] = Unreachable) -> None:
    """A raise of a namespace gets no answer."""
    rig.writer.refuse["raise", f"{namespace}/gpupool"] = error(kind)
    await rig.run(a_set(namespace, raises=True))
    rig.writer.refuse.clear()


@pytest.mark.parametrize("kind", [Unreachable, ServerError])
async def test_a_raise_without_an_answer_is_settled_before_any_other(kind: type[KubeError]) -> None:
    rig = Rig()
    await unsure_of(rig, "a", kind)
    other = a_set("b", raises=True)
    results = await rig.run(other, a_set("c", raises=False))
    assert rig.writer.told == ["apply ResourceQuota c/gpupool", "patch ResourceQuota a/gpupool"]
    version, operations = rig.writer.writes[1].body
    assert version == 9
    values = {o["path"].rpartition("/")[2].replace("~1", "/"): o["value"] for o in operations}
    assert (values[EPOCH], values[SETTLED]) == ("5", "9"), "what is under way meets another version"
    assert results.refused == [other], "decided on what was believed before: anew"
    assert (await rig.run(other)).done == [other]


async def test_what_cannot_be_settled_keeps_every_raise_waiting() -> None:
    rig = Rig()
    await unsure_of(rig, "a")
    rig.answers = [error(Unreachable), error(Unreachable)]
    other = a_set("b", raises=True)
    assert (await rig.run(other)).refused == [other]
    assert (await rig.run(other)).refused == [other]
    assert (await rig.run(other)).refused == [other], "settled now, and decided anew"
    assert (await rig.run(other)).done == [other]


async def test_a_quota_that_is_gone_is_settled_and_one_that_changes_is_looked_at_again() -> None:
    rig = Rig()
    await unsure_of(rig, "a")
    rig.answers = [error(NotFound)]
    assert (await rig.run(a_set("b", raises=True))).refused
    assert rig.writer.told == []
    await unsure_of(rig, "a")

    def once(write: Write) -> None:
        if write.verb == "patch" and len(rig.writer.writes) == 1:
            raise error(Conflict)

    rig.writer.on_write = once
    await rig.run()
    assert rig.writer.told == ["patch ResourceQuota a/gpupool"] * 2


@pytest.mark.parametrize(("unsure", "settled"), [(False, 0), (True, 1)])
async def test_a_refusal_is_an_answer_unless_an_attempt_before_it_had_none(
    *, unsure: bool, settled: int
) -> None:
    rig = Rig()
    rig.writer.refuse["raise", "a/gpupool"] = error(Conflict, unsure=unsure)
    await rig.run(a_set("a", raises=True))
    rig.writer.refuse.clear()
    await rig.run()
    assert len(rig.writer.writes) == settled


async def test_a_lowering_without_an_answer_needs_no_settling() -> None:
    rig = Rig()
    rig.writer.refuse["apply", "a/gpupool"] = error(Unreachable)
    await rig.run(a_set("a", raises=False))
    raised = a_set("b", raises=True)
    assert (await rig.run(raised)).done == [raised]


@pytest.mark.parametrize(("took", "waits"), [(0.1, False), (execute.TIMELY + 0.1, True)])
async def test_raises_wait_where_lowering_took_long(*, took: float, waits: bool) -> None:
    rig = Rig()

    def slowly(_: Write) -> None:
        rig.clock += took

    rig.writer.on_write = slowly
    raised = a_set("b", raises=True)
    results = await rig.run(a_set("a", raises=False), raised)
    assert (results.refused == [raised]) is waits
    assert ("raise ResourceQuota b/gpupool" in rig.writer.told) is not waits

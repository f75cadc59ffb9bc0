"""The pool's policies: written when they are not as asked, pruned in an order that denies nothing."""

from dataclasses import replace
from typing import Any, cast

import pytest

from gpupool.applier.policies import ProbePod, pool_policies, probe_pods
from gpupool.applier.policyset import PolicyContext, PolicySet
from gpupool.applier.serverside import Writer
from gpupool.errors import Conflict, Failure, Forbidden, Invalid, KubeError, Unreachable
from gpupool.kube.client import KubeClient
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Pool
from support.builders import a_pool
from support.notedwriter import NotedWriter, Write

CONTEXT = PolicyContext(("kube-system",), "sre", "gpupool-probe")
ENFORCE = SetPolicies(enforce=True, recommend=(), nodes_labelled=True, mutate=True)
RECOMMEND = SetPolicies(enforce=False, recommend=("vision",), nodes_labelled=False, mutate=False)
NOTHING = SetPolicies(enforce=False, recommend=(), nodes_labelled=False, mutate=False)
POOL = a_pool()


class Rig:
    """A policy set whose writes stand at once in what is present."""

    def __init__(self) -> None:
        self.present: dict[tuple[str, str], str] = {}
        self.writer = NotedWriter(on_write=self._stand)
        self.client = Client()
        self.set = PolicySet(
            cast("KubeClient", self.client),
            cast("Writer", self.writer),
            CONTEXT,
            lambda _: dict(self.present),
        )

    def _stand(self, write: Write) -> None:
        if write.verb == "delete":
            self.present.pop((write.kind, write.name))
        else:
            self.present[write.kind, write.name] = str(self.writer.version + 1)

    async def ensure(self, asked: SetPolicies, pool: Pool = POOL) -> bool:
        self.writer.writes.clear()
        return await self.set.ensure(pool, asked, epoch=1)


class Client:
    """Answers dry runs: by default everything is let through."""

    def __init__(self) -> None:
        self.answers: dict[str, KubeError] = {}
        self.asked: list[str] = []

    async def create(self, _: Any, body: dict[str, Any], *, dry_run: bool) -> None:
        assert dry_run
        name = body["metadata"].get("name") or body["metadata"]["generateName"]
        self.asked.append(name)
        if name in self.answers:
            raise self.answers[name]


async def test_policies_are_written_once_and_then_stand() -> None:
    rig = Rig()
    assert not rig.set.current(POOL, ENFORCE)
    assert await rig.ensure(ENFORCE)
    bodies = [(b["kind"], b["metadata"]["name"]) for b in map(dict, _objects(ENFORCE))]  # type: ignore[index] # JSON
    assert [(w.kind, w.name) for w in rig.writer.writes] == bodies, "in the order of the builders"
    assert rig.set.current(POOL, ENFORCE)
    assert not await rig.ensure(ENFORCE)
    assert rig.writer.writes == []


def _objects(asked: SetPolicies) -> list[dict[str, object]]:
    return pool_policies(Rig().set.spec(POOL, asked))


async def test_a_change_by_anybody_is_seen_and_written_over() -> None:
    rig = Rig()
    await rig.ensure(ENFORCE)
    victim = next(iter(rig.present))
    rig.present[victim] = "999"
    assert not rig.set.current(POOL, ENFORCE)
    assert await rig.ensure(ENFORCE)
    assert rig.set.current(POOL, ENFORCE)
    del rig.present[victim]
    assert not rig.set.current(POOL, ENFORCE), "a deleted policy is a change, too"


async def test_another_ask_and_another_generation_are_written() -> None:
    rig = Rig()
    await rig.ensure(ENFORCE)
    assert not rig.set.current(POOL, RECOMMEND)
    changed = replace(POOL, generation=2)
    assert not rig.set.current(changed, ENFORCE)
    assert await rig.ensure(ENFORCE, changed)


async def test_a_pool_made_anew_under_the_same_name_owns_its_policies() -> None:
    rig = Rig()
    await rig.ensure(ENFORCE)
    again = replace(POOL, uid="uid-of-the-second")
    assert not rig.set.current(again, ENFORCE), "the first one's objects are about to be collected"


async def test_where_somebody_else_owns_a_part_of_the_spec_it_is_replaced_whole() -> None:
    rig = Rig()
    body: Any = _objects(ENFORCE)[0]
    name = body["metadata"]["name"]
    entry = {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:failurePolicy": {}}}}
    rig.writer.shows[name] = {"metadata": {"managedFields": [entry]}}
    await rig.ensure(ENFORCE)
    patches = [(w.name, w.body[1]) for w in rig.writer.writes if w.verb == "patch"]
    assert patches == [(name, [{"op": "replace", "path": "/spec", "value": body["spec"]}])]
    assert rig.set.current(POOL, ENFORCE)


async def test_going_back_leaves_nothing_and_removes_bindings_before_what_they_bind() -> None:
    rig = Rig()
    await rig.ensure(ENFORCE)
    await rig.ensure(NOTHING)
    assert rig.present == {}
    bindings = [w.kind.endswith("Binding") for w in rig.writer.writes]
    assert bindings == sorted(bindings, reverse=True)
    assert {w.verb for w in rig.writer.writes} == {"delete"}


async def test_fewer_policies_are_written_before_the_surplus_goes() -> None:
    rig = Rig()
    await rig.ensure(ENFORCE)
    await rig.ensure(RECOMMEND)
    verbs = [w.verb for w in rig.writer.writes]
    assert verbs == sorted(verbs), "apply comes before delete"
    assert {(w.kind, w.name) for w in rig.writer.writes if w.verb == "apply"} == set(rig.present)


async def test_an_attempt_that_failed_half_way_is_made_again_whole() -> None:
    rig = Rig()
    body = _objects(ENFORCE)[1]
    name = str(cast("dict[str, Any]", body["metadata"])["name"])
    rig.writer.refuse["apply", name] = Forbidden("PATCH /x", Failure(message="rbac"))
    with pytest.raises(Forbidden):
        await rig.ensure(ENFORCE)
    assert not rig.set.current(POOL, ENFORCE)
    rig.writer.refuse.clear()
    assert await rig.ensure(ENFORCE)
    assert rig.set.current(POOL, ENFORCE)


def _name(attempt: ProbePod) -> str:
    meta: Any = attempt.manifest["metadata"]
    return str(meta["name"])


DENIED = 'policy "{}" with binding "b" denied request'


@pytest.mark.parametrize("asked", [ENFORCE, RECOMMEND])
async def test_a_probe_names_what_was_not_answered_as_it_must_be(asked: SetPolicies) -> None:
    rig = Rig()
    attempts = probe_pods(rig.set.spec(POOL, asked))
    deniable = tuple(a.name for a in attempts if a.expect_denied)
    assert await rig.set.probe(POOL, asked) == deniable, "nothing is denied yet"
    for attempt in attempts:
        if attempt.expect_denied:
            name = _name(attempt)
            message = DENIED.format(attempt.policy)
            rig.client.answers[name] = Forbidden("POST /x", Failure(message=message))
    assert await rig.set.probe(POOL, asked) == ()
    for name in rig.client.answers:
        rig.client.answers[name] = Forbidden("POST /x", Failure(message="exceeded quota: other"))
    assert await rig.set.probe(POOL, asked) == deniable, "a refusal by somebody else proves nothing"


@pytest.mark.parametrize("failure", [Unreachable, Invalid, Conflict])
async def test_a_probe_without_an_answer_proves_nothing(failure: type[KubeError]) -> None:
    rig = Rig()
    attempts = probe_pods(rig.set.spec(POOL, ENFORCE))
    for attempt in attempts:
        rig.client.answers[_name(attempt)] = failure("POST /x", Failure())
    assert await rig.set.probe(POOL, ENFORCE) == tuple(a.name for a in attempts)

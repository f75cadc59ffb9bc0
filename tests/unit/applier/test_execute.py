"""A plan carried out: in which order, on what each write rests, what is said of failures."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from gpupool.applier.execute import Executor, Results
from gpupool.applier.policyset import PolicySet
from gpupool.applier.serverside import Writer
from gpupool.errors import Cause, Conflict, Failure, Forbidden, KubeError, NotFound, TooManyRequests
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import DeleteOptions, Precondition
from gpupool.model.objects import Key
from gpupool.model.plan import Action, DropQuota, Evict, LabelNamespace, MarkNode, SetPolicies, SetQuota
from support.builders import GPU, a_pool
from support.notedwriter import NotedWriter, Write

POOL = a_pool()
POLICIES = SetPolicies(enforce=True, recommend=(), nodes_labelled=True, mutate=False)
NODE_LABEL = "gpupool.dev.node-restriction.kubernetes.io/pool"
TAINT = {"key": "gpupool.dev/pool", "value": "lab", "effect": "NoSchedule"}


class Policies:
    """Notes when policies are kept, beside the writes."""

    def __init__(self, writer: NotedWriter) -> None:
        self._writer = writer

    async def ensure(self, *_: Any, epoch: int) -> bool:
        await self._writer.apply(_KIND, {"metadata": {"name": "policies"}}, epoch=epoch, force=True)
        return True


class _Kind:
    kind = "Policies"


_KIND = cast("Any", _Kind)


def a_set(namespace: str, *, raises: bool, uid: str = "u", hard: int = 8) -> SetQuota:
    return SetQuota(namespace, {GPU: hard}, {}, {}, "7", raises, uid)


def an_evict(pod: str, *, force: bool = False) -> Evict:
    return Evict(Key("a", pod), f"uid-{pod}", "train", force)


async def run(writer: NotedWriter, *actions: Action) -> Results:
    executor = Executor(cast("KubeClient", None), cast("Writer", writer), cast("PolicySet", Policies(writer)))
    return await executor.run(POOL, actions, epoch=5)


def error(kind: type[KubeError], *causes: Cause) -> KubeError:
    return kind("PATCH /x", Failure(message="no", causes=causes))


async def test_lowerings_go_before_raises_before_marks_before_evictions_whatever_the_plans_order() -> None:
    writer = NotedWriter()
    await run(
        writer,
        an_evict("p"),
        POLICIES,
        a_set("up", raises=True),
        LabelNamespace("up", "lab"),
        a_set("down", raises=False),
        DropQuota("gone"),
        MarkNode("n1", "lab", taint=False),
    )
    assert writer.told == [
        "apply ResourceQuota down/gpupool",
        "delete ResourceQuota gone/gpupool",
        "raise ResourceQuota up/gpupool",
        "apply Policies policies",
        "apply Namespace up",
        "apply Node n1",
        "evict Pod a/p",
    ]
    assert {w.epoch for w in writer.writes} == {5}


@pytest.mark.parametrize(
    "order",
    [
        (LabelNamespace("a", "lab"), POLICIES, MarkNode("n1", "lab", taint=False)),
        (MarkNode("n1", None, taint=False), POLICIES, LabelNamespace("a", None)),
    ],
)
async def test_marks_and_policies_keep_the_plans_order(order: Sequence[Action]) -> None:
    writer = NotedWriter()
    await run(writer, *order)
    kinds = {LabelNamespace: "Namespace", SetPolicies: "Policies", MarkNode: "Node"}
    assert [w.kind for w in writer.writes] == [kinds[type(action)] for action in order]


async def test_a_raise_rests_on_the_very_quota_it_was_decided_on() -> None:
    writer = NotedWriter()
    await run(writer, a_set("a", raises=True), a_set("b", raises=True, uid=""))
    known, first = writer.writes
    assert known.body[0] == Precondition("u", 7)
    assert first.body[0] is None, "a first quota must meet none"


async def test_a_lowering_too_begins_at_the_quota_that_was_seen() -> None:
    writer = NotedWriter()
    await run(writer, a_set("a", raises=False))
    meta = writer.writes[0].body["metadata"]
    assert (meta["uid"], meta["resourceVersion"]) == ("u", "7")


async def test_a_first_quota_is_made_only_where_there_is_none_also_when_it_raises_nothing() -> None:
    writer = NotedWriter()
    await run(writer, a_set("a", raises=False, uid=""))
    assert writer.told == ["raise ResourceQuota a/gpupool"]


async def test_a_node_is_labelled_before_it_is_tainted_at_the_version_the_label_left() -> None:
    other = {"key": "x", "effect": "NoSchedule"}
    writer = NotedWriter(shows={"n1": {"spec": {"taints": [other]}}})
    await run(writer, MarkNode("n1", "lab", taint=True))
    label, taint = writer.writes
    assert label.body == {"metadata": {"name": "n1", "labels": {NODE_LABEL: "lab"}}}
    assert taint.body == (101, [{"op": "add", "path": "/spec/taints", "value": [other, TAINT]}])


async def test_a_node_whose_taints_are_right_is_not_patched() -> None:
    writer = NotedWriter(shows={"n1": {"spec": {"taints": [TAINT]}}})
    await run(writer, MarkNode("n1", "lab", taint=True), MarkNode("n2", "lab", taint=False))
    assert writer.told == ["apply Node n1", "apply Node n2"]


async def test_what_somebody_else_wrote_too_stays_when_we_give_ours_up() -> None:
    label = {"metadata": {"labels": {"gpupool.dev/pool": "lab", NODE_LABEL: "lab"}}}
    writer = NotedWriter(shows={"a": label, "n1": label | {"spec": {"taints": [TAINT]}}})
    await run(writer, LabelNamespace("a", None), MarkNode("n1", None, taint=False))
    assert writer.told == ["apply Namespace a", "apply Node n1", "patch Node n1"]
    assert writer.writes[2].body[1] == [{"op": "add", "path": "/spec/taints", "value": []}]


@pytest.mark.parametrize(("times", "failed"), [(1, 0), (9, 1)])
async def test_a_taint_is_tried_again_where_the_node_changed_meanwhile(times: int, failed: int) -> None:
    writer = NotedWriter(shows={"n1": {"spec": {"taints": [TAINT]}}})
    refused: list[Write] = []

    def refuse(write: Write) -> None:
        if write.verb == "patch" and len(refused) < times:
            refused.append(write)
            raise error(Conflict)

    writer.on_write = refuse
    results = await run(writer, MarkNode("n1", None, taint=False))
    assert len(results.failed) == failed
    assert writer.told[:3] == ["apply Node n1", "patch Node n1", "apply Node n1"]


async def test_a_label_that_somebody_else_wrote_is_removed_where_a_pool_enforces() -> None:
    labels = {"gpupool.dev/pool": "lab"}
    writer = NotedWriter(shows={"a": {"metadata": {"labels": labels}}})
    await run(writer, LabelNamespace("a", None, theirs=True))
    assert writer.told == ["apply Namespace a", "patch Namespace a"]
    assert writer.writes[1].body == (101, [{"op": "remove", "path": "/metadata/labels/gpupool.dev~1pool"}])


async def test_a_failure_is_noted_and_stops_no_other() -> None:
    down, up, mark = a_set("a", raises=False), a_set("b", raises=True), LabelNamespace("c", "lab")
    writer = NotedWriter(
        refuse={("apply", "a/gpupool"): error(Forbidden), ("raise", "b/gpupool"): error(Conflict)}
    )
    results = await run(writer, down, up, mark, an_evict("p"))
    assert [type(e) for _, e in results.failed] == [Forbidden, Conflict]
    assert results.done == [mark, an_evict("p")]
    assert results.unwalled == {"a", "b"}


async def test_an_error_that_is_no_answer_of_the_server_is_not_swallowed() -> None:
    writer = NotedWriter(refuse={("apply", "a/gpupool"): cast("KubeError", RuntimeError("a bug"))})
    with pytest.raises(RuntimeError, match="a bug"):
        await run(writer, a_set("a", raises=False))


@pytest.mark.parametrize(
    ("answer", "done", "blocked", "failed"),
    [
        (None, 1, 0, 0),
        (error(NotFound), 1, 0, 0),
        (error(Conflict), 1, 0, 0),
        (error(TooManyRequests, Cause("DisruptionBudget")), 0, 1, 0),
        (error(TooManyRequests), 0, 0, 1),
        (error(Forbidden), 0, 0, 1),
    ],
)
async def test_an_eviction_is_done_blocked_or_failed(
    answer: KubeError | None, done: int, blocked: int, failed: int
) -> None:
    writer = NotedWriter(refuse={} if answer is None else {("evict", "a/p"): answer})
    results = await run(writer, an_evict("p"))
    assert (len(results.done), len(results.blocked), len(results.failed)) == (done, blocked, failed)
    assert writer.writes[0].body == DeleteOptions(uid="uid-p")


async def test_a_pod_past_its_time_is_deleted_with_its_own_grace_and_no_namesake() -> None:
    writer = NotedWriter()
    results = await run(writer, an_evict("p", force=True))
    assert writer.told == ["delete Pod a/p"]
    assert writer.writes[0].body == DeleteOptions(uid="uid-p")
    assert results.done == [an_evict("p", force=True)]


def test_only_quotas_that_could_not_be_written_leave_a_namespace_unwalled() -> None:
    results = Results(
        done=[a_set("ok", raises=True)],
        failed=[
            (LabelNamespace("label", "lab"), error(Conflict)),
            (a_set("failed", raises=True), error(Conflict)),
        ],
        refused=[a_set("refused", raises=True), DropQuota("dropped")],
    )
    assert results.unwalled == {"failed", "refused"}

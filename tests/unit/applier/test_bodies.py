"""Bodies of writes: identity and owned fields, nothing else."""

import json

import pytest

from gpupool.applier import bodies
from gpupool.collector import projections
from gpupool.model.objects import Timer
from gpupool.model.plan import LabelNamespace, MarkNode, SetQuota
from gpupool.model.reasons import Stage
from support.builders import GPU, NOW, a_pool

MIG = "nvidia.com/mig-1g.10gb"
OURS = {"key": "gpupool.dev/pool", "value": "lab", "effect": "NoSchedule"}
OTHER = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}
TIMER = Timer(Stage.WARNED, NOW, NOW, target=4, workload="app=x")


def a_set(hard: dict[str, int], **more: object) -> SetQuota:
    fields = {"timers": {}, "implicit": {}, "resource_version": "7", "raises": False} | more
    return SetQuota("vision-lab", hard, **fields)  # type: ignore[arg-type] # fields by name


def test_a_quota_carries_its_numbers_as_text_and_who_it_belongs_to() -> None:
    body = bodies.quota(a_pool(), a_set({MIG: 2, GPU: 2000}), epoch=3)
    assert body == {
        "metadata": {
            "name": "gpupool",
            "namespace": "vision-lab",
            "labels": {
                "app.kubernetes.io/managed-by": "gpupool",
                "app.kubernetes.io/name": "gpupool",
                "gpupool.dev/pool": "lab",
            },
            "annotations": {"gpupool.dev/epoch": "3"},
            "ownerReferences": [
                {
                    "apiVersion": "gpupool.dev/v1alpha1",
                    "kind": "GpuPool",
                    "name": "lab",
                    "uid": "uid-lab",
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {"hard": {f"requests.{GPU}": "2000", f"requests.{MIG}": "2"}},
    }


def test_what_a_quota_carries_beside_its_numbers_is_read_back_as_it_was() -> None:
    action = a_set({GPU: 8}, timers={"train": TIMER}, implicit={GPU: 3})
    body = bodies.quota(a_pool(), action, epoch=1)
    stored = body | {"metadata": body["metadata"] | {"uid": "u", "resourceVersion": "8"}}
    found = projections.quota(stored)
    assert found is not None
    assert (found.ours, found.pool, found.epoch, found.hard) == (True, "lab", "1", {GPU: 8})
    assert (found.timers, found.implicit) == ({"train": TIMER}, {GPU: 3})


def test_the_same_action_is_the_same_body() -> None:
    one = a_set({GPU: 8, MIG: 1}, timers={"a": TIMER, "b": TIMER}, implicit={GPU: 1, MIG: 2})
    two = a_set({MIG: 1, GPU: 8}, timers={"b": TIMER, "a": TIMER}, implicit={MIG: 2, GPU: 1})
    first, second = (json.dumps(bodies.quota(a_pool(), action, epoch=1)) for action in (one, two))
    assert first == second


def test_a_label_that_is_left_out_is_given_up() -> None:
    assert bodies.namespace_label(LabelNamespace("a", "lab")) == {
        "metadata": {"name": "a", "labels": {"gpupool.dev/pool": "lab"}}
    }
    assert bodies.namespace_label(LabelNamespace("a", None))["metadata"] == {"name": "a", "labels": {}}
    label = "gpupool.dev.node-restriction.kubernetes.io/pool"
    labelled, freed = MarkNode("n", "lab", taint=True), MarkNode("n", None, taint=False)
    assert bodies.node_label(labelled)["metadata"]["labels"] == {label: "lab"}
    assert bodies.node_label(freed)["metadata"]["labels"] == {}


def test_a_mark_names_the_very_object_it_was_decided_on() -> None:
    assert bodies.namespace_label(LabelNamespace("a", "lab", "u"))["metadata"]["uid"] == "u"
    assert bodies.node_label(MarkNode("n", None, taint=False, uid="u"))["metadata"]["uid"] == "u"


@pytest.mark.parametrize(
    ("present", "pool", "wanted"),
    [
        ([], "lab", [OURS]),
        ([OTHER], "lab", [OTHER, OURS]),
        ([OTHER, OURS], "lab", [OTHER, OURS]),
        ([OURS | {"value": "old"}], "lab", [OURS]),
        ([OURS | {"effect": "NoExecute"}, OURS], "lab", [OURS]),
        ([OURS, OTHER], None, [OTHER]),
        ([OURS], None, []),
        ([], None, []),
        (
            [OTHER | {"effect": "NoExecute", "timeAdded": "x"}],
            None,
            [OTHER | {"effect": "NoExecute", "timeAdded": "x"}],
        ),
    ],
)
def test_only_our_taint_is_set_or_removed(
    present: list[dict[str, str]], pool: str | None, wanted: list[dict[str, str]]
) -> None:
    before = [dict(taint) for taint in present]
    assert bodies.taints(present, pool) == wanted
    assert present == before, "what was read is left as it is"

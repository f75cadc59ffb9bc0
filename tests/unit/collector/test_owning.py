"""Who wrote our marks, as the server notes it."""

from typing import Any

import pytest

from gpupool.collector import projections as see
from gpupool.model.marks import NODE_LABEL, POOL_LABEL

TAINT = {"key": "gpupool.dev/pool", "value": "lab", "effect": "NoSchedule"}
LABELS: dict[str, Any] = {"f:metadata": {"f:labels": {".": {}, f"f:{NODE_LABEL}": {}, f"f:{POOL_LABEL}": {}}}}
TAINTS: dict[str, Any] = {"f:spec": {"f:taints": {}}}


def by(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields} | more


@pytest.mark.parametrize(
    ("entries", "ours"),
    [
        ([], False),
        ([by("gpupool", LABELS)], True),
        ([by("karpenter", LABELS), by("gpupool", LABELS)], True),
        ([by("karpenter", LABELS)], False),
        ([by("gpupool", {"f:metadata": {"f:labels": {"f:other": {}}}})], False),
        ([by("gpupool", TAINTS, operation="Update")], True),
        ([by("karpenter", TAINTS)], False),
        ([by("gpupool", LABELS, subresource="status")], False),
    ],
)
def test_a_nodes_mark_is_ours_where_we_wrote_it(entries: list[dict[str, Any]], ours: bool) -> None:
    meta = {"name": "n", "labels": {NODE_LABEL: "lab"}, "managedFields": entries}
    assert see.node({"metadata": meta, "spec": {"taints": [TAINT]}}).ours is ours


def test_a_list_of_taints_that_we_wrote_last_is_no_mark_without_ours_on_it() -> None:
    meta = {"name": "n", "managedFields": [by("gpupool", TAINTS)]}
    assert not see.node({"metadata": meta, "spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]}}).ours


@pytest.mark.parametrize(("manager", "ours"), [("gpupool", True), ("kubectl", False)])
def test_a_namespaces_label_is_ours_where_we_wrote_it(manager: str, ours: bool) -> None:
    found = see.namespace({"metadata": {"name": "a", "managedFields": [by(manager, LABELS)]}})
    assert found is not None
    assert found.ours is ours

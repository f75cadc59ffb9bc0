"""Projection of a VPA."""

from typing import Any

from gpupool.collector.vpas import vpa
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.resources import Recommendation, VpaNote
from gpupool.model.steering import canonical
from gpupool.model.vpanote import ORIGINALS, write_note

POLICIES = [{"containerName": "main"}]


def a_vpa(spec: dict[str, Any] | None = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    meta = {"namespace": "vision", "name": "vpa", "uid": "u", "resourceVersion": "7"}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    return {"metadata": meta | metadata, "spec": {"targetRef": target} | (spec or {}), "status": status}


def test_one_that_says_little() -> None:
    found = vpa(a_vpa())
    assert found is not None
    assert (found.key, found.uid, found.version) == (Key("vision", "vpa"), "u", "7")
    assert found.target == ObjectRef("apps/v1", "Deployment", "chat")
    assert (found.mode, found.policies, found.recommendations, found.note) == ("", "", {}, None)


def test_one_that_says_all() -> None:
    note = VpaNote("", canonical(POLICIES))
    row = {"containerName": "main", "target": {"cpu": "25m", "memory": 262144000}, "lowerBound": {"cpu": 1}}
    managed = [
        {"manager": "gpupool", "fieldsV1": {"f:spec": {"f:resourcePolicy": {"f:containerPolicies": {}}}}},
        {"manager": "helm", "fieldsV1": {"f:spec": {"f:resourcePolicy": {"f:containerPolicies": {}}}}},
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:targetRef": {}}}},
    ]
    found = vpa(
        a_vpa(
            {"updatePolicy": {"updateMode": "Initial"}, "resourcePolicy": {"containerPolicies": POLICIES}},
            {"recommendation": {"containerRecommendations": [row, {}]}},
            annotations={ORIGINALS: write_note(note)},
            managedFields=managed,
        )
    )
    assert found is not None
    assert (found.mode, found.policies, found.note) == ("Initial", canonical(POLICIES), note)
    assert found.recommendations == {
        "main": Recommendation({"cpu": "25m", "memory": "262144000"}, {"cpu": "1"})
    }
    assert found.writers == ("helm",)


def test_one_that_scales_nothing_is_none() -> None:
    assert vpa(a_vpa({"targetRef": None})) is None
    assert vpa({"metadata": {}}) is None

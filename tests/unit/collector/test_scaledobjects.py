"""Projection of a ScaledObject, and the note on it."""

from datetime import timedelta
from typing import Any

import pytest

from gpupool.collector.scaledobjects import scaled_object
from gpupool.model.hpanote import HIGH, LOW, write_note
from gpupool.model.kedanote import ORIGINALS, fields_of, limits_of, note_of
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Limits, Originals, ScalerKind, canonical
from support.builders import NOW

DOWN = {"scaleDown": {"stabilizationWindowSeconds": 7}}
KEDA = "autoscaling.keda.sh/"
BARE = Limits(0, 100, unsaid=frozenset({LOW, HIGH}))


def a_scaled_object(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    meta = {"namespace": "chat-prod", "name": "so", "uid": "u", "resourceVersion": "7"}
    return {"metadata": meta | metadata, "spec": {"scaleTargetRef": {"name": "chat"}} | (spec or {})}


def test_a_scaled_object_that_says_little() -> None:
    found = scaled_object(a_scaled_object())
    assert found is not None
    assert (found.key, found.uid, found.version) == (Key("chat-prod", "so"), "u", "7")
    assert found.target == ObjectRef("apps/v1", "Deployment", "chat")
    assert (found.kind, found.limits, found.idle) == (ScalerKind.SCALED_OBJECT, BARE, None)
    assert (found.originals, found.writers, found.paused) == (None, (), "")


def test_a_scaled_object_that_says_all() -> None:
    target = {"apiVersion": "apps/v2", "kind": "StatefulSet", "name": "chat"}
    config = {"horizontalPodAutoscalerConfig": {"name": "own", "behavior": DOWN}}
    spec = {"minReplicaCount": 2, "maxReplicaCount": 5, "idleReplicaCount": 0, "advanced": config}
    managed = [
        {"manager": "gpupool", "fieldsV1": {"f:spec": {"f:minReplicaCount": {}}}},
        {"manager": "helm", "fieldsV1": {"f:spec": {"f:maxReplicaCount": {}}}},
        {
            "manager": "argocd",
            "fieldsV1": {"f:spec": {"f:advanced": {"f:horizontalPodAutoscalerConfig": {"f:behavior": {}}}}},
        },
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:triggers": {}}}},
        {"manager": "keda", "subresource": "status"},
    ]
    found = scaled_object(a_scaled_object({**spec, "scaleTargetRef": target}, managedFields=managed))
    assert found is not None
    assert found.target == ObjectRef("apps/v2", "StatefulSet", "chat")
    assert (found.limits, found.idle) == (Limits(2, 5, canonical(DOWN)), 0)
    assert found.writers == ("argocd", "helm")


def test_what_it_scales_on_by_utilisation_is_told() -> None:
    triggers = [{"type": "cpu"}, {"type": "memory", "metricType": "AverageValue"}, {"type": "prometheus"}]
    found = scaled_object(a_scaled_object({"triggers": triggers}))
    assert found is not None
    assert found.on == {"cpu"}


def test_one_that_scales_nothing_is_none() -> None:
    assert scaled_object(a_scaled_object({"scaleTargetRef": {}})) is None
    assert scaled_object({"metadata": {}}) is None


@pytest.mark.parametrize(
    ("annotations", "paused"),
    [
        ({"paused": "true"}, "paused"),
        ({"paused": ""}, "paused"),
        ({"paused": "false"}, ""),
        ({"paused": "false", "paused-replicas": "3"}, "paused-replicas"),
        ({"paused-scale-in": "true"}, "paused-scale-in"),
        ({"paused-scale-out": "1"}, "paused-scale-out"),
        ({"paused-scale-out": "0", "force-activation": "true"}, ""),
    ],
)
def test_it_is_paused_as_keda_reads_it(annotations: dict[str, str], paused: str) -> None:
    found = scaled_object(a_scaled_object(annotations={KEDA + k: v for k, v in annotations.items()}))
    assert found is not None
    assert found.paused == (KEDA + paused if paused else "")


@pytest.mark.parametrize(
    "theirs",
    [BARE, Limits(0, 100), Limits(1, 100, canonical(DOWN), frozenset({HIGH})), Limits(2, 4, canonical(DOWN))],
)
def test_a_note_is_read_back_as_it_was_written_and_what_was_not_said_stays_so(theirs: Limits) -> None:
    note = Originals(theirs, Limits(2, 4, canonical(DOWN)), (NOW, NOW + timedelta(seconds=1)))
    assert note_of(write_note(note)) == note
    assert limits_of(fields_of(theirs)) == theirs
    found = scaled_object(a_scaled_object(annotations={ORIGINALS: write_note(note)}))
    assert found is not None
    assert found.originals == note


def test_a_note_that_somebody_broke_is_none() -> None:
    assert note_of('{"minReplicas":1}') is None
    assert note_of('{"behavior":{"scaleUp":3},"written":{"maxReplicas":2}}') is None
    assert note_of('{"minReplicas":"many","written":{"minReplicas":1,"maxReplicas":2}}') is None

"""An HPA that we make, as the API writes it."""

from typing import Any

import pytest

from gpupool.model.hpanote import ORIGINALS, limits_of, read_note
from gpupool.model.madehpa import body, made_for, tolerates_nothing, with_tolerance, without_tolerance
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.scalerwrites import Make
from gpupool.model.steering import Limits, Originals, Pace
from gpupool.policy.slo.pace import behaviour

LIMITS = Limits(2, 4, behaviour(Pace.STEADY, ""))
TARGET = ObjectRef("apps/v1", "Deployment", "chat")
MAKE = Make(Key("vision", "chat"), "uid", Key("vision", "gpupool-chat"), TARGET, Originals(LIMITS, LIMITS))
BODY = body(MAKE, "needed", {"slo": "chat"})


def test_it_scales_the_workload_and_belongs_to_its_inference_slo() -> None:
    assert BODY["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    (owner,) = BODY["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "InferenceSLO",
        "name": "chat",
        "uid": "uid",
        "controller": True,
    }
    assert made_for(BODY["metadata"]) == "uid"
    assert read_note(BODY["metadata"]["annotations"][ORIGINALS]) == MAKE.note


def test_a_tolerance_is_written_and_never_compared() -> None:
    behavior = BODY["spec"]["behavior"]
    assert [behavior[way]["tolerance"] for way in ("scaleUp", "scaleDown")] == ["0", "0"]
    assert without_tolerance(limits_of(BODY["spec"])) == LIMITS
    assert without_tolerance(Limits(1, 2)) == Limits(1, 2)


@pytest.mark.parametrize(
    ("spec", "exact"),
    [
        (BODY["spec"], True),
        ({}, False),
        (with_tolerance({}), True),
        ({"behavior": {"scaleUp": {"tolerance": "0"}, "scaleDown": {}}}, False),
    ],
)
def test_whether_the_server_kept_it(spec: dict[str, Any], exact: bool) -> None:
    assert tolerates_nothing(spec) is exact


OURS = BODY["metadata"]
(OWNER,) = OURS["ownerReferences"]


@pytest.mark.parametrize(
    "meta",
    [
        {**OURS, "labels": {}},
        {**OURS, "labels": None},
        {**OURS, "ownerReferences": None},
        {**OURS, "ownerReferences": [{**OWNER, "controller": False}]},
        {**OURS, "ownerReferences": [{**OWNER, "kind": "GpuPool"}]},
        {**OURS, "ownerReferences": [{**OWNER, "apiVersion": "other.dev/v1"}]},
    ],
)
def test_others_are_their_owners(meta: dict[str, Any]) -> None:
    assert made_for(meta) == ""

"""What pools' decisions see of an InferenceSLO: its status, where it can be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpupool.api import inference
from gpupool.model.diagnosis import Confidence, Evidence, Help
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.plan import Status
from gpupool.model.standing import Kept, Limit, Standing
from support.builders import MINUTE, NOW

Json = dict[str, Any]
TIME = "2030-01-07T12:00:00Z"


def condition(type_: str, status: str, message: str) -> Json:
    return {
        "type": type_,
        "status": status,
        "reason": "Any",
        "message": message,
        "lastTransitionTime": TIME,
    }


STATUS: Json = {
    "observedGeneration": 3,
    "readyReplicas": 2,
    "dataState": "OK",
    "objectives": [
        {
            "sli": "ttft",
            "threshold": "500ms",
            "percent": 99,
            "dataState": "OK",
            "attainment": 99.5,
            "budgetRemaining": 50.0,
            "coverage": 20,
            "burnRates": [{"long": "1h", "short": "5m", "factor": 14.4, "longRate": 1.2}],
            "sums": {"until": TIME, "hours": [{"at": TIME, "good": 1, "total": 1, "seconds": 60}]},
        }
    ],
    "diagnosis": {
        "cause": "KVCacheBound",
        "confidence": "Medium",
        "replicasHelp": "Yes",
        "evidence": [{"signal": "KV cache", "value": 0.95, "bound": "> 0.9"}],
        "remedy": "More memory.",
    },
    "advice": [{"kind": "Batching", "because": "Two run.", "expect": "Eight would."}],
    "decision": {
        "floor": 2,
        "ceiling": 4,
        "needed": 3,
        "pace": "Steady",
        "reason": "GrantLimits",
        "message": "m",
    },
    "conditions": [
        condition("Met", "True", "all well"),
        condition("BudgetHealthy", "False", "it burns"),
        condition("DataAvailable", "True", "all measured"),
        condition("WantsMoreGPUs", "True", "2 more"),
    ],
}


def read(status: Json | None, **spec: Any) -> Standing:
    """The standing of an InferenceSLO of generation 3."""
    raw: Json = {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "InferenceSLO",
        "metadata": {
            "name": "chat",
            "namespace": "vision",
            "uid": "u",
            "generation": 3,
            "creationTimestamp": TIME,
        },
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
            "objectives": [{"sli": "ttft", "threshold": "500ms", "percent": 99}],
            **spec,
        },
    }
    found = inference.read(raw if status is None else {**raw, "status": status}).standing
    assert found is not None
    return found


def test_all_that_decides_is_read() -> None:
    assert read(STATUS, capacityRequestRef={"name": "gpus"}, scaling={"minReplicas": 2}) == Standing(
        key=Key("vision", "chat"),
        created=NOW,
        target=ObjectRef("apps/v1", "Deployment", "chat"),
        request="gpus",
        low=2,
        window=28 * 86_400.0,
        looked=NOW,
        current=True,
        ready=2,
        state="OK",
        trouble="all measured",
        met=Status.TRUE,
        met_because="all well",
        healthy=Status.FALSE,
        healthy_because="it burns",
        objectives=(Kept("ttft", 99.0, 99.5, 50.0, spending=True, coverage=20.0),),
        limit=Limit(
            "KVCacheBound",
            Confidence.MEDIUM,
            Help.YES,
            (Evidence("KV cache", 0.95, "> 0.9"),),
            "More memory.",
        ),
        advice="Two run. Eight would.",
        needed=3,
        lack="2 more",
    )


@pytest.mark.parametrize(
    "status", [None, {}, {**STATUS, "observedGeneration": "three"}, {**STATUS, "dataState": "Splendid"}]
)
def test_what_was_not_told_or_cannot_be_read_is_not_known(status: Json | None) -> None:
    found = read(status)
    assert (found.looked, found.current, found.state, found.met) == (None, False, "", Status.UNKNOWN)
    assert found.target.name == "chat"


def test_a_status_of_an_older_spec_is_not_current() -> None:
    assert not read({**STATUS, "observedGeneration": 2}).current


@pytest.mark.parametrize("reason", ["ProfileUnlearned", "DataUnknown", "Lowest"])
def test_replicas_that_only_their_owner_asks_for_are_no_need(reason: str) -> None:
    decision = {**STATUS["decision"], "floorReason": reason}
    assert read({**STATUS, "decision": decision}).needed is None
    assert read({**STATUS, "decision": {**decision, "floorReason": "Rate"}}).needed == 3


def test_conditions_that_are_false_or_absent_ask_for_nothing() -> None:
    told = {**STATUS, "conditions": [condition("WantsMoreGPUs", "False", "none")], "advice": []}
    found = read(told)
    assert (found.lack, found.met, found.trouble, found.advice) == ("", Status.UNKNOWN, "", "")


def test_the_gist_turns_with_what_decides_and_not_with_numbers() -> None:
    found = read(STATUS)
    same = replace(
        found,
        looked=NOW + MINUTE,
        met_because="other words",
        objectives=(Kept("ttft", 99.0, 99.4, 49.0, spending=True, coverage=21.0),),
    )
    assert same.gist == found.gist
    roomy = replace(found, objectives=(Kept("ttft", 99.0, 99.9, 90.0, coverage=20.0),))
    for other in (replace(found, met=Status.FALSE), roomy, replace(found, ready=3), replace(found, needed=4)):
        assert other.gist != found.gist
    assert not replace(found, objectives=()).roomy

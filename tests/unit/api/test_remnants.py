"""What stays in force of a request that breaks the rules: nothing granted is lost."""

from typing import Any

import pytest

from gpupool.api import convert, remnants
from gpupool.model.objects import Key, ObjectRef, Request
from support.builders import GPU

STATUS = {"granted": 4, "allowance": 4, "askedGpus": 6, "resource": GPU, "phase": "Partial"}
META = {"name": "train", "namespace": "vision", "uid": "u1", "generation": 3}


def broken(spec: Any, status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    return {"metadata": META | meta, "spec": spec, "status": STATUS if status is None else status}


def found(raw: dict[str, Any], last: Request | None = None) -> Request:
    kept = remnants.request(raw, last)
    assert kept is not None
    return kept


def test_the_ask_that_was_decided_on_stays_and_its_grant_with_it() -> None:
    kept = found(broken({"gpus": "many"}, creationTimestamp="2030-01-07T12:00:00Z"))
    assert (kept.key, kept.uid, kept.resource) == (Key("vision", "train"), "u1", GPU)
    assert (kept.gpus, kept.min_gpus, kept.remembered.granted, kept.preemptible) == (6, 4, 4, False)
    assert kept.created.year == 2030
    assert kept.expected_utilization == 0, "what cannot be read is blamed for nothing"


@pytest.mark.parametrize("spec", [None, [], "text", {"workload": {"ref": 3}}, {"workload": None}])
def test_a_spec_of_any_shape_is_survived(spec: Any) -> None:
    kept = found(broken(spec))
    assert (kept.ref, kept.selector, kept.created.year) == (None, None, 1970)


def test_what_can_be_read_of_it_is_used() -> None:
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": "fit"}
    kept = found(broken({"workload": {"ref": ref}, "preemptible": True, "gpus": -1}))
    assert (kept.ref, kept.preemptible) == (ObjectRef("batch/v1", "Job", "fit"), True)
    selector = {"matchLabels": {"app": "train"}}
    chosen = found(broken({"workload": {"selector": selector}})).selector
    assert chosen is not None
    assert chosen.labels == (("app", "train"),)


@pytest.mark.parametrize("status", [{}, {"granted": 0}, {"granted": "x"}])
def test_a_request_that_was_granted_nothing_is_not_looked_at(status: dict[str, Any]) -> None:
    assert remnants.request(broken({}, status), None) is None


def test_the_last_valid_version_is_taken_with_the_present_status() -> None:
    good = {
        "gpus": 9,
        "owner": {"team": "vision", "contact": "vision@example.com"},
        "workload": {"selector": {"matchLabels": {"app": "train"}}},
        "expectedUtilization": 80,
    }
    last = convert.request(broken(good, {}))
    kept = found(broken({}), last)
    assert (kept.gpus, kept.expected_utilization, kept.remembered.granted) == (9, 80, 4)

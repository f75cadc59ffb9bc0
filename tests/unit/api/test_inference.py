"""InferenceSLO: read as it is meant, written so that the schema takes it, and remembered over a restart."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gpupool.api import inference
from gpupool.api.v1alpha1 import InferenceSLOStatus
from gpupool.model.metrics import Metrics, Resolved
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.plan import Condition, Status
from gpupool.model.resources import Resources, Use, UseDay, VpaMode
from gpupool.model.rollout import GuardMode
from gpupool.model.slo import DAY, HOUR, Objective, Reading, Sli, Slice, SloState, Sums
from gpupool.model.steering import DataPolicy, Decision, HpaMode, Pace, Rejected, Scaling
from gpupool.planner.endpoints import ObjectiveFound, SloStatus
from gpupool.policy.slo.budget import budget
from gpupool.runtime.memo import memo
from support.builders import NOW
from support.manifests import example

NOON = datetime(2030, 1, 7, 12, tzinfo=UTC).timestamp()
SUMS = Sums(
    until=NOON,
    fine=(Slice(NOON - 60, 60, 1, 1, 60),),
    hours=(Slice(NOON - HOUR, HOUR, 95.5, 100, 3000),),
    days=(Slice(NOON - 2 * DAY - 12 * HOUR, DAY, 900, 1000, DAY),),
)
TTFT = Objective(Sli.TTFT, 99, 0.5)


def a_status(sums: Sums = SUMS, state: SloState = SloState.OK) -> SloStatus:
    window = timedelta(days=28)
    reading = Reading(state, 1, 1, 15.0, "vllm:time_to_first_token_seconds", "0.5", "told")
    found = ObjectiveFound(TTFT, reading, sums, budget(TTFT, sums, NOON, window, 15))
    met = Condition("Met", Status.FALSE, "Missed", "Missed.")
    return SloStatus(Key("chat-prod", "chat"), "uid", 2, "vLLM", 3, 2, (found,), (met,))


def written(status: SloStatus) -> dict[str, Any]:
    body = inference.status(status, {}, NOW)
    InferenceSLOStatus.model_validate(body)
    return body


def test_the_example_reads_as_it_is_meant() -> None:
    slo = inference.read(example("chat-slo"))
    assert (slo.key, slo.target) == (Key("chat-prod", "chat"), ObjectRef("apps/v1", "Deployment", "chat"))
    assert slo.objectives == (TTFT, Objective(Sli.ITL, 95, 0.05))
    assert (slo.window, slo.min_events, slo.engine) == (timedelta(days=28), 100, "")
    assert slo.sums == (Sums(), Sums())


def test_names_of_ones_own_and_what_is_asked_of_rollouts_and_missing_data() -> None:
    manifest = example("chat-slo")
    given = {"running": "r", "kvCache": "k", "ttft": "t", "unit": "Milliseconds", "outputTokens": "o"}
    manifest["spec"] |= {"metrics": given, "dataPolicy": "UpOnly", "rollout": {"guard": "Rollback"}}
    slo = inference.read(manifest)
    assert slo.metrics == Metrics(running="r", kv="k", ttft="t", output_tokens="o", unit=1e-3)
    assert (slo.data_policy, slo.guard) == (DataPolicy.UP_ONLY, GuardMode.ROLLBACK)
    plain = inference.read(example("chat-slo"))
    assert (plain.metrics, plain.data_policy, plain.guard) == (None, DataPolicy.HOLD, GuardMode.OBSERVE)
    seconds = manifest | {"spec": manifest["spec"] | {"metrics": {"running": "r"}}}
    assert inference.read(seconds).metrics == Metrics("r")


def test_what_was_looked_for_is_told_by_the_fields_of_the_spec() -> None:
    found = (Resolved("kv", "k", seen=False), Resolved("ttft", "t", seen=True))
    body = written(replace(a_status(), resolved=found))
    assert body["metrics"] == [
        {"of": "kvCache", "name": "k", "seen": False},
        {"of": "ttft", "name": "t", "seen": True},
    ]


def test_what_breaks_the_rules_is_refused() -> None:
    manifest = example("chat-slo")
    with pytest.raises(ValidationError):
        inference.read(manifest | {"spec": manifest["spec"] | {"objectives": []}})


def test_every_field_travels() -> None:
    body = written(a_status())
    assert (body["engine"], body["replicas"], body["readyReplicas"], body["dataState"]) == (
        "vLLM",
        3,
        2,
        "OK",
    )
    (row,) = body["objectives"]
    assert (row["sli"], row["threshold"], row["percent"], row["dataState"]) == ("ttft", "500ms", 99, "OK")
    assert (row["metric"], row["bucket"], row["message"]) == (
        "vllm:time_to_first_token_seconds",
        "0.5",
        "told",
    )
    assert row["attainment"] == body["attainment"] == pytest.approx(90.5, abs=0.1)
    assert row["budgetRemaining"] == body["budgetRemaining"] < -800
    assert row["events"] == 1100
    assert [b["long"] for b in row["burnRates"]] == ["56m", "5h36m", "2d19h12m"]
    assert row["sums"]["until"] == "2030-01-07T12:00:00Z"


def test_a_body_is_what_the_api_server_gives_back_so_that_nothing_is_written_twice() -> None:
    body = written(a_status())
    assert "99.0" not in json.dumps(body)
    assert memo(json.loads(json.dumps(body))) == memo(body)
    whole = [v for v in _numbers(body) if isinstance(v, float) and v == int(v)]
    assert whole == []


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in _numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in _numbers(v)]
    return [value] if isinstance(value, int | float) else []


def test_sums_survive_a_restart_and_the_last_hour_is_known_by_its_hours() -> None:
    body = written(a_status())
    manifest = example("chat-slo")
    again = inference.read(manifest | {"status": body})
    (hour,) = SUMS.hours
    measured = replace(hour, start=hour.end - hour.covered, seconds=hour.covered)
    assert again.sums == (replace(SUMS, fine=(measured,)), Sums())
    running = replace(SUMS, until=hour.start + 600, hours=(replace(hour, covered=200.0),), fine=())
    (first, _) = inference.read(manifest | {"status": written(a_status(running))}).sums
    assert [(s.start, s.seconds, s.total) for s in first.fine] == [(hour.start + 400, 200.0, hour.total)]
    old = replace(SUMS, until=hour.end + 3601, fine=())
    assert inference.read(manifest | {"status": written(a_status(old))}).sums[0].fine == ()


def test_another_threshold_begins_anew() -> None:
    manifest = example("chat-slo")
    manifest["spec"]["objectives"][0]["threshold"] = "1s"
    assert inference.read(manifest | {"status": written(a_status())}).sums[0] == Sums()


def test_a_status_that_cannot_be_read_hides_no_promise() -> None:
    slo = inference.read(example("chat-slo") | {"status": {"objectives": "odd"}})
    assert (len(slo.objectives), slo.sums) == (2, ())


def test_what_was_never_measured_is_absent() -> None:
    body = written(a_status(Sums(), SloState.MISSING))
    (row,) = body["objectives"]
    assert not {"attainment", "budgetRemaining", "sums"} & row.keys()
    assert "attainment" not in body
    assert all("longRate" not in b for b in row["burnRates"])


def test_scaling_reads_as_it_is_meant_and_advises_where_nothing_is_said() -> None:
    manifest = example("chat-slo")
    quiet = {k: v for k, v in manifest["spec"].items() if k != "scaling"}
    silent = inference.read(manifest | {"spec": quiet})
    assert (silent.scaling, silent.request) == (Scaling(1, None, HpaMode.ADVISE), "")
    more = {
        "scaling": {"minReplicas": 2, "maxReplicas": 4, "hpa": "Adopt", "vpa": "Off"},
        "capacityRequestRef": {"name": "chat"},
    }
    slo = inference.read(manifest | {"spec": quiet | more})
    assert (slo.scaling, slo.request) == (Scaling(2, 4, HpaMode.ADOPT, vpa=VpaMode.OFF), "chat")


def test_a_decision_travels_with_what_was_rejected() -> None:
    rejected = Rejected("ceiling 7", "GrantLimits", "Allowed by: the grant.")
    decision = Decision(1, 4, "MaxReplicas", "At least 1.", Pace.SAVE, (rejected,))
    body = written(replace(a_status(), decision=decision))
    assert body["decision"] == {
        "floor": 1,
        "ceiling": 4,
        "pace": "Save",
        "needed": 0,
        "reason": "MaxReplicas",
        "message": "At least 1.",
        "rejected": [
            {"alternative": "ceiling 7", "reason": "GrantLimits", "message": "Allowed by: the grant."}
        ],
    }
    nothing = written(replace(a_status(), decision=Decision(0, 0, "NoRequest", "None.")))["decision"]
    assert (nothing["floor"], nothing["ceiling"], "rejected" in nothing) == (0, 0, False)


def test_cpu_and_memory_are_said_and_their_use_comes_back() -> None:
    use = Use("main", 1_900_000_000.0, 1_900_000_900.0, (UseDay(1_900_000_000.0, 1.5, 2.0**30),))
    body = written(
        replace(a_status(), resources=Resources(use, reason="Advise", message="Nothing is written."))
    )
    assert body["resources"]["reason"] == "Advise"
    assert "resources" not in written(a_status())
    assert inference.read(example("chat-slo") | {"status": body}).use == use

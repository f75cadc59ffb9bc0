"""The status of a CapacityRequest: what is written, what the server accepts, what is read back from it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.api import convert, statuses
from gpupool.api.v1alpha1 import CapacityRequestStatus
from gpupool.model.objects import Key, Remembered, Timer
from gpupool.model.plan import Blocker, Condition, RequestStatus, Status, Verdict
from gpupool.model.reasons import DataState, Phase, Reason, Stage
from support.builders import GPU, HOUR, MINUTE, NOW
from support.manifests import example

GRANTED = Condition("Granted", Status.TRUE, "Granted", "All 32 GPUs.")
FULL = RequestStatus(
    key=Key("vision-lab", "train-sam"),
    generation=3,
    phase=Phase.PARTIAL,
    pool="lab",
    resource=GPU,
    verdict=Verdict(
        Reason.GRANTED_IN_PART,
        "32 of 64 GPUs are granted.",
        arithmetic="64 usable - 32 committed = 32 free, asked 64",
        grantable_now=32,
        blockers=(Blocker(16, team="nlp"), Blocker(8)),
    ),
    conditions=(Condition("UnderUsed", Status.TRUE, "Unheld"), GRANTED),
    granted=32,
    allowance=24,
    used=22,
    held=20,
    busy=12,
    demand=30,
    position=3,
    efficiency=37,
    activity=55,
    coverage=98,
    data_state=DataState.OK,
    timer=Timer(Stage.LENT, NOW, NOW + HOUR, target=24, forced_at=NOW + 2 * HOUR, granted=32),
    stage_message="8 GPUs are lent.",
    asked=64,
    queued_at=NOW - HOUR,
    granted_at=NOW - MINUTE,
    proved_at=NOW,
    quiet_since=NOW,
    released=40,
)
BARE = RequestStatus(
    key=Key("a", "b"),
    generation=1,
    phase=Phase.PENDING,
    pool="",
    resource="",
    verdict=Verdict(Reason.NAMESPACE_WITHOUT_POOL, "No share lists it."),
    conditions=(),
)


def written(status: RequestStatus, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body, which must be what the schema of the API takes, and without a null anywhere."""
    body = statuses.request_status(status, before or {}, NOW)
    CapacityRequestStatus.model_validate(body)
    assert not _holds_none(body)
    return body


def _holds_none(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_none(v) for v in value.values())
    if isinstance(value, list):
        return any(_holds_none(v) for v in value)
    return value is None


def remembered(body: dict[str, Any]) -> Remembered:
    return convert.request(example("train-sam") | {"status": body}).remembered


def test_every_field_travels() -> None:
    body = written(FULL)
    assert (body["phase"], body["pool"], body["resource"], body["position"]) == ("Partial", "lab", GPU, 3)
    assert [body[k] for k in ("granted", "allowance", "used", "held", "busy", "demand")] == [
        32,
        24,
        22,
        20,
        12,
        30,
    ]
    assert (body["efficiency"], body["activity"], body["coverage"], body["dataState"]) == (37, 55, 98, "OK")
    assert body["decision"] == {
        "reason": "GrantedInPart",
        "message": "32 of 64 GPUs are granted.",
        "arithmetic": "64 usable - 32 committed = 32 free, asked 64",
        "grantableNow": 32,
        "blockers": [
            {"gpus": 16, "team": "nlp", "reason": "HoldsGpus"},
            {"gpus": 8, "reason": "HoldsGpus"},
        ],
    }
    assert body["reclaim"] == {
        "stage": "Lent",
        "since": "2030-01-07T12:00:00Z",
        "deadline": "2030-01-07T13:00:00Z",
        "forcedAt": "2030-01-07T14:00:00Z",
        "keep": 24,
        "message": "8 GPUs are lent.",
        "quietSince": "2030-01-07T12:00:00Z",
    }
    assert [c["type"] for c in body["conditions"]] == ["Granted", "UnderUsed"]


def test_a_request_that_nothing_is_known_of_says_so_and_no_more() -> None:
    body = written(BARE)
    absent = {"pool", "resource", "busy", "position", "efficiency", "dataState", "grantedAt", "conditions"}
    assert absent & set(body) == set()
    assert (body["granted"], body["allowance"], body["used"]) == (0, 0, 0), "zero is an answer"
    assert body["decision"]["grantableNow"] == 0
    assert body["reclaim"] == {"stage": "None"}


TIMERS = [
    None,
    Timer(Stage.WARNED, NOW, NOW + HOUR, target=22),
    Timer(Stage.LENT, NOW, NOW + HOUR, target=24, granted=32),
    Timer(Stage.RECALLING, NOW, NOW + MINUTE, target=0, forced_at=NOW + HOUR),
]


@pytest.mark.parametrize("timer", TIMERS, ids=lambda t: t.stage if t else "no timer")
@pytest.mark.parametrize("phase", list(Phase))
def test_what_decisions_rest_on_survives_a_restart_without_loss(phase: Phase, timer: Timer | None) -> None:
    found = remembered(written(replace(FULL, timer=timer, phase=phase)))
    assert found == Remembered(
        granted=32,
        allowance=24,
        asked=64,
        queued_at=NOW - HOUR,
        granted_at=NOW - MINUTE,
        proved_at=NOW,
        quiet_since=NOW,
        timer=timer,
        phase=phase,
        released=40,
    )


def test_a_time_keeps_its_fraction_on_the_way_through_the_status() -> None:
    odd = NOW + timedelta(microseconds=120_003)
    assert remembered(written(replace(FULL, queued_at=odd))).queued_at == odd


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    old = "2029-01-01T00:00:00Z"
    before = {
        "conditions": [
            {"type": "Granted", "status": "True", "lastTransitionTime": old},
            {"type": "UnderUsed", "status": "False", "lastTransitionTime": old},
            {"type": "Overlap", "status": "True", "lastTransitionTime": old},
        ]
    }
    times = {c["type"]: c["lastTransitionTime"] for c in written(FULL, before)["conditions"]}
    assert times == {"Granted": old, "UnderUsed": "2030-01-07T12:00:00Z"}, "Overlap is not wanted any more"


def test_writing_the_same_twice_gives_the_same_body() -> None:
    first = written(FULL)
    later = statuses.request_status(FULL, first, NOW + HOUR)
    assert later == first


@pytest.mark.parametrize("status", [Status.TRUE, Status.FALSE, Status.UNKNOWN])
def test_a_condition_is_written_in_the_words_of_the_api(status: Status) -> None:
    body = written(replace(FULL, conditions=(replace(GRANTED, status=status),)))
    assert body["conditions"][0]["status"] == str(status.value)


def test_long_sentences_are_cut_and_long_lists_end() -> None:
    verdict = Verdict(
        Reason.WAITING_FOR_CAPACITY,
        "m" * 5000,
        arithmetic="a" * 5000,
        blockers=tuple(Blocker(1, team=f"t{i}") for i in range(30)),
    )
    condition = replace(GRANTED, message="c" * 5000)
    body = written(replace(FULL, verdict=verdict, stage_message="s" * 5000, conditions=(condition,)))
    decision = body["decision"]
    assert (len(decision["message"]), len(decision["arithmetic"])) == (1024, 1024)
    assert (len(decision["blockers"]), decision["blockers"][9]["team"]) == (10, "t9")
    assert (len(body["reclaim"]["message"]), len(body["conditions"][0]["message"])) == (1024, 1024)


def test_no_number_makes_the_server_refuse_the_rest() -> None:
    body = written(
        replace(FULL, granted=-1, used=200_000, busy=-3, demand=10**9, efficiency=104, activity=-1)
    )
    assert (body["granted"], body["used"], body["busy"], body["demand"]) == (0, 100_000, 0, 100_000)
    assert (body["efficiency"], body["activity"]) == (100, 0)

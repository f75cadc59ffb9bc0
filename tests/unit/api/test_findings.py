"""Findings as the status shows them, and profiles as they come back from it."""

import json
from datetime import UTC, datetime

from gpupool.api.findings import profiles, written
from gpupool.api.v1alpha1 import InferenceSLOStatus
from gpupool.api.v1alpha1 import inferenceslo_findings as api
from gpupool.model.diagnosis import Advice, Cause, Confidence, Diagnosis, Evidence, Help
from gpupool.model.profile import ColdStart, Profile, Shape, Stat
from gpupool.model.traits import Trait
from gpupool.planner.diagnosing import Findings

AT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
PROFILE = Profile(
    gpu="H100",
    recipe="abc",
    since=AT,
    shape=Shape(1000.0, 250.0, 1010.0, 240.0),
    requests=Stat(4.2, 7, AT),
    tokens=Stat(1000.0, 7, AT),
    batch=Stat(14.0, 7, AT),
    kv=Stat(0.03, 7, AT),
    memory=Stat(70_000.0, 7, AT),
    cache=Stat(0.1, 7, AT),
    missed=Stat(5.1, 2, AT),
    cold_start=ColdStart((50.0, 70.0), AT),
    first_token=ColdStart((55.0, 90.0), AT),
    traits=(Trait("cache hits", 0.6, 0.2, 9, AT, AT - 60), Trait("prompt tokens", 1000.0, 1010.0, 9, AT)),
)
DIAGNOSIS = Diagnosis(
    Cause.QUEUE_BOUND,
    Confidence.HIGH,
    Help.PARTLY,
    tuple(Evidence(f"signal {n}", 1 / 3, "> 0") for n in range(12)),
    "Do this.",
    ("that",),
)


def test_profiles_survive_a_restart() -> None:
    status = written(Findings(None, (PROFILE, Profile("", "", AT))))
    assert profiles(status) == (PROFILE, Profile("", "", AT))
    assert status["profile"][0]["coldStart"]["p90"] == "1m10s"
    assert status["diagnosis"] is None


def test_numbers_are_as_the_api_server_gives_them_back() -> None:
    text = json.dumps(written(Findings(None, (PROFILE,))))
    assert '"value": 70000,' in text
    assert ".0," not in text


def test_a_profile_that_cannot_be_read_begins_anew() -> None:
    assert profiles({"profile": [{"since": "yesterday"}]}) == ()
    assert profiles({}) == ()


def test_a_diagnosis_keeps_within_the_bounds_of_the_api() -> None:
    status = written(Findings(DIAGNOSIS, (PROFILE,), (Advice("Batching", "because", "expect"),)))
    found = InferenceSLOStatus.model_validate(status)
    assert found.diagnosis is not None
    assert (found.diagnosis.cause, found.diagnosis.replicas_help) == ("QueueBound", "Partly")
    assert len(found.diagnosis.evidence) == api.MAX_EVIDENCE
    assert found.diagnosis.evidence[0].value == 0.3333
    assert (found.diagnosis.blind, found.advice[0].kind) == (("that",), "Batching")


def test_the_words_of_the_api_are_those_of_the_domain() -> None:
    for ours, theirs in ((Cause, api.Cause), (Confidence, api.Confidence), (Help, api.Help)):
        assert [m.value for m in ours] == [m.value for m in theirs]

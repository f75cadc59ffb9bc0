"""CPU and memory in a status: what travels there and back."""

from dataclasses import replace

from gpupool.api.resources import use, written
from gpupool.api.v1alpha1.inferenceslo_resources import ResourcesStatus
from gpupool.model.resources import UNSEEN, Bounds, Recommendation, Resources, Use, UseDay

DAY = 1_900_000_000.0
USE = Use("main", DAY, DAY + 900, (UseDay(DAY, 1.5, 2.0**30), UseDay(DAY + 86400, 2.0, 2.0**31, 3.0)))
WHOLE = Resources(
    use=USE,
    vpa="chat",
    mode="Initial",
    bounds=Bounds({"cpu": "1"}, {"cpu": "2"}, "arithmetic"),
    recommendation=Recommendation({"cpu": "1", "memory": "2Gi"}),
    reason="Adopted",
    message="It is.",
)


def test_all_of_it_travels_and_the_use_comes_back() -> None:
    found = written(WHOLE)
    assert ResourcesStatus.model_validate(found)
    assert (found["container"], found["vpa"], found["updateMode"]) == ("main", "chat", "Initial")
    assert (found["minAllowed"], found["maxAllowed"]) == ({"cpu": "1"}, {"cpu": "2"})
    assert found["recommendation"] == {"target": {"cpu": "1", "memory": "2Gi"}}
    assert found["message"] == "It is. Bounds: arithmetic."
    assert found["use"]["days"][0]["memoryMebibytes"] == 1024
    assert use({"resources": found}) == USE


def test_what_is_not_known_is_absent() -> None:
    assert written(Resources(reason="NoUse", message="Nothing.")) == {
        "reason": "NoUse",
        "message": "Nothing.",
    }
    assert use({"resources": written(replace(WHOLE, use=UNSEEN))}) == UNSEEN


def test_what_cannot_be_read_begins_anew() -> None:
    for broken in ({}, {"resources": {"use": 3}}, {"resources": {"use": written(WHOLE)["use"]}}):
        assert use(broken) == UNSEEN

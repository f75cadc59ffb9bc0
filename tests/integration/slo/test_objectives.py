"""Objectives of real endpoints: attainment from real buckets, and every data state as it comes about."""

from typing import Any

import pytest

from integration.slo.conftest import Town
from localplane.cluster import Cluster

TTFT = {"sli": "ttft", "threshold": "500ms", "percent": 99}


def test_an_endpoint_with_room_keeps_its_promise(town: Town) -> None:
    town.deploy()
    town.promise(
        TTFT, {"sli": "itl", "threshold": "50ms", "percent": 95}, {"sli": "availability", "percent": 99}
    )
    town.until(lambda: town.condition("Met").get("status") == "True", "it is Met")
    status = town.status()
    assert (status["engine"], status["replicas"], status["readyReplicas"]) == ("vLLM", 2, 2)
    first, second, third = status["objectives"]
    assert (first["metric"], first["bucket"]) == ("vllm:time_to_first_token_seconds", "0.5")
    assert second["metric"] == "vllm:inter_token_latency_seconds"
    assert third["metric"] == "http_requests_total"
    assert min(first["attainment"], second["attainment"], third["attainment"]) >= 95
    assert first["events"] >= 100
    assert 0 < first["coverage"] <= 100
    assert town.condition("BudgetHealthy")["status"] == "True"


def test_an_endpoint_without_room_burns_its_budget(town: Town) -> None:
    town.deploy(replicas=1, load=20)
    town.promise()
    town.until(lambda: town.condition("BudgetHealthy").get("reason") == "Burning", "it burns", seconds=90)
    row = town.row()
    assert row["attainment"] < 99
    assert row["budgetRemaining"] < 0
    assert any(b["burning"] for b in row["burnRates"])
    assert town.condition("Met")["reason"] == "Missed"


def test_fewer_events_than_asked_show_attainment_and_no_verdict(town: Town) -> None:
    town.deploy(load=2)
    town.promise(minEvents=100_000)
    town.until(lambda: "attainment" in town.row(), "attainment is shown")
    assert town.condition("Met")["reason"] == "TooFewEvents"


def test_events_are_those_that_the_engines_counted(town: Town) -> None:
    """Scaled up and down meanwhile: what pods did that are gone is not lost."""
    town.deploy(load=10)
    town.promise()
    town.until(lambda: town.row().get("events", 0) >= 100, "a hundred requests")
    town.deploy(replicas=3, load=10)
    town.until(lambda: town.status().get("readyReplicas") == 3, "three serve")
    town.deploy(replicas=1, load=10)
    town.until(lambda: town.status().get("replicas") == 1, "one is left")
    before = town.row()
    town.until(lambda: town.row()["events"] >= before["events"] + 100, "a hundred more")
    after = town.row()
    seconds = (_seconds(after) - _seconds(before)) or 1
    assert (after["events"] - before["events"]) / seconds == pytest.approx(10, rel=0.4)


def _seconds(row: dict[str, object]) -> float:
    """Seconds of the window that were measured."""
    return float(str(row["coverage"])) * 6.0


@pytest.mark.parametrize(
    ("data", "state", "words"),
    [
        ({"data": "silent"}, "Missing", "are down"),
        ({"data": "nan"}, "Invalid", "shows NaN"),
        ({"data": "frozen"}, "Stale", "old"),
        ({"data": "no-histograms"}, "Missing", "No pod exports vllm:time_to_first_token_seconds"),
        ({"load": 0}, "NoTraffic", ""),
    ],
)
def test_what_goes_wrong_with_the_data_is_named_and_mends(
    town: Town, data: dict[str, Any], state: str, words: str
) -> None:
    town.deploy()
    town.promise()
    town.until(lambda: "attainment" in town.row(), "it is measured")
    town.say(**data)
    row = town.until_state(state)
    assert words in row.get("message", "")
    assert "attainment" in row, "what was measured before stands"
    wanted = "True" if state == "NoTraffic" else "False"
    assert town.condition("DataAvailable")["status"] == wanted
    town.say()
    town.until_state("OK")


def test_a_threshold_between_two_bounds_names_the_nearest(town: Town) -> None:
    town.deploy()
    town.promise({"sli": "ttft", "threshold": "600ms", "percent": 99})
    town.until(lambda: "nearest are 0.5s and 0.75s" in town.row().get("message", ""), "the nearest are named")
    assert (town.row()["dataState"], town.condition("DataAvailable")["reason"]) == (
        "Invalid",
        "NotABucketBound",
    )
    assert "attainment" not in town.row()


def test_an_engine_without_the_histogram_is_unsupported(town: Town) -> None:
    town.deploy("tgi", engine="tgi")
    town.promise(TTFT, {"sli": "e2e", "threshold": "30s", "percent": 90}, name="tgi")
    row = town.until_state("Unsupported", "tgi")
    assert "TGI exports no histogram of ttft" in row["message"]
    assert town.status("tgi")["engine"] == "TGI"


def test_half_of_the_pods_unseen_is_partial(town: Town) -> None:
    town.deploy()
    town.promise()
    town.until_state("OK")
    pods = town.kube.list(f"/api/v1/namespaces/{town.namespace}/pods")
    town.say(pods[0]["metadata"]["name"], data="silent")
    row = town.until_state("Partial")
    assert "1 of 2 Ready pods are not seen" in row["message"]


def test_of_two_promises_on_one_workload_the_older_answers(town: Town) -> None:
    town.deploy()
    town.promise()
    town.until_state("OK")
    town.promise(name="second", target="chat")
    town.until(lambda: town.condition("Conflict", "second").get("status") == "True", "the conflict is told")
    assert town.condition("Conflict") == {}


def test_a_restart_of_the_operator_loses_no_events(town: Town, plane: Cluster) -> None:
    """What status counts from one quiet moment to the next is what the engines count, over the pause too.

    Of a window of at most an hour no slices are kept in status: it is made of the hours' sums then.
    """
    town.deploy(load=10)
    town.promise(window="30m")
    town.until(lambda: "sums" in town.row() and town.row()["events"] >= 100, "events are kept")
    served, events = town.quiet()
    town.say()
    town.until(lambda: town.row()["events"] > events + 50, "events go on")
    plane.stop("operator", "KILL")
    missed = town.served()
    town.until(lambda: town.served() > missed + 50, "requests are served that nobody counts")
    plane.start("operator")
    town.until(lambda: town.row()["events"] > events + 150, "events go on", seconds=90)
    served_then, events_then = town.quiet()
    print(f"served {served_then - served}, counted {events_then - events:.0f}")
    # What comes between asking for the time and reading may fall on either side: a second of requests.
    assert events_then - events == pytest.approx(served_then - served, abs=10)


@pytest.mark.parametrize("engine", ["vllm-0.8", "sglang", "nim", "triton"])
def test_every_engine_is_found_and_read(town: Town, engine: str) -> None:
    more: dict[str, Any] = {"expose": "first-response-histogram"} if engine == "triton" else {}
    town.deploy("other", engine=engine, **more)
    threshold = "400ms" if engine == "sglang" else "500ms"
    town.promise({"sli": "ttft", "threshold": threshold, "percent": 90}, name="other")
    town.until(lambda: town.row(0, "other").get("events", 0) >= 20, "requests are counted", "other")
    assert town.row(0, "other")["dataState"] in {"OK", "NoTraffic"}

"""What missing data does to the floor of an endpoint whose queue is seen, and names of one's own."""

from integration.slo.conftest import Town


def test_a_queue_raises_the_floor_only_where_its_owner_says_so(town: Town) -> None:
    """300 ms is no bucket bound: how users fare is not known, that they wait is."""
    objective = {"sli": "ttft", "threshold": "300ms", "percent": 99}
    for name in ("held", "raised"):
        town.deploy(name, replicas=1, load=12, max_seqs=8)
    town.promise(objective, name="held")
    town.promise(objective, name="raised", dataPolicy="UpOnly")
    town.until(
        lambda: town.status("raised").get("decision", {}).get("floor") == 2, "its floor rises", "raised", 90
    )
    assert "wait at each of 1 replicas" in town.status("raised")["decision"]["message"]

    def refused() -> list[str]:
        rejected = town.status("held").get("decision", {}).get("rejected", [])
        return [r["alternative"] for r in rejected if r["reason"] == "DataPolicyHold"]

    town.until(lambda: refused() == ["floor 2"], "it is said what was held back", "held")
    decision = town.status("held")["decision"]
    assert (decision["floor"], decision["pace"]) == (1, "Hold")


def test_an_engine_is_read_by_the_names_that_its_owner_gives(town: Town) -> None:
    town.deploy()
    metrics = {
        "running": "vllm:num_requests_running",
        "waiting": "vllm:num_requests_waiting",
        "ttft": "vllm:time_to_first_token_seconds",
        "e2e": "my_own_seconds",
        "succeeded": "vllm:request_success_total",
    }
    town.promise(
        {"sli": "ttft", "threshold": "500ms", "percent": 99},
        {"sli": "e2e", "threshold": "10s", "percent": 99},
        {"sli": "itl", "threshold": "50ms", "percent": 99},
        metrics=metrics,
    )
    town.until(lambda: town.row().get("events", 0) >= 100, "a hundred requests are counted")
    first, second, third = town.status()["objectives"]
    assert (first["dataState"], first["metric"]) == ("OK", "vllm:time_to_first_token_seconds")
    assert (second["dataState"], second["message"]) == ("Missing", "No pod exports my_own_seconds.")
    assert third["dataState"] == "Unsupported"
    assert third["message"] == "spec.metrics names no histogram of itl: add it."
    assert town.status()["engine"] == "Custom"
    seen = {m["of"]: (m["name"], m["seen"]) for m in town.status()["metrics"]}
    assert seen["ttft"] == ("vllm:time_to_first_token_seconds", True)
    assert seen["e2e"] == ("my_own_seconds", False)

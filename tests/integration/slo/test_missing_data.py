"""What missing data does to the floor of an endpoint whose queue is seen all the same."""

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

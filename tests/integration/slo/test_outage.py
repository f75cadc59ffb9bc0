"""An endpoint under load whose Prometheus is gone for minutes: nothing is lost, and nothing counted twice."""

import time

import pytest

from integration.slo.conftest import Town
from localplane.cluster import Cluster
from support.faultstory import variant

OUTAGE = 130.0
"""Seconds: longer than Prometheus, or anybody, takes for a pod that has just started."""
LOAD = 10


@variant
def test_two_minutes_without_prometheus_are_counted_once(town: Town, plane: Cluster) -> None:
    town.deploy(load=LOAD)
    town.promise(window="30m")
    town.until(lambda: town.row().get("events", 0) >= 30 * LOAD, "its pods have a past", seconds=120)
    served, events = town.quiet()
    town.say()
    town.until(lambda: town.row()["events"] > events + 5 * LOAD, "events go on")
    before = town.row()["events"]
    plane.stop("prometheus")
    try:
        time.sleep(OUTAGE)
        assert town.condition("DataAvailable")["status"] == "False"
        assert town.row()["events"] <= before + 10 * LOAD, "nobody saw any"
    finally:
        plane.start("prometheus")
    town.until(lambda: town.row()["dataState"] == "OK", "it is seen again", seconds=120)
    town.until(lambda: town.row()["events"] > before + OUTAGE * LOAD / 2, "the pause is counted", seconds=120)
    served_then, events_then = town.quiet()
    counted = events_then - events
    print(f"served {served_then - served}, counted {counted:.0f}; before the pause {events:.0f}")
    assert counted == pytest.approx(served_then - served, rel=0.02)

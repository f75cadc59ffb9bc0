"""The engines follow the cluster's pods and the clock, and say where they are found."""

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from localplane.engines.annotations import BadAnnotationError
from localplane.exporter.__main__ import control
from localplane.exporter.shown import Showing
from localplane.exporter.traces import TraceClock, TraceLibrary
from support.engines import START, Rig, live_engine

DONE = "vllm:request_success_total"
Target = dict[str, Any]


def targets(rig: Rig) -> dict[str, Target]:
    """Labels by page."""
    found = rig.pages.answer("/engines/targets")
    assert found is not None
    return {group["labels"]["__metrics_path__"]: group["labels"] for group in json.loads(found[1])}


def engines(rig: Rig) -> set[str]:
    return {labels["pod"] for labels in targets(rig).values() if "pod" in labels}


def test_no_engine_has_no_target_at_all() -> None:
    rig = Rig()
    assert rig.pages.answer("/engines/targets") == ("application/json", "[]")
    assert rig.pages.answer("/engines/team/a/metrics") is None
    assert rig.pages.answer("/engines/elsewhere") is None


def test_a_pod_is_a_target_as_a_podmonitor_would_name_it() -> None:
    rig = Rig(live_engine("a"), live_engine("b", workload="code", job="team/monitor"))
    found = targets(rig)
    assert found["/engines/team/a/metrics"] == {
        "job": "team/chat",
        "namespace": "team",
        "pod": "a",
        "container": "main",
        "endpoint": "http",
        "instance": "10.0.0.1:8000",
        "__metrics_path__": "/engines/team/a/metrics",
    }
    assert found["/engines/team/b/metrics"]["job"] == "team/monitor"
    assert found["/engines/cadvisor/metrics"]["job"] == "kubelet"
    assert found["/engines/gateway/metrics"]["job"] == "gateway"


def test_a_pod_that_starts_ends_or_is_gone_has_no_target() -> None:
    rig = Rig(
        live_engine("a"), live_engine("b", phase="Pending", ready=False), live_engine("c", phase="Failed")
    )
    assert engines(rig) == {"a"}
    rig.fleet.pod_event("MODIFIED", live_engine("b"))
    rig.fleet.pod_event("DELETED", live_engine("a"))
    assert engines(rig) == {"b"}
    rig.fleet.pod_event("MODIFIED", live_engine("b", phase="Succeeded"))
    assert engines(rig) == set()
    rig.fleet.replace_pods([live_engine("d")])
    rig.fleet.replace_pods([live_engine("e")])
    assert engines(rig) == {"e"}


def test_a_pod_that_leaves_ends_what_it_has_and_gets_nothing_new() -> None:
    rig = Rig(live_engine("a", load=6))
    rig.run(30)
    leaving = live_engine("a", load=6)
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    rig.fleet.pod_event("MODIFIED", leaving)
    rig.run(60)
    assert rig.value("a", "vllm:num_requests_running") == 0
    assert engines(rig) == {"a"}


def test_the_pods_of_two_revisions_are_one_workload() -> None:
    rig = Rig(live_engine("a", load=8), live_engine("b", revision="r2", load=8))
    assert [(w.key, len(w.pods)) for w in rig.fleet.all()] == [("team/chat", 2)]


def test_a_pod_without_a_controller_is_a_workload_of_its_own() -> None:
    alone = live_engine("alone")
    del alone["metadata"]["ownerReferences"]
    stateful = live_engine("db-0")
    stateful["metadata"]["ownerReferences"] = [{"kind": "StatefulSet", "name": "db", "controller": True}]
    assert [w.key for w in Rig(alone, stateful).fleet.all()] == ["team/alone", "team/db"]


def test_a_wrong_annotation_is_logged_once_and_there_is_no_page(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(live_engine("a", load="lots"))
    rig.fleet.pod_event("MODIFIED", live_engine("a", load="lots"))
    assert (len(caplog.records), engines(rig)) == (1, set())
    assert "pod team/a: fake.gpupool.dev/load: 'lots' does not fit" in caplog.text
    assert rig.pages.answer("/engines/team/a/metrics") is None
    assert rig.pages.gpus("uid-a") is None
    rig.fleet.pod_event("MODIFIED", live_engine("a", load=3))
    assert engines(rig) == {"a"}
    rig.fleet.pod_event("MODIFIED", live_engine("a", load="lots"))
    assert engines(rig) == set()


def test_nothing_is_simulated_twice_within_a_round_of_scrapes() -> None:
    rig = Rig(live_engine("a", load=50))
    rig.run(10)
    before = rig.fleet.workloads["team/chat"].time
    rig.now += 0.05
    rig.text("a")
    assert rig.fleet.workloads["team/chat"].time == before
    rig.now += 0.06
    rig.text("a")
    assert rig.fleet.workloads["team/chat"].time == pytest.approx(10.11, abs=1e-6)


def test_what_nobody_looked_at_for_long_is_not_made_up_for() -> None:
    rig = Rig(live_engine("a", load=5))
    rig.now += 86_400
    begin = time.perf_counter()
    rig.text("a")
    assert time.perf_counter() - begin < 2
    assert rig.fleet.workloads["team/chat"].time == pytest.approx(86_400)
    assert rig.value("a", DONE) < 5 * 601


def test_the_engines_run_at_the_speed_of_the_replay_and_never_back() -> None:
    rig = Rig(live_engine("a", load=4))
    rig.run(30)
    slow = rig.value("a", DONE)
    showing = Showing(TraceLibrary(None), rig.replay)
    control(showing, {"speed": 10}, None, rig.fleet)
    rig.replay = showing.clock
    rig.run(30)
    assert rig.value("a", DONE) - slow == pytest.approx(10 * slow, rel=0.25)
    before = rig.fleet.workloads["team/chat"].time
    rig.replay = TraceClock(rig.now + 500, 10)
    rig.run(1)
    assert rig.fleet.workloads["team/chat"].time == pytest.approx(before + 10)


def test_a_load_can_follow_a_trace_in_its_time(tmp_path: Path) -> None:
    rows = "t_s,pod,value\n0,m1,2\n60,m1,10\n120,m1,0\n180,m1,0\n"
    (tmp_path / "week.csv.gz").write_bytes(gzip.compress(rows.encode()))
    rig = Rig(live_engine("a", load="trace:week/m1"), traces=TraceLibrary(tmp_path))
    arrived = []
    for _ in range(3):
        rig.run(60)
        arrived.append(rig.fleet.workloads["team/chat"].arrived)
    assert arrived[0] / 60 == pytest.approx(2, rel=0.3)
    assert (arrived[1] - arrived[0]) / 60 == pytest.approx(10, rel=0.15)
    assert arrived[2] == arrived[1]


def test_an_unknown_trace_is_logged_once_and_has_no_page(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(live_engine("a", load="trace:week/m1"))
    rig.run(30)
    assert engines(rig) == set()
    assert len(caplog.records) == 1
    assert "trace:week/m1" in caplog.text


def test_what_is_laid_over_wins_over_pods_and_workloads_until_it_is_taken_away() -> None:
    rig = Rig(live_engine("a", load=2), live_engine("b", load=2))
    rig.fleet.overlay({"team/chat": {"load": 20}, "team/b": {"data": "nan"}})
    rig.run(60)
    assert rig.fleet.workloads["team/chat"].arrived == pytest.approx(1200, rel=0.1)
    assert "NaN" in rig.text("b")
    assert "NaN" not in rig.text("a")
    rig.fleet.overlay({})
    rig.run(1)
    assert "NaN" not in rig.text("b")
    assert rig.fleet.workloads["team/chat"].load.rate == 2
    with pytest.raises(BadAnnotationError, match="'broken'"):
        rig.fleet.overlay({"team/b": {"data": "broken"}})


def test_a_silent_pod_is_a_target_that_is_down() -> None:
    rig = Rig(live_engine("a", data="silent"))
    assert engines(rig) == {"a"}
    with pytest.raises(Exception, match="does not answer"):
        rig.pages.answer("/engines/team/a/metrics")


def test_a_frozen_pod_says_for_ever_what_it_said_with_its_time() -> None:
    rig = Rig(live_engine("a", load=5))
    rig.run(20)
    rig.fleet.overlay({"team/a": {"data": "frozen"}})
    first = rig.text("a")
    rig.run(20)
    assert rig.text("a") == first
    assert f" {int((START + 20) * 1000)}\n" in first
    rig.fleet.overlay({})
    assert rig.text("a") != first


def test_a_page_can_lack_its_histograms_or_have_other_bounds() -> None:
    rig = Rig(live_engine("a", load=5), live_engine("b", load=5, data="no-histograms"))
    rig.fleet.pod_event("ADDED", live_engine("c", load=5, data="old-buckets"))
    rig.run(5)
    kinds = {family.type for family in rig.families("b").values()}
    assert "histogram" not in kinds
    assert (
        'vllm:time_to_first_token_seconds_bucket{model_name="llama-70b-fp8",engine="0",le="2560.0"}'
        in rig.text("a")
    )
    assert 'le="2560.0"' not in rig.text("c")
    assert rig.value("c", "vllm:time_to_first_token_seconds_count") > 0


def test_the_gateway_remembers_a_workload_without_pods_and_its_load_for_a_while() -> None:
    rig = Rig(live_engine("a", load=5))
    rig.run(10)
    rig.fleet.replace_pods([])
    rig.run(60)
    found = rig.pages.answer("/engines/gateway/metrics")
    assert found is not None
    lost = next(line for line in found[1].splitlines() if 'code="503"' in line)
    assert 'namespace="team",workload="chat"' in lost
    assert float(lost.split()[-1]) == pytest.approx(300, rel=0.25)
    rig.run(1000, every=20)
    assert rig.fleet.workloads == {}


def test_the_state_says_how_things_stand() -> None:
    rig = Rig(live_engine("a", load=5), live_engine("b", workload="bad", model="x"))
    rig.run(5)
    found = rig.pages.answer("/engines/state")
    assert found is not None
    state = json.loads(found[1])
    assert state["workloads"]["team/chat"]["load"] == 5
    assert state["workloads"]["team/chat"]["pods"]["a"]["ready"]
    assert "fake.gpupool.dev/model" in state["bad"][0]


def test_forty_pods_take_less_than_a_fifth_of_a_core() -> None:
    rig = Rig(*(live_engine(f"p{n}", workload=f"w{n // 4}", load=12) for n in range(40)))
    rig.run(2)
    begin = time.process_time()
    for _ in range(5):
        rig.run(1)
        for name in engines(rig):
            rig.text(name)
        rig.pages.answer("/engines/cadvisor/metrics")
    assert (time.process_time() - begin) / 5 < 0.2

"""What a scrape says, from nodes and pods to text."""

import re
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from localplane.exporter.families import FAMILIES
from localplane.exporter.fleet import Fleet
from localplane.exporter.labels import LabelStyle
from localplane.exporter.render import debug_state, render
from localplane.exporter.shown import Showing
from localplane.exporter.traces import TraceClock, TraceLibrary
from localplane.gpumodels import MODELS
from localplane.nodes import node_manifest
from support.gpupods import live_pod

START = datetime.fromisoformat("2026-01-01T00:00:00Z").timestamp()
ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
LINE = re.compile(r'([A-Za-z_]+)\{((?:[A-Za-z_]+="[^"]*",?)+)\} (-?[0-9.]+)(?: (\d+))?')


def fleet(pods: Iterable[dict[str, Any]], *, style: LabelStyle = LabelStyle.POD, node: Any = None) -> Fleet:
    made = Fleet(Showing(TraceLibrary(None), TraceClock(START)), style)
    made.replace_nodes([node or node_manifest("gpu-1", 8)])
    made.replace_pods(pods)
    return made


def series(source: Fleet, now: float, name: str = ACTIVE) -> list[tuple[dict[str, str], float, str]]:
    """Labels, value and timestamp of the samples of one metric."""
    matches = [
        LINE.fullmatch(line) for line in render(source.read(now)).splitlines() if not line.startswith("#")
    ]
    assert None not in matches
    return [
        (dict(re.findall(r'([A-Za-z_]+)="([^"]*)"', match[2])), float(match[3]), match[4] or "")
        for match in matches
        if match and match[1] == name
    ]


def held(source: Fleet, now: float, name: str = ACTIVE) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for labels, value, _ in series(source, now, name):
        if "pod" in labels:
            values.setdefault(labels["pod"], []).append(value)
    return values


def test_gpus_of_a_node_that_nobody_keeps_have_no_series() -> None:
    unmanaged = node_manifest("gpu-1", 8, managed=False)
    assert series(fleet([live_pod("a", gpus=2)], node=unmanaged), START) == []


def test_every_family_has_help_type_and_one_sample_per_gpu() -> None:
    lines = render(fleet([live_pod("a", gpus=2)]).read(START)).splitlines()
    assert len(lines) == len(FAMILIES) * (2 + 8)
    for number, family in enumerate(FAMILIES):
        block = lines[number * 10 : number * 10 + 10]
        assert block[0].startswith(f"# HELP {family.name} ")
        assert block[1] == f"# TYPE {family.name} {family.type}"
        assert all(line.startswith(f"{family.name}{{") for line in block[2:])


def test_held_gpus_carry_the_pod_and_the_others_do_not() -> None:
    found = series(fleet([live_pod("a", gpus=2, use="35")]), START)
    with_pod = [labels for labels, _, _ in found if "pod" in labels]
    assert [(labels["gpu"], labels["namespace"], labels["container"]) for labels in with_pod] == [
        ("0", "team", "main"),
        ("1", "team", "main"),
    ]
    assert {labels["hostname"] for labels, _, _ in found} == {"gpu-1"}
    assert {labels["modelName"] for labels, _, _ in found} == {"NVIDIA H100 80GB HBM3"}
    assert len({labels["UUID"] for labels, _, _ in found}) == 8


@pytest.mark.parametrize(
    ("style", "names"),
    [
        (LabelStyle.EXPORTED, {"exported_pod", "exported_namespace", "exported_container", "hostname"}),
        (LabelStyle.OLD, {"pod_name", "pod_namespace", "container_name", "Hostname"}),
    ],
)
def test_other_label_styles_rename_all_four(style: LabelStyle, names: set[str]) -> None:
    labels = series(fleet([live_pod("a")], style=style), START)[0][0]
    assert names <= labels.keys()
    assert not {"pod", "namespace", "container"} & labels.keys()


def test_a_steady_pod_reads_exactly_its_percent_and_an_unannotated_one_zero() -> None:
    source = fleet([live_pod("a", use="35"), live_pod("b")])
    assert held(source, START + 7) == {"a": [0.35], "b": [0.0]}
    assert held(source, START + 7, "DCGM_FI_DEV_GPU_UTIL") == {"a": [35.0], "b": [0.0]}


def test_a_pod_without_a_running_container_is_not_named() -> None:
    assert held(fleet([live_pod("a", use="35", started=None, phase="Pending")]), START) == {}


def test_a_changed_annotation_counts_at_the_next_scrape() -> None:
    source = fleet([live_pod("a", use="35")])
    assert held(source, START) == {"a": [0.35]}
    source.pod_event("MODIFIED", live_pod("a", use="80"))
    assert held(source, START + 1) == {"a": [0.8]}
    source.pod_event("MODIFIED", live_pod("a", use="none"))
    assert held(source, START + 2) == {}
    assert len(series(source, START + 2)) == 7


def test_gone_from_the_start_is_served_for_five_seconds() -> None:
    source = fleet([live_pod("a", use="gone")])
    assert held(source, START + 4.9) == {"a": [0.0]}
    assert held(source, START + 5.0) == {}


def test_gone_after_a_change_is_gone_at_once() -> None:
    source = fleet([live_pod("a", use="35")])
    held(source, START + 1)
    source.pod_event("MODIFIED", live_pod("a", use="gone"))
    assert held(source, START + 2) == {}


def test_stale_freezes_every_value_and_the_timestamp_of_the_change() -> None:
    source = fleet([live_pod("a", use="35")])
    held(source, START + 1)
    source.pod_event("MODIFIED", live_pod("a", use="stale"))
    first = [line for line in render(source.read(START + 2)).splitlines() if 'pod="a"' in line]
    later = [line for line in render(source.read(START + 60)).splitlines() if 'pod="a"' in line]
    assert first == later
    assert all(line.endswith(f" {int((START + 2) * 1000)}") for line in first)
    assert held(source, START + 60) == {"a": [0.35]}


def test_stale_from_the_start_is_frozen_at_the_start() -> None:
    source = fleet([live_pod("a", use="stale")])
    assert [stamp for labels, _, stamp in series(source, START + 30) if "pod" in labels] == [
        str(int(START * 1000))
    ]


def test_a_stale_pod_can_come_back_to_life() -> None:
    source = fleet([live_pod("a", use="stale")])
    held(source, START + 1)
    source.pod_event("MODIFIED", live_pod("a", use="50"))
    assert [(value, stamp) for labels, value, stamp in series(source, START + 9) if "pod" in labels] == [
        (0.5, "")
    ]


def test_a_bad_annotation_is_logged_once_with_the_pod_and_shows_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = fleet([live_pod("a", use="35%")])
    assert [held(source, START + second) for second in range(3)] == [{}, {}, {}]
    assert len(caplog.records) == 1
    assert "team/a" in caplog.text
    assert "'35%'" in caplog.text


def test_an_unknown_trace_is_logged_once_and_shows_none(caplog: pytest.LogCaptureFixture) -> None:
    source = fleet([live_pod("a", use="trace:demo/1")])
    assert [held(source, START + second) for second in range(3)] == [{}, {}, {}]
    assert len(caplog.records) == 1
    assert "--traces" in caplog.text


def test_a_deleted_pod_gives_its_gpus_back() -> None:
    source = fleet([live_pod("a", gpus=8, use="35")])
    held(source, START)
    source.pod_event("DELETED", live_pod("a", gpus=8))
    source.pod_event("ADDED", live_pod("b", gpus=8, use="20"))
    assert held(source, START + 1) == {"b": [0.2] * 8}


def test_a_new_list_drops_what_is_not_in_it() -> None:
    source = fleet([live_pod("a"), live_pod("b")])
    source.replace_pods([live_pod("b")])
    assert held(source, START).keys() == {"b"}


@pytest.mark.parametrize("model", [model for model in MODELS.values() if model.resource == "nvidia.com/gpu"])
def test_power_heat_and_engines_follow_the_activity(model: Any) -> None:
    source = fleet(
        [live_pod("a", use="10"), live_pod("b", use="90"), live_pod("c")],
        node=node_manifest("gpu-1", 3, model),
    )

    def value(name: str) -> dict[str, float]:
        return {pod: values[0] for pod, values in held(source, START + 5, f"DCGM_FI_{name}").items()}

    for name in (
        "DEV_POWER_USAGE",
        "DEV_GPU_TEMP",
        "PROF_PIPE_TENSOR_ACTIVE",
        "PROF_DRAM_ACTIVE",
        "PROF_PCIE_RX_BYTES",
    ):
        assert value(name)["c"] < value(name)["a"] < value(name)["b"]
    assert all(watts <= model.limits.max_watts for watts in value("DEV_POWER_USAGE").values())
    assert value("DEV_SM_CLOCK")["c"] < value("DEV_SM_CLOCK")["b"] <= model.limits.sm_clock_mhz
    total = [sum(value(f"DEV_FB_{part}")[pod] for part in ("USED", "FREE", "RESERVED")) for pod in "abc"]
    assert total == [model.memory_mib] * 3
    assert (value("DEV_MEMORY_TEMP")["b"] > 0) is model.hbm


def test_the_energy_counter_is_the_integral_of_the_power() -> None:
    source = fleet([live_pod("a", use="50")])
    name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    before = held(source, START, name)["a"][0]
    watts = [held(source, START + second, "DCGM_FI_DEV_POWER_USAGE")["a"][0] for second in range(1, 11)]
    assert held(source, START + 10, name)["a"][0] - before == pytest.approx(sum(watts) * 1000, rel=1e-3)


def test_the_same_moment_always_reads_the_same() -> None:
    pods = [live_pod("a", use="10-30"), live_pod("b", use="70")]
    assert render(fleet(pods).read(START + 3)) == render(fleet(pods).read(START + 3))


def test_a_mig_slice_names_its_profile_and_reads_no_gpu_util() -> None:
    node = node_manifest("gpu-1", 14, resource="nvidia.com/mig-1g.10gb")
    pod = live_pod("a", use="40")
    pod["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-1g.10gb": "8"}
    source = fleet([pod], node=node)
    places = [
        (labels["gpu"], labels["GPU_I_ID"]) for labels, _, _ in series(source, START) if "pod" in labels
    ]
    assert places == [*(("0", str(part)) for part in range(1, 8)), ("1", "1")]
    assert held(source, START) == {"a": [0.4] * 8}
    assert held(source, START, "DCGM_FI_DEV_GPU_UTIL") == {"a": [0.0] * 8}


def test_a_trace_is_followed_at_the_clocks_speed_with_absent_gaps(tmp_path: Path) -> None:
    import gzip  # noqa: PLC0415 - one test writes a trace

    file = tmp_path / "demo.csv.gz"
    file.write_bytes(gzip.compress(b"t_s,pod,value\n0,1,10\n60,1,0\n120,1,30\n300,1,40\n"))
    source = fleet([live_pod("a", use="trace:demo/1")])
    source.showing.traces = TraceLibrary(tmp_path)
    source.showing.clock = TraceClock(START, speed=60)
    assert [held(source, START + second).get("a") for second in range(7)] == [
        [0.1],
        [0.0],
        [0.3],
        None,
        None,
        [0.4],
        None,
    ]


def test_the_debug_state_says_what_each_pod_exports() -> None:
    state = debug_state(fleet([live_pod("a", gpus=2, use="35"), live_pod("b", use="none")]).read(START))
    assert state["idle"] == 5
    assert state["pods"].keys() == {"team/a"}
    assert [gpu["percent"] for gpu in state["pods"]["team/a"]["gpus"]] == [35.0, 35.0]


def test_a_thousand_gpus_are_scraped_well_within_half_a_second() -> None:
    source = fleet([])
    source.replace_nodes([node_manifest(f"gpu-{number}", 8) for number in range(125)])
    source.replace_pods(
        [live_pod(f"p{number}", node=f"gpu-{number // 8}", use="10-30") for number in range(1000)]
    )
    render(source.read(START))
    best = min(_seconds(lambda at=at: render(source.read(START + at))) for at in range(1, 4))
    assert best < 0.5


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin

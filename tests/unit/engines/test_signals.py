"""What GPUs and nodes show while an engine works."""

import re
from typing import Any

import pytest

from localplane.exporter.fleet import Fleet
from localplane.exporter.render import render
from localplane.exporter.shown import Showing
from localplane.nodes import node_manifest
from support.engines import Rig, live_engine
from support.gpupods import USE


def gpus(rig: Rig, *pods: dict[str, Any]) -> Fleet:
    made = Fleet(Showing(rig.traces, rig.replay), activity=rig.pages.gpus)
    made.replace_nodes([node_manifest("gpu-1", 8)])
    made.replace_pods(pods)
    return made


def value(fleet: Fleet, now: float, name: str, pod: str = "a") -> float:
    lines = [x for x in render(fleet.read(now)).splitlines() if x.startswith(name) and f'pod="{pod}"' in x]
    assert len(lines) == 1, lines
    return float(lines[0].split()[-1])


def both(seconds: float = 30, **given: Any) -> tuple[Rig, Fleet]:
    pod = live_engine("a", **given)
    rig = Rig(pod)
    fleet = gpus(rig, pod)
    for _ in range(round(seconds)):
        rig.run(1)
        fleet.read(rig.now)
    return rig, fleet


def page(rig: Rig) -> dict[str, float]:
    found = rig.pages.answer("/engines/cadvisor/metrics")
    assert found is not None
    return {
        name: float(number) for name, number in re.findall(r"^(\w+)\{[^}]*\} (\S+)$", found[1], re.MULTILINE)
    }


def rates(**given: Any) -> dict[str, float]:
    """Per second of the world."""
    rig, _ = both(20, **given)
    before = page(rig)
    rig.run(20)
    return {name: (now - before[name]) / 20 for name, now in page(rig).items()}


def test_prompts_show_in_the_tensor_cores_and_tokens_in_the_memory() -> None:
    seen = {}
    for fault, load in (("PrefillBound", 1), ("DecodeBound", 4)):
        rig, fleet = both(60, fault=fault, load=load)
        seen[fault] = [
            value(fleet, rig.now, f"DCGM_FI_PROF_{name}_ACTIVE")
            for name in ("GR_ENGINE", "PIPE_TENSOR", "DRAM")
        ]
    assert min(seen["PrefillBound"][0], seen["DecodeBound"][0]) > 0.6
    assert seen["PrefillBound"][1] > seen["PrefillBound"][2]
    assert seen["DecodeBound"][1] < seen["DecodeBound"][2]


def test_an_engine_without_requests_is_idle_and_keeps_its_memory() -> None:
    rig, fleet = both(load=0)
    assert value(fleet, rig.now, "DCGM_FI_PROF_GR_ENGINE_ACTIVE") == 0
    assert value(fleet, rig.now, "DCGM_FI_DEV_FB_USED") > 70_000
    assert value(fleet, rig.now, "DCGM_FI_DEV_POWER_USAGE") < 80


def test_power_follows_the_work() -> None:
    watts = []
    for load in (0, 0.1, 8):
        rig, fleet = both(load=load)
        watts.append(value(fleet, rig.now, "DCGM_FI_DEV_POWER_USAGE"))
    assert watts[0] < watts[1] < watts[2] <= 700


def test_a_throttled_gpu_has_a_lower_clock_at_the_limits_of_power_and_heat() -> None:
    (rig, fleet), (well, healthy) = both(fault="Throttled"), both(load=10)
    assert value(fleet, rig.now, "DCGM_FI_DEV_SM_CLOCK") < 0.8 * value(
        healthy, well.now, "DCGM_FI_DEV_SM_CLOCK"
    )
    assert value(fleet, rig.now, "DCGM_FI_DEV_POWER_USAGE") == pytest.approx(700, rel=0.02)
    assert (
        value(fleet, rig.now, "DCGM_FI_DEV_GPU_TEMP") > 78 > value(healthy, well.now, "DCGM_FI_DEV_GPU_TEMP")
    )


def test_what_is_off_by_default_is_there_by_choice() -> None:
    rig, fleet = both(fault="Throttled")
    assert "SM_ACTIVE" not in render(fleet.read(rig.now))
    assert "CLOCK_EVENTS" not in render(fleet.read(rig.now))
    rig, fleet = both(fault="Throttled", expose="sm-active,clock-events")
    assert value(fleet, rig.now, "DCGM_FI_PROF_SM_ACTIVE") > 0.8
    found = render(fleet.read(rig.now))
    assert re.search(r'DCGM_EXP_CLOCK_EVENTS_COUNT\{.*pod="a".*clock_event="sw_thermal"\} 7', found)


def test_a_gpu_fault_is_a_new_xid_after_a_while() -> None:
    pod = live_engine("a", fault="GPUFault", fault_after="20s")
    rig = Rig(pod)
    fleet = gpus(rig, pod)
    seen = []
    for _ in range(2):
        rig.run(15)
        seen.append([value(fleet, rig.now, f"DCGM_FI_DEV_{n}") for n in ("XID_ERRORS", "ROW_REMAP_FAILURE")])
    assert seen == [[0, 0], [94, 1]]


def test_data_starved_gpus_read_little_over_pcie() -> None:
    (rig, fleet), (well, healthy) = both(fault="DataStarved"), both(load=3)
    name = "DCGM_FI_PROF_PCIE_RX_BYTES"
    assert value(fleet, rig.now, name) < 0.1 * value(healthy, well.now, name)


def test_a_full_link_shows_in_nvlink_while_the_units_rest() -> None:
    rig, fleet = both(fault="NetworkBound")
    assert value(fleet, rig.now, "DCGM_FI_PROF_GR_ENGINE_ACTIVE") > 0.9
    assert value(fleet, rig.now, "DCGM_FI_PROF_DRAM_ACTIVE") < 0.25
    assert value(fleet, rig.now, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL") > 1e6


def test_an_explicit_use_wins_over_the_simulation() -> None:
    pod = live_engine("a", load=8)
    pod["metadata"]["annotations"][USE] = "35"
    rig = Rig(pod)
    fleet = gpus(rig, pod)
    rig.run(10)
    assert value(fleet, rig.now, "DCGM_FI_PROF_GR_ENGINE_ACTIVE") == 0.35


def test_a_healthy_engine_rests_on_its_node() -> None:
    found = rates(load=8)
    assert found["container_cpu_usage_seconds_total"] == pytest.approx(2.4, rel=0.1)
    assert found["container_cpu_cfs_periods_total"] == pytest.approx(10, rel=0.05)
    assert found["container_cpu_cfs_throttled_periods_total"] == 0
    assert found["container_pressure_cpu_waiting_seconds_total"] < 0.05
    assert found["container_pressure_io_waiting_seconds_total"] < 0.05
    assert found["container_network_receive_bytes_total"] < 0.01 * 12.5e9


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_cpu_bound_is_at_its_limit_and_throttled_whatever_the_speed(speed: float) -> None:
    rig = Rig(live_engine("a", fault="CPUBound"), speed=speed)
    rig.run(10)
    before = page(rig)
    rig.run(20)
    found = {name: (now - before[name]) / 20 for name, now in page(rig).items()}
    assert found["container_cpu_usage_seconds_total"] == pytest.approx(8, rel=0.05)
    share = found["container_cpu_cfs_throttled_periods_total"] / found["container_cpu_cfs_periods_total"]
    assert share == pytest.approx(0.45, abs=0.03)
    assert found["container_pressure_cpu_waiting_seconds_total"] == pytest.approx(0.6, abs=0.03)


def test_data_starved_waits_for_its_disk() -> None:
    found = rates(fault="DataStarved")
    assert found["container_pressure_io_waiting_seconds_total"] > 0.5
    assert found["container_fs_reads_bytes_total"] > 1e9


def test_network_bound_fills_its_link_and_drops() -> None:
    found = rates(fault="NetworkBound")
    assert found["container_network_transmit_bytes_total"] > 0.9 * 12.5e9
    assert found["container_network_receive_packets_dropped_total"] > 10


def test_without_a_limit_there_is_nothing_to_throttle() -> None:
    rig, _ = both(load=4, cpus="")
    assert "container_cpu_cfs_periods_total" not in page(rig)
    assert page(rig)["container_cpu_usage_seconds_total"] > 0

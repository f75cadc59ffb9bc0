"""What broken exporters show."""

import pytest

from localplane.exporter.allocation import Device
from localplane.exporter.families import FAMILIES
from localplane.exporter.faults import Faults
from localplane.exporter.fleet import Reading
from localplane.exporter.render import render
from localplane.exporter.shown import Shown

UTIL = "DCGM_FI_DEV_GPU_UTIL"


def reading(node: str, value: str = "1") -> Reading:
    device = Device(node, "nvidia.com/gpu", 0)
    return Reading(f'{{node="{node}"}}', [value] * len(FAMILIES), "", device, None, Shown(1.0))


def shown(faults: Faults, *readings: Reading) -> list[tuple[str, str]]:
    return [(r.device.node, r.values[0]) for r in faults.apply(readings)]


def test_without_faults_everything_is_shown() -> None:
    assert shown(Faults(), reading("a"), reading("b")) == [("a", "1"), ("b", "1")]


def test_each_fault_is_of_its_node_alone_and_ends() -> None:
    faults = Faults()
    faults.set({"a": {"silent": True}, "b": {"nan": True}})
    assert shown(faults, *map(reading, "abc")) == [("b", "NaN"), ("c", "1")]
    faults.set({})
    assert shown(faults, *map(reading, "ab")) == [("a", "1"), ("b", "1")]


def test_a_hanging_exporter_says_for_ever_what_it_said_first() -> None:
    faults = Faults()
    faults.set({"a": {"frozen": True}})
    assert shown(faults, reading("a", "1")) == [("a", "1")]
    assert shown(faults, reading("a", "2")) == [("a", "1")]
    faults.set({})
    assert shown(faults, reading("a", "2")) == [("a", "2")]


def test_a_missing_metric_has_no_line() -> None:
    faults = Faults()
    faults.set({"a": {"missing": [UTIL]}})
    page = render(faults.apply([reading("a"), reading("b")]))
    assert f'{UTIL}{{node="a"}}' not in page
    assert f'{UTIL}{{node="b"}} 1' in page


@pytest.mark.parametrize("change", [{"a": {"missing": ["NONE"]}}, {"a": {"unknown": True}}])
def test_an_unknown_fault_is_refused(change: dict[str, dict[str, object]]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Faults().set(change)

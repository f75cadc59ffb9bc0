"""Which GPU belongs to which pod."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localplane.exporter.allocation import Allocator, Device
from localplane.exporter.objects import NodeFact, PodFact, node_fact, pod_fact
from localplane.nodes import node_manifest
from support.gpupods import live_pod

NODES = {"gpu-1": node_fact(node_manifest("gpu-1", 8))}


def fact(name: str, gpus: int = 1, **kwargs: Any) -> PodFact:
    projected = pod_fact(live_pod(name, gpus=gpus, **kwargs))
    assert projected is not None
    return projected


def indices(
    allocator: Allocator, pods: list[PodFact], nodes: dict[str, NodeFact] = NODES
) -> dict[str, list[int]]:
    held = allocator.reconcile(nodes, pods)
    return {uid.removeprefix("uid-"): [device.index for device, _ in pairs] for uid, pairs in held.items()}


def test_pods_get_the_lowest_free_gpus_and_keep_them_when_others_leave() -> None:
    allocator = Allocator()
    a, b, c = fact("a", 2), fact("b", 3), fact("c", 2)
    assert indices(allocator, [a, b]) == {"a": [0, 1], "b": [2, 3, 4]}
    assert indices(allocator, [b]) == {"b": [2, 3, 4]}
    assert indices(allocator, [b, c]) == {"b": [2, 3, 4], "c": [0, 1]}


def test_a_pod_that_does_not_fit_gets_nothing_until_gpus_come_free(caplog: pytest.LogCaptureFixture) -> None:
    allocator = Allocator()
    a, b = fact("a", 6), fact("b", 4)
    with caplog.at_level(logging.WARNING):
        assert indices(allocator, [a, b]) == indices(allocator, [a, b]) == {"a": [0, 1, 2, 3, 4, 5]}
    assert [record.getMessage() for record in caplog.records] == [
        "pod team/b: node gpu-1 has too few free GPUs for it"
    ]
    assert indices(allocator, [b]) == {"b": [0, 1, 2, 3]}


def test_a_pod_on_an_unknown_node_waits_for_the_node() -> None:
    allocator = Allocator()
    a = fact("a")
    assert indices(allocator, [a], {}) == {}
    assert indices(allocator, [a]) == {"a": [0]}


def test_a_checkpoint_keeps_the_places_over_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "gpus.json"
    a, b = fact("a", 2), fact("b", 2)
    first = Allocator(file)
    indices(first, [a, b])
    indices(first, [b])
    assert indices(Allocator(file), [b, fact("c")]) == {"b": [2, 3], "c": [0]}


def test_a_broken_checkpoint_is_said_and_left_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "gpus.json"
    file.write_text("{")
    assert indices(Allocator(file), [fact("a")]) == {"a": [0]}
    assert "gpus.json is no checkpoint" in caplog.text
    assert json.loads(file.read_text()).keys() == {"uid-a"}


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=12), max_size=8))
def test_no_gpu_is_ever_given_twice_and_none_moves(rounds: list[list[tuple[int, int]]]) -> None:
    allocator = Allocator()
    sizes: dict[int, int] = {}
    before: dict[str, list[Device]] = {}
    for present in rounds:
        pods = [fact(f"p{number}", sizes.setdefault(number, size)) for number, size in dict(present).items()]
        held = {
            uid: [device for device, _ in pairs] for uid, pairs in allocator.reconcile(NODES, pods).items()
        }
        given_out = [device for devices in held.values() for device in devices]
        assert len(given_out) == len(set(given_out)) <= 8
        assert all(held[uid] == devices for uid, devices in before.items() if uid in held)
        before = held


def test_terminal_unbound_and_cpu_pods_hold_nothing() -> None:
    unbound = live_pod("u")
    del unbound["spec"]["nodeName"]
    assert [pod_fact(pod) for pod in (unbound, live_pod("s", phase="Succeeded"), live_pod("c", gpus=0))] == [
        None
    ] * 3


def test_each_container_has_its_own_gpus() -> None:
    pod = live_pod("a")
    pod["spec"]["containers"].append(
        {"name": "second", "image": "x", "resources": {"requests": {"nvidia.com/gpu": "2"}}}
    )
    projected = pod_fact(pod)
    assert projected is not None
    held = Allocator().reconcile(NODES, [projected])["uid-a"]
    assert [(device.index, container) for device, container in held] == [
        (0, "main"),
        (1, "second"),
        (2, "second"),
    ]

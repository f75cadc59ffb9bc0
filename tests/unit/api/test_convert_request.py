"""A CapacityRequest as decisions read it, and what its status remembers."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gpupool.api import convert
from gpupool.model.objects import Key, ObjectRef, Priority, Remembered, Request, Timer
from gpupool.model.reasons import Phase, Stage
from gpupool.model.selector import Selector
from support.manifests import example

NOON = datetime(2030, 1, 7, 12, tzinfo=UTC)
SINCE, SOON, LATE = "2030-01-07T12:00:00Z", "2030-01-07T13:00:00Z", "2030-01-07T14:00:00Z"
HOUR = timedelta(hours=1)


def a_request(status: dict[str, Any] | None = None, **spec: Any) -> Request:
    """The request of the examples, with more in its spec and a status."""
    manifest = copy.deepcopy(example("train-sam"))
    manifest["spec"] |= spec
    if status is not None:
        manifest["status"] = status
    return convert.request(manifest)


def test_the_example_reads_as_the_design_page_says() -> None:
    found = a_request()
    assert found.key == Key("vision-lab", "train-sam")
    assert (found.gpus, found.min_gpus, found.expected_utilization) == (64, 16, 80)
    assert (found.team, found.contact) == ("vision", "vision-leads@example.com")
    assert found.preemptible
    assert found.selector == Selector((("app", "train-sam"),))
    assert found.ref is None
    assert (found.pool, found.resource, found.justification) == (None, "", "")
    assert found.priority is Priority.NORMAL
    assert found.remembered == Remembered()


def test_without_min_gpus_it_is_all_or_nothing() -> None:
    manifest = copy.deepcopy(example("train-sam"))
    del manifest["spec"]["minGpus"]
    assert convert.request(manifest).min_gpus == 64


def test_what_is_written_is_kept() -> None:
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": "train"}
    found = a_request(
        workload={"ref": ref},
        pool="lab",
        resource="amd.com/gpu",
        priority="Low",
        preemptible=False,
        justification="paper",
        minGpus=1,
    )
    assert found.ref == ObjectRef("batch/v1", "Job", "train")
    assert found.selector is None
    assert (found.pool, found.resource, found.justification) == ("lab", "amd.com/gpu", "paper")
    assert (found.priority, found.preemptible, found.min_gpus) == (Priority.LOW, False, 1)


def test_the_workload_is_one_word_whichever_way_it_is_named() -> None:
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": "train"}
    assert a_request(workload={"ref": ref}).workload == "Job/train"
    assert a_request().workload == "app=train-sam"


def test_everything_decisions_need_is_remembered() -> None:
    found = a_request(
        {
            "phase": "Partial",
            "granted": 32,
            "allowance": 24,
            "askedGpus": 64,
            "releasedGpus": 32,
            "queuedAt": SINCE,
            "grantedAt": SOON,
            "lastProvedAt": LATE,
            "reclaim": {"stage": "None", "quietSince": SOON},
        }
    )
    assert found.remembered == Remembered(
        granted=32,
        allowance=24,
        asked=64,
        queued_at=NOON,
        granted_at=NOON + HOUR,
        proved_at=NOON + 2 * HOUR,
        quiet_since=NOON + HOUR,
        phase=Phase.PARTIAL,
        released=32,
    )


@pytest.mark.parametrize(
    ("reclaim", "timer"),
    [
        (None, None),
        ({"stage": "None"}, None),
        ({"stage": "None", "since": SINCE}, None),
        ({"stage": "Warned"}, None),
        (
            {"stage": "Warned", "since": SINCE, "deadline": SOON, "keep": 22},
            Timer(Stage.WARNED, NOON, NOON + HOUR, target=22),
        ),
        (
            {"stage": "Lent", "since": SINCE, "deadline": SOON, "keep": 22},
            Timer(Stage.LENT, NOON, NOON + HOUR, target=22, granted=32),
        ),
        (
            {"stage": "Recalling", "since": SINCE, "deadline": SOON, "forcedAt": LATE},
            Timer(Stage.RECALLING, NOON, NOON + HOUR, forced_at=NOON + 2 * HOUR),
        ),
    ],
)
def test_an_open_taking_is_remembered_whole(reclaim: dict[str, Any] | None, timer: Timer | None) -> None:
    status = {"granted": 32} | ({} if reclaim is None else {"reclaim": reclaim})
    assert a_request(status).remembered.timer == timer


@pytest.mark.parametrize(
    ("broken", "kept"),
    [
        ({"busy": -1}, 32),
        ({"phase": "Approved"}, 32),
        ({"reclaim": {"stage": "Frozen"}}, 32),
        ({"conditions": [{"type": "Granted"}]}, 32),
        ({"granted": "many"}, None),
    ],
)
def test_a_part_of_a_status_that_cannot_be_read_counts_as_not_written(
    broken: dict[str, Any], kept: int | None
) -> None:
    found = a_request({"granted": 32, "allowance": 24} | broken).remembered
    assert (found.granted, found.allowance, found.timer) == (kept, 24, None)

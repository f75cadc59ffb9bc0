"""Every change is told once, with the number and the reason."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Request
from gpupool.model.reasons import Phase, Stage
from gpupool.planner.planner import make_plan
from gpupool.simulator.engine import remember
from support.builders import (
    HOUR,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    status_of,
)

POOL = a_pool(a_share("vision", 8))


def told(*requests: Request, hard: int | None = None) -> list[tuple[str, str]]:
    quotas = {} if hard is None else {"vision": a_quota(hard)}
    return [(n.reason, n.message) for n in make_plan(a_snapshot(POOL, *requests, quotas=quotas)).notices]


def test_a_grant_is_told() -> None:
    assert told(a_request("train", 4)) == [("Granted", "4 of 4 GPUs granted in pool lab.")]


def test_a_first_answer_that_is_no_grant_is_told() -> None:
    (reason, message), *rest = told(a_request("train", 9))
    assert (reason, rest) == ("AboveCapacity", [])
    assert message.startswith("spec.gpus 9")


def test_waiting_is_told_at_first_and_is_no_warning() -> None:
    quotas = {"vision": a_quota(5)}
    found = make_plan(a_snapshot(POOL, granted("old", 5), a_request("new", 4), quotas=quotas)).notices
    assert [(n.reason, n.warning) for n in found] == [("WaitingForGuarantee", False)]


def test_an_owners_decrease_is_told_as_asked() -> None:
    assert told(replace(granted("train", 8), gpus=3, min_gpus=3), hard=8) == [
        ("Decreased", "Granted GPUs fell from 8 to 3, as asked.")
    ]


def test_a_loss_is_told_with_its_reason() -> None:
    timer = a_timer(Stage.RECALLING, HOUR, target=4)
    quotas = {"vision": a_quota(8, timers={"train": timer})}
    lost = granted("train", 8, preemptible=True, timer=timer)
    found = make_plan(a_snapshot(POOL, lost, quotas=quotas)).notices
    assert found[0].reason == "Lowered"
    assert found[0].message.startswith("Granted GPUs fell from 8 to 4: 4 of 8 GPUs are granted.")


@pytest.mark.parametrize(
    ("phase", "gpus", "reasons"),
    [
        (Phase.QUEUED, 9, ["AboveCapacity"]),
        (Phase.REFUSED, 9, []),
        (Phase.REFUSED, 8, ["WaitingForGuarantee"]),
        (Phase.QUEUED, 8, []),
    ],
    ids=["refused now", "refused as before", "no longer refused", "queued as before"],
)
def test_a_request_that_begins_or_ceases_to_be_refused_is_told(
    phase: Phase, gpus: int, reasons: list[str]
) -> None:
    other = granted("other", 5)
    waits = granted("train", 0, of=gpus, phase=phase)
    assert [r for r, _ in told(other, waits, hard=5)] == reasons


def test_what_was_told_is_not_told_again() -> None:
    first = make_plan(a_snapshot(POOL, a_request("train", 4), a_request("more", 9)))
    again = [
        replace(r, remembered=remember(status_of(first, r.key.name)))
        for r in (a_request("train", 4), a_request("more", 9))
    ]
    assert told(*again, hard=4) == []


def test_a_new_process_tells_a_taking_again_as_the_same_event() -> None:
    timer = replace(a_timer(Stage.LENT, HOUR, target=4), granted=8)
    quotas = {"vision": a_quota(4, timers={"train": timer})}
    before = a_snapshot(POOL, granted("train", 8, allowance=4, timer=timer), quotas=quotas)
    assert make_plan(before).notices == ()
    (again,) = make_plan(replace(before, uninterrupted_since=before.now)).notices
    assert (again.reason, again.since) == ("Lent", timer.since)


def test_a_recall_that_ends_is_told() -> None:
    timer = a_timer(Stage.RECALLING, HOUR, target=4)
    quotas = {"vision": a_quota(4, timers={"train": timer})}
    found = make_plan(a_snapshot(POOL, granted("train", 4, timer=timer), quotas=quotas)).notices
    assert [(n.reason, n.message) for n in found] == [("Settled", "4 of 4 granted GPUs may be used.")]


def test_a_request_for_a_foreign_resource_is_refused_and_told_once() -> None:
    wrong = a_request("train", 1, resource="amd.com/gpu")
    found = make_plan(a_snapshot(POOL, wrong))
    assert status_of(found, "train").verdict.message == (
        "spec.resource amd.com/gpu is not governed by pool lab: ask for one of nvidia.com/gpu."
    )
    assert [n.reason for n in found.notices] == ["UnknownResource"]
    again = replace(wrong, remembered=remember(status_of(found, "train")))
    assert make_plan(a_snapshot(POOL, again)).notices == ()

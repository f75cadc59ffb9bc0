"""What people read of readiness: condition, list, Event; each names who and what, and is bounded."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.enforcement import Enforcement, Replay
from gpupool.model.plan import Status
from gpupool.model.pool import Mode
from gpupool.planner.planner import make_plan
from gpupool.planner.readiness_report import MOST_DENIED
from gpupool.policy.readiness import hold
from support.builders import a_pool, a_share, a_snapshot, condition_of, nodes

GOOD = Replay("vision", "Deployment/serve", "")
BAD = Replay("vision", "Deployment/train", "spec.nodeName is set: remove it")
NEW = Replay("vision", "Job/once")
POOL = a_pool(a_share("vision", 8), a_share("nlp"), a_share("speech"), a_share("tts"))
OBSERVED = replace(POOL, mode=Mode.OBSERVE, isolation_mode=Mode.OBSERVE)


def told(*replays: Replay, **more: Any) -> Any:
    pool = more.pop("pool", POOL)
    enforcement = Enforcement(replays=replays, mutate=True)
    more = {"nodes": nodes(1, pool_label=None, taints=()), "enforcement": enforcement} | more
    return make_plan(hold(a_snapshot(pool, **more)))


@pytest.mark.parametrize(
    ("replays", "more", "status", "reason", "says"),
    [
        ((), {}, Status.TRUE, "NothingRuns", "No GPU workload"),
        ((), {"pool": OBSERVED}, Status.TRUE, "NothingRuns", "No GPU workload"),
        ((), {"pool": a_pool(mode=Mode.OBSERVE)}, Status.UNKNOWN, "NoShares", "No share lists a namespace"),
        ((NEW,), {"pool": OBSERVED}, Status.UNKNOWN, "NotRehearsed", "from mode Recommend on"),
        ((GOOD,), {}, Status.TRUE, "NoDenial", "1 templates of running workloads would be let in."),
        (
            (GOOD, NEW),
            {},
            Status.UNKNOWN,
            "BeingRehearsed",
            "waits for vision, nlp, speech and 1 more: 1 of 2 templates are being tried, vision Job/once",
        ),
        (
            (GOOD, BAD),
            {},
            Status.FALSE,
            "WouldBeDenied",
            "waits for vision, nlp, speech and 1 more: new pods of 1 of 2 templates would be denied. vision",
        ),
        (
            (BAD,),
            {"pool": replace(POOL, enforce_now=True)},
            Status.FALSE,
            "WouldBeDenied",
            "Enforced all the same, as gpupool.dev/enforce-now asks: new pods of 1 of 1",
        ),
        (
            (BAD,),
            {"labels": dict.fromkeys(("vision", "nlp", "speech", "tts"), "lab")},
            Status.FALSE,
            "WouldBeDenied",
            "new pods of 1 of 1 templates would be denied.",
        ),
    ],
)
def test_the_condition_says_where_it_stands(
    replays: tuple[Replay, ...], more: dict[str, Any], status: Status, reason: str, says: str
) -> None:
    found = condition_of(told(*replays, **more), "ReadyToEnforce")
    assert (found.status, found.reason) == (status, reason)
    assert says in found.message


def test_the_policys_own_words_stand_in_the_sentence() -> None:
    message = condition_of(told(GOOD, BAD), "ReadyToEnforce").message
    assert message.endswith(" vision Deployment/train: spec.nodeName is set: remove it.")


def test_two_shares_that_wait_are_both_named() -> None:
    pool = a_pool(a_share("vision"), a_share("nlp"))
    assert "waits for vision, nlp: " in condition_of(told(BAD, pool=pool), "ReadyToEnforce").message


def test_the_list_is_in_order_and_bounded_and_the_sentence_counts_the_rest() -> None:
    many = [replace(BAD, owner=f"Job/j-{n:02}") for n in range(30)]
    found = told(*reversed(many))
    assert found.status is not None
    assert found.status.would_be_denied == tuple(many[:MOST_DENIED])
    message = condition_of(found, "ReadyToEnforce").message
    assert "Job/j-02" in message
    assert "Job/j-03" not in message
    assert message.endswith("; and 27 more.")


def test_an_event_tells_of_a_switch_that_waits_and_of_nothing_else() -> None:
    (notice,) = told(BAD).notices
    assert (notice.kind, notice.key.name, notice.uid, notice.reason) == (
        "GpuPool",
        "lab",
        "uid-lab",
        "EnforceWaits",
    )
    assert notice.warning
    assert "remove it" in notice.message
    assert told(NEW).notices == ()
    assert told(BAD, pool=replace(POOL, enforce_now=True)).notices == ()

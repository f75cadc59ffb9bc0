"""Floor and ceiling: the arithmetic, who wins, what is never ended, what is said of it."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import DataPolicy, Decision, HpaMode, Limits, Need, Pace, Scaling, Target
from gpupool.policy.slo.grant import Grant
from gpupool.policy.slo.steering import Situation, decide
from support.builders import GPU

REF = ObjectRef("apps/v1", "Deployment", "chat")
CHAT = Target(Key("chat-prod", "chat"), REF, 2, 2, {GPU: 1}, surge="1", unavailable="0")


def lab(gpus: int | None = 8, request: str = "chat", **more: Any) -> Grant:
    return Grant("lab", request, gpus, **more)


def decided(low: int = 1, high: int | None = None, **more: Any) -> Decision:
    more.setdefault("target", CHAT)
    return decide(Situation(Scaling(low, high), **more))


def numbers(found: Decision) -> tuple[int, int, str]:
    return found.floor, found.ceiling, found.reason


# ------------------------------------------------------------------ floor


def test_until_the_profile_is_learned_the_larger_minimum_counts() -> None:
    assert numbers(decided(2, 9, theirs=Limits(3, 20))) == (3, 9, "MaxReplicas")
    assert numbers(decided(4, 9, theirs=Limits(3, 20))) == (4, 9, "MaxReplicas")
    found = decided(2, 9)
    assert numbers(found) == (2, 9, "MaxReplicas")
    assert "scaling.minReplicas 2, what a replica carries is not learned yet" in found.message


def test_a_learned_need_replaces_the_saved_minimum() -> None:
    found = decided(2, 9, theirs=Limits(7, 20), needed=5, why="40 requests/s, 8 a replica")
    assert numbers(found) == (5, 9, "MaxReplicas")
    assert "40 requests/s, 8 a replica" in found.message
    assert "the objectives need 3" in decided(1, 9, needed=3).message
    assert decided(2, 9, needed=1).floor == 2


def test_what_is_needed_is_told_whatever_the_grant_affords_and_why() -> None:
    short = decided(1, 20, grant=lab(4), needed=6, why="48 requests/s, 8 a replica", term="Spread")
    assert (short.floor, short.ceiling, short.needed, short.floor_reason) == (3, 3, 6, "Spread")
    assert "6 replicas are asked for (48 requests/s, 8 a replica)" in short.rejected[-1].message
    assert short.lack is not None
    assert (decided(2, 9).needed, decided(2, 9).floor_reason) == (2, "ProfileUnlearned")
    held = decided(2, 9, pace=Pace.HOLD, written=Limits(6, 9), needed=3)
    assert (held.needed, held.floor_reason) == (6, "DataUnknown")


KNOWN = Need(8, "3.0 requests or more wait at each of 7 replicas")


def test_hold_moves_nothing_and_says_what_it_held_back() -> None:
    held = {"pace": Pace.HOLD, "written": Limits(6, 9)}
    found = decided(2, 9, needed=7, known=KNOWN, **held)
    assert found.floor == 6
    (rejected,) = [r for r in found.rejected if r.reason == "DataPolicyHold"]
    assert rejected.alternative == "floor 8"
    assert "3.0 requests or more wait at each of 7 replicas" in rejected.message
    assert not decided(2, 9, known=Need(5, ""), **held).rejected
    assert decided(2, 9, needed=1, pace=Pace.HOLD, theirs=Limits(4, 9)).floor == 4, (
        "nor before the first write"
    )


def test_up_only_lets_the_floor_rise_from_what_is_known() -> None:
    held = {"pace": Pace.HOLD, "written": Limits(6, 9), "policy": DataPolicy.UP_ONLY}
    assert decided(2, 9, needed=7, **held).floor == 7
    found = decided(2, 9, needed=7, known=KNOWN, **held)
    assert (found.floor, found.rejected) == (8, ())
    assert "wait at each of 7 replicas" in found.message
    assert decided(2, 9, needed=1, known=Need(2, ""), **held).floor == 6, "never falls"
    assert decided(2, 9, needed=7, known=KNOWN, policy=DataPolicy.UP_ONLY).floor == 7, "all is known"
    alone = decided(2, 9, known=KNOWN, pace=Pace.HOLD, policy=DataPolicy.UP_ONLY)
    assert alone.floor == 8, "also where no HPA is"


def test_while_users_are_not_seen_the_floor_never_falls() -> None:
    held = {"pace": Pace.HOLD, "written": Limits(6, 9)}
    found = decided(2, 9, **held)
    assert numbers(found) == (6, 9, "DataUnknown")
    assert "none goes" in found.message
    assert decided(7, 9, **held).floor == 7
    assert decided(2, 9, pace=Pace.HOLD).floor == 2
    assert decided(2, 9, pace=Pace.STEADY, written=Limits(6, 9)).floor == 2


# ------------------------------------------------------------------ ceiling


def test_the_ceiling_is_the_grant_less_the_surge() -> None:
    found = decided(grant=lab(8))
    assert numbers(found) == (1, 7, "GrantLimits")
    assert "8 GPUs of CapacityRequest chat, 1 a replica, 1 kept for the surge of a rollout" in found.message
    assert decided(grant=lab(9), gpus=2).ceiling == 3
    assert decided(grant=lab(8), target=replace(CHAT, surge="0")).ceiling == 8


def test_what_other_workloads_hold_is_told() -> None:
    assert "beside 3 of other workloads" in decided(grant=lab(5, others=3)).message


def test_the_owners_own_maximum_stays_the_upper_bound() -> None:
    found = decided(1, 4, grant=lab(8), theirs=Limits(1, 20))
    assert numbers(found) == (1, 4, "MaxReplicas")
    assert [(r.alternative, r.reason) for r in found.rejected] == [("ceiling 7", "GrantLimits")]
    assert numbers(decided(grant=lab(8), theirs=Limits(1, 5))) == (1, 5, "MaxReplicas")
    assert numbers(decided(1, 16, grant=lab(8), theirs=Limits(1, 5))) == (1, 7, "GrantLimits")


def test_without_a_pool_it_is_the_owners_maximum_and_without_that_as_it_is() -> None:
    assert numbers(decided(1, 16)) == (1, 16, "MaxReplicas")
    assert numbers(decided(1)) == (1, 2, "Unbounded")
    assert numbers(decided(5)) == (5, 5, "Unbounded")
    assert numbers(decided(1, target=None)) == (1, 1, "Unbounded")
    assert numbers(decided(1, target=None, grant=lab(8))) == (1, 1, "Unbounded")


@pytest.mark.parametrize(
    ("grant", "reason", "words"),
    [
        (lab(request=""), "NoRequest", "no CapacityRequest in pool lab covers Deployment/chat"),
        (lab(None), "NotDecided", "CapacityRequest chat is not decided yet"),
    ],
)
def test_where_nothing_is_granted_what_runs_is_kept(grant: Grant, reason: str, words: str) -> None:
    found = decided(1, 16, grant=grant, kept=2)
    assert numbers(found) == (1, 2, "ReplicasRun")
    assert words in found.message
    empty = decided(1, 16, grant=grant)
    assert numbers(empty) == (0, 0, reason)
    assert empty.lack is not None


def test_at_full_grant_no_replica_that_runs_is_ended() -> None:
    found = decided(grant=lab(3), kept=3)
    assert numbers(found) == (1, 3, "ReplicasRun")
    assert "so many run and are Ready, none is ended; 2 otherwise" in found.message
    assert [(r.alternative, r.message) for r in found.rejected] == [
        ("ceiling 2", "It would end 1 replicas that run and are Ready.")
    ]


def test_a_lower_maximum_ends_none_either() -> None:
    assert numbers(decided(1, 2, kept=3)) == (1, 3, "ReplicasRun")


def test_a_recall_after_its_notice_may_and_says_so() -> None:
    found = decided(grant=lab(2, taken="a recall of 2 GPUs fell due"), kept=4)
    assert numbers(found) == (1, 1, "TakenAfterNotice")
    assert "a recall of 2 GPUs fell due" in found.message


# ------------------------------------------------------------------ both


def test_where_both_disagree_the_ceiling_wins_and_says_how_many_gpus_are_missing() -> None:
    found = decided(5, grant=lab(8), gpus=2)
    assert numbers(found) == (3, 3, "GrantLimits")
    assert found.lack is not None
    assert found.lack.gpus == 4
    text = "5 replicas are needed: 10 GPUs, and 2 for the surge of a rollout; 8 are granted: 4 more."
    assert found.lack.message == text
    assert ("floor 5", "AboveCeiling") in [(r.alternative, r.reason) for r in found.rejected]


def test_a_floor_above_the_owners_maximum_is_no_lack_of_gpus() -> None:
    found = decided(1, 2, needed=5)
    assert numbers(found) == (2, 2, "MaxReplicas")
    assert found.lack is None


def test_the_pace_is_told() -> None:
    assert "replicas go sooner" in decided(1, 2, pace=Pace.SAVE).message
    assert "they come" not in decided(1, 2, pace=Pace.STEADY).message
    assert "replicas come faster, and none goes" in decided(1, 2, pace=Pace.PROTECT).message
    assert decided(1, 2, pace=Pace.PROTECT).pace is Pace.PROTECT


def test_a_created_hpa_lets_nothing_go_until_a_profile_is_learned_and_tries_one_more() -> None:
    def scaled_on(mode: HpaMode = HpaMode.CREATE, **more: Any) -> tuple[int, int]:
        found = decide(Situation(Scaling(2, 9, mode), **({"target": CHAT} | more)))
        return found.floor, found.needed

    assert scaled_on() == (2, CHAT.replicas)
    assert scaled_on(pressed=Need(CHAT.replicas + 1, "")) == (2, CHAT.replicas + 1)
    assert scaled_on(target=None) == (2, 2)
    assert scaled_on(needed=3, pressed=Need(8, "")) == (3, 3), "the profile knows better"
    assert scaled_on(HpaMode.ADOPT, pressed=Need(8, "")) == (2, 2), "its owner's metric scales it"


def test_gpus_are_missing_too_for_what_is_tried_while_a_budget_burns() -> None:
    tried = {"grant": lab(4), "pressed": Need(5, "")}
    found = decided(1, 20, pace=Pace.PROTECT, **tried)
    assert found.floor == 1
    assert found.lack is not None
    assert "5 replicas are needed" in found.lack.message
    assert decided(1, 20, **tried).lack is None, "it does not burn"
    assert decided(1, 2, pace=Pace.PROTECT, **tried).lack is None, "its owner's maximum is in the way"

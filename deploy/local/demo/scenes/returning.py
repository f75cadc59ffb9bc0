"""The owner's demand returns: notice to the borrower, the recall is kept; then the books."""

import time
from typing import Final

from demo.reading import Look, Reading, facts
from demo.scenes.lending import OWNER, WAITER
from demo.scenes.opening import cpu_running
from demo.stage import Stage, moment, uids

ASKED: Final = 64
WITHIN: Final = 30.0
"""`recall.within` of pool lab, seconds."""

QUIET: Final = 10
"""Seconds without any change that show that nothing flaps."""


def demand_returns(stage: Stage) -> None:
    """More pods are enough: the GPUs come back within the time the pool promises."""
    stage.narrator.scene(
        "The owner's demand returns, and the recall is kept",
        "vision scales up to all it was promised; its quota is 24 now. The pool says: back within 30 s.",
    )
    borrowers = uids(stage.pods(*WAITER))
    stage.kubectl("scale", "deployment", "train-sam", "-n", "vision-lab", "--replicas=16")
    stage.expect(
        "nlp gets notice before it loses anything",
        facts(lambda: {**stage.request(*WAITER), **stage.running(*WAITER)}, stage="Recalling", GPUs=48),
    )
    notice = stage.request(*WAITER)
    stage.expect("with a deadline", _times(notice))
    stage.expect("vision may use its GPUs again, in time", _returned_in_time(stage, str(notice["since"])), 45)
    stage.say("A ReplicaSet sleeps longer after every refusal, up to 16 minutes; any touch wakes it:")
    stage.kubectl("annotate", "replicaset", "-n", "vision-lab", "-l", "app=train-sam", "example.com/wake=up")
    stage.expect("and they run", facts(stage.running, *OWNER, pods_running=16, GPUs=64), 60)
    stage.expect(
        "nlp keeps its own 16: only the loan went back",
        facts(
            lambda: {**stage.running(*WAITER), "untouched": len(uids(stage.pods(*WAITER)) & borrowers)},
            GPUs=16,
            untouched=4,
        ),
    )
    stage.expect(
        "nlp waits for the rest, and is told so",
        facts(stage.request, *WAITER, phase="Partial", granted=16, position=1),
    )
    stage.expect("then it is quiet: nothing flaps", _quiet(stage), 40)


def the_books(stage: Stage) -> None:
    """What held at every moment of the story."""
    stage.narrator.scene("The books", "What Prometheus saw, second by second.")
    span = f"[{int(stage.narrator.seconds) + 5}s]"
    stage.expect(
        "never oversold: GPUs committed beyond what is",
        facts(
            lambda: {"at most": stage.prometheus(f"max(max_over_time(gpupool_overcommitted_gpus{span}))")},
            **{"at most": 0},
        ),
    )
    held = f'max(max_over_time(gpupool_pool_held_gpus{{pool="lab"}}{span}))'
    stage.expect(
        "and at most what there is was held", facts(lambda: {"GPUs": stage.prometheus(held)}, GPUs=80)
    )
    stage.expect("the CPU services never noticed", facts(cpu_running, stage, running=6, of=6))
    stage.narrator.show(stage.kubectl("get", "gpool"))


def _quiet(stage: Stage) -> Look:
    """No grant, no loan and no allowance moved for `QUIET` seconds (law 7: no flapping)."""
    places = f'namespace=~"{OWNER[0]}|{WAITER[0]}"'
    query = " + ".join(
        f"sum(changes(gpupool_request_{kind}_gpus{{{places}}}[{QUIET}s]))"
        for kind in ("granted", "allowance")
    )

    def look() -> Reading:
        changes = stage.prometheus(query)
        return Reading(f"{changes:.0f} changes of grants and allowances in {QUIET} s", changes == 0)

    return look


def _times(notice: dict[str, object]) -> Look:
    def look() -> Reading:
        since, deadline = moment(str(notice["since"])), moment(str(notice["deadline"]))
        forced = moment(str(notice["forcedAt"]))
        text = (
            f"notice {since:%H:%M:%S}, pods leave {deadline:%H:%M:%S}, budgets hold until {forced:%H:%M:%S}"
        )
        return Reading(text, since < deadline <= forced)

    return look


def _returned_in_time(stage: Stage, since: str) -> Look:
    """The quota that stands covers the demand within `WITHIN` of the notice."""

    def look() -> Reading:
        wall, passed = stage.wall("vision-lab"), time.time() - moment(since).timestamp()
        text = f"quota {wall}, {passed:.0f} s after the notice (promised: {WITHIN:.0f} s)"
        return Reading(text, wall == ASKED and passed <= WITHIN)

    return look

"""What was promised and never requested: notice, proof, loan; the waiting team runs."""

from datetime import datetime
from typing import Final

from demo.reading import Look, Reading, facts, says
from demo.stage import Stage, moment, uids

OWNER: Final = ("vision-lab", "train-sam")
WAITER: Final = ("nlp-lab", "finetune")
SECOND: Final = len("2026-01-31T12:00:00")
"""Characters of a time down to the second, as Events write it."""

WORK: Final = 6.0
"""GPU-minutes that the waiting team works before the story goes on."""


def notice(stage: Stage) -> None:
    """A deadline stands in status, Event and metric before anything is taken."""
    stage.narrator.scene(
        "Notice before taking",
        "So far reclaim was on Recommend: it says what it would do. Then the platform team turns it on.",
    )
    stage.expect(
        "Recommend says what Enforce would do",
        says(lambda: _sentence(stage, "UnderUsed"), "would be lent"),
        60,
    )
    stage.kubectl(
        *("patch", "gpool", "lab", "--type=merge"),
        *("-p", '{"spec":{"reclaim":{"mode":"Enforce"}}}'),
    )
    stage.expect(
        "vision is warned; nothing is taken yet",
        facts(stage.request, *OWNER, stage="Warned", UnderUsed="True", allowance=64),
        60,
    )
    stage.expect("its condition says why and until when", says(lambda: _sentence(stage, "UnderUsed"), "lent"))
    deadline = str(stage.request(*OWNER)["deadline"])
    stage.expect(
        "the deadline stands in an Event", says(lambda: _event(stage, "UnderUsed"), deadline[:SECOND])
    )
    stage.expect("and in a metric of Prometheus", _metric_is(stage, deadline))


def proof_and_loan(stage: Stage) -> None:
    """At the deadline it is proved again; only then the unheld part is lent."""
    stage.narrator.scene(
        "Proof, loan, and the waiting team runs",
        "At the deadline the verdict must hold on fresh data. What is held stays, and one pod more.",
    )
    before, deadline = uids(stage.pods(*OWNER)), moment(str(stage.request(*OWNER)["deadline"]))
    stage.expect(
        "the unheld part is lent, the promise stays",
        facts(stage.request, *OWNER, stage="Lent", granted=64, allowance=24),
        60,
    )
    stage.expect("proved at the deadline, not before", _proved_after(stage, deadline))
    stage.expect("the wall came down to it", facts(lambda: {"quota": stage.quota("vision-lab")}, quota=24))
    stage.expect(
        "nobody in vision lost a GPU",
        facts(
            lambda: {"same_pods": uids(stage.pods(*OWNER)) == before, **stage.running(*OWNER)},
            same_pods=True,
            GPUs=20,
        ),
    )
    stage.expect("nlp's wait is over", facts(stage.request, *WAITER, phase="Granted", granted=48), 30)
    stage.apply("08-finetune.yaml")
    stage.expect("nlp runs", facts(stage.running, *WAITER, pods_running=12, GPUs=48), 40)
    stage.expect("and is busy", facts(stage.request, *WAITER, held=48, busy=48, dataState="OK"), 30)
    stage.expect("work done on GPUs that lay idle", _work(stage, "nlp", WORK), 40)
    stage.expect(
        "the pool: lent to work, not lost",
        facts(stage.counts, "lab", usable=80, granted=112, lent=40, held=68),
    )


def _work(stage: Stage, team: str, least: float) -> Look:
    query = f'sum_over_time(gpupool_share_busy_gpus{{team="{team}"}}[5m]) / 60'

    def look() -> Reading:
        minutes = stage.prometheus(query) or 0.0
        return Reading(f"{minutes:.1f} busy GPU-minutes of {team}", minutes >= least)

    return look


def _sentence(stage: Stage, kind: str) -> str:
    path = f"/apis/gpupool.dev/v1alpha1/namespaces/{OWNER[0]}/capacityrequests/{OWNER[1]}"
    rows = stage.kube.get(path).get("status", {}).get("conditions", [])
    return next((str(c["message"]) for c in rows if c["type"] == kind), "")


def _event(stage: Stage, reason: str) -> str:
    found = [e for e in stage.events(*OWNER) if e["reason"] == reason]
    return f"{reason}: {found[-1]['message']}" if found else ""


def _metric_is(stage: Stage, deadline: str) -> Look:
    name = "gpupool_reclaim_deadline_timestamp_seconds"
    query = f'{name}{{namespace="{OWNER[0]}",request="{OWNER[1]}"}}'

    def look() -> Reading:
        value = stage.prometheus(query)
        text = "no series" if value is None else f"{name} {value:.0f} = {deadline}"
        return Reading(text, value == moment(deadline).timestamp())

    return look


def _proved_after(stage: Stage, deadline: datetime) -> Look:
    def look() -> Reading:
        status = stage.request(*OWNER)
        lent, proved = moment(str(status["since"])), moment(str(status["lastProvedAt"]))
        text = f"deadline {deadline:%H:%M:%S}, lent {lent:%H:%M:%S}, last proved {proved:%H:%M:%S}"
        return Reading(text, lent >= deadline)

    return look

"""The second act: an endpoint lives through a night and a morning, beside a twin with fixed replicas."""

import time
from typing import Final

from demo import day
from demo.reading import Look, Reading, facts, says
from demo.stage import Stage
from localplane.kube import Json

LIVE: Final = ("assist-live", "assist")
FIXED: Final = ("assist-fixed", "assist")
ENDPOINTS: Final = {
    "assist": LIVE,
    "fixed": FIXED,
    "rag": ("rag-live", "rag"),
    "coder": ("coder-live", "coder"),
}
"""Namespace and name by team of pool serving."""

WINDOWS: Final = 10
"""Good windows after which what a replica carries counts."""

PROMISED: Final = 95.0
"""Percent of requests that have their first token in time."""

ADOPT: Final = '{"spec":{"scaling":{"hpa":"Adopt"}}}'


def learned(stage: Stage) -> None:
    """What a replica carries is known; the owner's HPA is adopted with their consent."""
    stage.narrator.scene(
        "Act two: what a replica of assist carries is known by now",
        "Its users are promised that 95 % of requests have their first token within 500 ms. Meanwhile gpupool"
        " learned, from good windows only, what a replica carries. The engines' time runs ten times as fast.",
    )
    stage.expect("learned from ten good windows", _learned(stage), 150)
    stage.expect(
        "so it can say what the promise needs", says(lambda: _message(stage), "replicas", "a replica"), 20
    )
    stage.apply("12-hpa.yaml")
    stage.kubectl("patch", "islo", LIVE[1], "-n", LIVE[0], "--type=merge", "-p", ADOPT)
    stage.expect("by consent: it is adopted", facts(stage.slo, *LIVE, Steering="Adopted"), 60)
    stage.expect("Kubernetes' HPA controller reads the metric", facts(_hpa, stage, ScalingActive="True"), 60)


def day_begins(stage: Stage) -> None:
    """The recorded day begins, at the endpoint and at its twin."""
    stage.narrator.scene(
        f"A recorded night and morning: {day.HOURS} hours in {day.SECONDS:.0f} seconds",
        "Requests of one client of Alibaba's ServeGen, from midnight on, at both. fixed has the 6 replicas"
        " that somebody set for the busiest hour; assist has its HPA.",
    )
    stage.day_began = round(time.time(), 1)
    stage.control(
        epoch=stage.day_began,
        traces=str(day.write(stage.cluster.layout.private)),
        engines={"/".join(key): {"load": day.TRACE} for key in (LIVE, FIXED)},
    )
    stage.expect("fixed holds its GPUs day and night", facts(stage.share, "serving", "fixed", held=12))


def night(stage: Stage) -> None:
    """At night few replicas are needed."""
    stage.expect("at night assist needs few, and gives GPUs back", _few(stage, 6), 60)


def day_over(stage: Stage) -> None:
    """Both kept the promise; one of them with fewer GPUs."""
    stage.narrator.scene(
        "The morning is over: the promise kept, with fewer GPUs",
        "What both held, second by second, and how their users fared.",
    )
    stage.expect(f"it is {day.clock(day.SECONDS)}", _over(stage), day.SECONDS + 10)
    stage.day_ended = stage.day_began + day.SECONDS
    stage.expect("fixed was not set too high for it", _busiest(stage, 5))
    stage.expect("assist took fewer GPU-seconds than fixed", _fewer(stage))
    for team in ("assist", "fixed"):
        stage.expect(f"{team}: not below what was promised", _kept(stage, team))
    span = f"[{int(time.time() - stage.day_began) + 1}s]"
    worst = f'max(max_over_time(gpupool_overcommitted_gpus{{pool="serving"}}{span}))'
    stage.expect(
        "and never was a GPU promised twice",
        facts(lambda: {"at most": stage.prometheus(worst)}, **{"at most": 0}),
    )
    stage.narrator.show(stage.kubectl("get", "islo", "-A"), "TARGET", "DATA", "AGE")


def endpoints_begin(stage: Stage) -> None:
    """Long before the second act: what it is about begins to run, and is measured."""
    stage.say(
        "For act two, four endpoints get a pool of their own and begin to serve; gpupool begins to measure:"
    )
    stage.control(speed=day.SPEED)
    stage.apply("10-serving.yaml")
    for team, gpus in (("assist", 14), ("fixed", 14), ("rag", 12), ("coder", 12)):
        stage.expect(
            f"{team}: granted", facts(stage.request, *ENDPOINTS[team], phase="Granted", granted=gpus)
        )
    stage.apply("11-endpoints.yaml")


def gpu_seconds(stage: Stage, team: str) -> float:
    """What a team's pods held during the day."""
    rows = stage.prometheus_range(f"max({_held(team)})", stage.day_began, stage.day_ended, 1.0)
    values = [float(value) for row in rows for _, value in row["values"]]
    return day.SECONDS * sum(values) / len(values) if values else 0.0


# ------------------------------------------------------------------ looks


def _held(team: str) -> str:
    return f'gpupool_share_held_gpus{{pool="serving",team="{team}"}}'


def _learned(stage: Stage) -> Look:
    def look() -> Reading:
        profiles = stage.slo(*LIVE).get("profile", [])
        found = profiles[0].get("requestsPerSecond", {}) if profiles else {}
        samples, rate = int(found.get("samples", 0)), float(found.get("value", 0.0)) / day.SPEED
        return Reading(f"{rate:.2f} requests/s a replica, {samples} windows", samples >= WINDOWS)

    return look


def _message(stage: Stage) -> str:
    status = stage.slo(*LIVE)
    return str(status.get("message", "")) if status.get("floorReason") != "ProfileUnlearned" else ""


def _hpa(stage: Stage) -> Json:
    path = f"/apis/autoscaling/v2/namespaces/{LIVE[0]}/horizontalpodautoscalers/{LIVE[1]}"
    rows = stage.kube.get(path).get("status", {}).get("conditions", [])
    return {row["type"]: row["status"] for row in rows}


def _few(stage: Stage, most: int) -> Look:
    def look() -> Reading:
        passed = time.time() - stage.day_began
        held = stage.prometheus(f"min_over_time({_held('assist')}[{int(passed) + 1}s])")
        text = f"{day.clock(passed)}; assist held as few as {held or 0:.0f} GPUs since it began"
        return Reading(text, held is not None and held <= most)

    return look


def _over(stage: Stage) -> Look:
    def look() -> Reading:
        passed = time.time() - stage.day_began
        held = {team: stage.share("serving", team).get("held", 0) for team in ("assist", "fixed")}
        text = f"{day.clock(passed)}; assist holds {held['assist']} GPUs, fixed {held['fixed']}"
        return Reading(text, passed > day.SECONDS)

    return look


def _busiest(stage: Stage, least: int) -> Look:
    needed = f'gpupool_required_replicas{{namespace="{LIVE[0]}",slo="{LIVE[1]}"}}'

    def look() -> Reading:
        span = f"[{int(time.time() - stage.day_began) + 1}s]"
        most = stage.prometheus(f"max_over_time({needed}{span})") or 0
        return Reading(f"the busiest hour needed {most:.0f} replicas, fixed has 6", most >= least)

    return look


def _fewer(stage: Stage) -> Look:
    def look() -> Reading:
        ours, theirs = (gpu_seconds(stage, team) for team in ("assist", "fixed"))
        saved = 100 * (1 - ours / theirs) if theirs else 0.0
        return Reading(f"{ours:.0f} beside {theirs:.0f} GPU-seconds, {saved:.0f} % fewer", 0 < ours < theirs)

    return look


def _kept(stage: Stage, team: str) -> Look:
    def look() -> Reading:
        row = stage.objective(*ENDPOINTS[team])
        attained, left = row.get("attainment"), row.get("budgetRemaining")
        text = f"attainment {attained} % (promised {PROMISED:g}), {left} % of the error budget left"
        return Reading(text, attained is not None and attained >= PROMISED)

    return look

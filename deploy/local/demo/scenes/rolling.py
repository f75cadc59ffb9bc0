"""A bad rollout is caught while most users are still served by what it replaces."""

from typing import Final

from demo.reading import facts, says
from demo.scenes.serving import ENDPOINTS, night
from demo.stage import Stage
from localplane.kube import Json

CODER: Final = ENDPOINTS["coder"]
COUNTED: Final = 50
"""Events after which a revision can be compared: `minEvents` of its InferenceSLO."""


def bad_rollout(stage: Stage) -> None:
    """A flag that nobody meant; the guard sees it in the first pod and pauses the Deployment."""
    stage.narrator.scene(
        "A bad rollout is caught",
        "The next version of coder answers 4 requests at a time. Its InferenceSLO says rollout.guard: Pause.",
    )
    stage.expect(
        "the version that runs was measured", facts(_rollout, stage, stable_ready=2, stable_counted=True), 30
    )
    stage.apply("13-coder-bad.yaml")
    night(stage)
    stage.expect("it is found bad", facts(_rollout, stage, verdict="Bad"), 90)
    stage.expect(
        "with the arithmetic of the error budget",
        says(lambda: str(_rollout(stage).get("message", "")), "of the error budget"),
    )
    stage.expect("and paused", facts(_rollout, stage, action="Paused", paused=True), 60)
    stage.expect("its old pods serve on", facts(_rollout, stage, stable_ready=2))
    stage.say("A template without the flag is let through by itself:")
    stage.apply("14-coder-mended.yaml")
    stage.expect("the pause is lifted", facts(_rollout, stage, paused=False), 60)


def _rollout(stage: Stage) -> Json:
    """What is said of the rollout, and whether the Deployment is paused."""
    found = stage.slo(*CODER).get("rollout", {})
    path = f"/apis/apps/v1/namespaces/{CODER[0]}/deployments/{CODER[1]}"
    stable = found.get("stable", {})
    results = stable.get("results", [])
    return {
        **found,
        "stable_ready": stable.get("ready"),
        "stable_counted": bool(results) and results[0].get("total", 0) >= COUNTED,
        "paused": bool(stage.kube.get(path)["spec"].get("paused", False)),
    }

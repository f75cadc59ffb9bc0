"""Builders of two revisions side by side: what each did, look by look, and what the API server shows."""

from collections.abc import Mapping, Sequence

from gpupool.model.rollout import Population, Release, Revision, Rollout, Verdict
from gpupool.model.slo import Objective, Reading, Sli, SloState, Sums
from gpupool.planner.endpoints import ObjectiveFound
from gpupool.policy.slo.budget import Budget
from gpupool.policy.slo.guard import Watched, watch
from gpupool.policy.slo.revisions import Seen, promised
from support.builders import NOW

TTFT = Objective(Sli.TTFT, 99, 0.5)
OLD, NEW = "5c4b", "7d9f"
BAD = Rollout(Revision(OLD, 0.0), Revision(NEW, 1.0), Verdict.BAD, "Worse", "It is worse.", NOW.timestamp())
"""The memory of a rollout whose new revision was found bad."""
JUDGED = ObjectiveFound(TTFT, Reading(SloState.OK), Sums(), Budget(None, None, 0.0, 0.0))
"""An objective of which nothing is known but that its data is good."""
Pair = tuple[float, float]
"""Bad and all events of a look."""


def ok(bad: float, total: float, seconds: float = 15.0) -> Reading:
    """A reading of good data."""
    state = SloState.OK if total else SloState.NO_TRAFFIC
    return Reading(state, total - bad, total, seconds)


def a_release(newest: str = NEW, old: int = 2, new: int = 1, **more: bool) -> Release:
    """A workload of Ready pods of two revisions."""
    found = {OLD: Population(old, old, old), NEW: Population(new, new, new, (30.0,))}
    return Release(newest, {name: pods for name, pods in found.items() if pods.pods}, **more)


def a_look(
    release: Release | None = None,
    *objectives: Objective,
    left: float | None = 85.0,
    min_events: int = 100,
    window: float = 28 * 86400.0,
    **readings: Sequence[Reading] | Pair | Reading,
) -> Seen:
    """A look: `a_look(old=(1, 100), new=(30, 100))`; errors are 0 where a pair says nothing of them."""
    asked = objectives or (TTFT,)
    names = {"old": OLD, "new": NEW}
    return Seen(
        release=release or a_release(),
        promised=promised(asked, [left] * len(asked)),
        readings={names[name]: _readings(found, len(asked)) for name, found in readings.items()},
        min_events=min_events,
        window=window,
    )


def _readings(found: Sequence[Reading] | Pair | Reading, asked: int) -> tuple[Reading, ...]:
    if isinstance(found, Reading):
        return (found,) * (asked + 1)
    if isinstance(found[0], Reading):
        return tuple(r for r in found if isinstance(r, Reading))
    bad, total = (float(n) for n in found if not isinstance(n, Reading))
    return (*(ok(bad, total),) * asked, ok(0, total))


def seen(looks: Sequence[Seen], memory: Rollout | None = None, now: float = 1000.0) -> Watched:
    """What all looks together come to."""
    found = Watched(memory or Rollout())
    for number, look in enumerate(looks):
        found = watch(found.memory, look, now + 15 * number)
    return found


def history(looks: int = 10, old: Pair = (0, 100)) -> list[Seen]:
    """Looks at the old revision alone."""
    return [a_look(a_release(OLD, new=0), old=old)] * looks


def beside(looks: int = 10, old: Pair = (0, 50), new: Pair = (0, 50), **more: object) -> list[Seen]:
    """Looks at both."""
    return [a_look(old=old, new=new, **more)] * looks  # type: ignore[arg-type] # keywords of a look


def results(found: Watched) -> Mapping[str, float]:
    """Burn rates by objective."""
    return {c.new.what: c.burn for c in found.comparisons}

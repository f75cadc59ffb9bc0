"""What is run: a policy at one start-up time, alone or in a pool that is too small; one run a core at a time.

No lane knows of another but in a small pool, so that runs are cut by policy and start-up time: what comes out
does not depend on how many run at once.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

import numpy as np

from benchmarks.slo.attainment import Table
from benchmarks.slo.fluid import Lookup, Outcome, Share, lanes, simulate
from benchmarks.slo.limited import by_priority, first_come
from benchmarks.slo.policies import EVERYBODY, OBJECTIVE
from benchmarks.slo.trace import Counts, Trace
from gpupool.policy.slo.demand import Tuning
from gpupool.policy.slo.sizing import TUNING
from localplane.progress import step

SHARING: Final[dict[str, Callable[[int, int], Share]]] = {
    "by priority": by_priority,
    "first come": first_come,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that policies are run on."""

    trace: Trace
    tables: tuple[Table, ...]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        policy: one of `EVERYBODY`.
        startup: seconds.
        draws: of the arrivals, from the first.
        tuning: of ours.
        pool: replicas of all tenants together; 0 where everybody gets what is wanted.
        sharing: of the pool.
    """

    policy: str
    startup: int
    draws: int = 1
    tuning: Tuning = TUNING
    pool: int = 0
    sharing: str = ""

    @property
    def name(self) -> str:
        """Policy and sharing."""
        return f"{self.policy}, {self.sharing}" if self.pool else self.policy


def play(run: Run, found: Setting) -> Outcome:
    """One run from beginning to end."""
    counts = found.counts[: run.draws]
    side = lanes(found.tables, run.draws, (run.startup,), OBJECTIVE / 100)
    policy = EVERYBODY[run.policy](counts, side, run.tuning)
    share = SHARING[run.sharing](run.pool, len(found.tables)) if run.pool else None
    return simulate(side, Lookup(found.tables), counts, found.trace.gaps, policy, share=share)


class Bench:
    """Plays runs; the longest first, where several run at once.

    Args:
        found: what they are run on.
        workers: processes; with one, everything is done in this one.
    """

    def __init__(self, found: Setting, workers: int) -> None:
        self.found = found
        self._workers = workers

    def play(self, title: str, runs: Sequence[Run]) -> list[Outcome]:
        """All of them, in their order."""
        jobs = [(play, (run, self.found)) for run in runs]
        first = sorted(range(len(runs)), key=lambda n: (runs[n].policy != "gpupool", n))
        return together(title, jobs, [run.name for run in runs], self._workers, first)


def together(
    title: str,
    jobs: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]],
    names: Sequence[str],
    workers: int,
    order: Sequence[int] | None = None,
) -> list[Any]:
    """Call functions in as many processes, and show which are done.

    Args:
        title: what they are.
        jobs: functions of modules, with their arguments.
        names: of the jobs.
        workers: processes.
        order: in which they begin.
    """
    results: list[Any] = [None] * len(jobs)
    with step(title) as progress:
        for done, (place, value) in enumerate(_each(jobs, workers, order or range(len(jobs))), 1):
            results[place] = value
            progress.detail = f"{done} of {len(jobs)}, last: {names[place]}"
        progress.result = f"{len(jobs)} done"
    return results


def _each(
    jobs: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]], workers: int, order: Sequence[int]
) -> Iterator[tuple[int, Any]]:
    if min(workers, len(jobs)) <= 1:
        for place in order:
            function, given = jobs[place]
            yield place, function(*given)
        return
    # Spawned: this process has threads (its progress), which a fork would cut off in the middle.
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from _finished(pool, jobs, order)


def _finished(
    pool: Executor, jobs: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]], order: Sequence[int]
) -> Iterator[tuple[int, Any]]:
    places: dict[Future[Any], int] = {}
    for place in order:
        function, given = jobs[place]
        places[pool.submit(function, *given)] = place
    while places:
        for future in wait(places, return_when=FIRST_COMPLETED).done:
            yield places.pop(future), future.result()


def merged(outcomes: Sequence[Outcome]) -> Outcome:
    """Runs of other lanes, side by side."""
    sides = ("total", "good", "hours", "changes")
    return Outcome(*(np.concatenate([getattr(o, side) for o in outcomes]) for side in sides))

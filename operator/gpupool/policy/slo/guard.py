"""Whether a new revision is worse than the one before: Promote, Wait or Bad, with the arithmetic.

It is compared with what the old one did beside it, or with the hour before where that was too little. Only
where both sides have enough events is anything said against it: all else is Wait, never Bad.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gpupool.model.rollout import Population, Revision, Rollout, Tally, Verdict
from gpupool.model.slo import SloState
from gpupool.policy.slo.comparison import CONFIDENCE, Bounds, Comparison, compare
from gpupool.policy.slo.revisions import GOOD_DATA, Promised, Seen, step

BEFORE: Final = "FoundBadBefore"
"""Reason of a verdict that this look cannot confirm."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look came to: what is remembered, and the comparisons behind the verdict.

    `fresh`: the verdict follows from this look; one that is kept from before lets nobody act.
    """

    memory: Rollout
    comparisons: tuple[Comparison, ...] = ()
    fresh: bool = False


def watch(before: Rollout, seen: Seen, now: float) -> Watched:
    """Count one more look, and judge.

    Args:
        before: what is remembered.
        seen: this look.
        now: unix seconds.
    """
    if not seen.release.newest:
        return Watched(before)
    memory = step(before, seen, now)
    candidate, stable = memory.candidate, memory.stable
    if candidate is None or stable is None or memory.settled or seen.release.newest != candidate.name:
        return Watched(memory)
    pairs = tuple(_compared(seen, stable, candidate))
    verdict, reason, message = _verdict(seen, stable, candidate, pairs)
    fresh = verdict is not Verdict.WAIT
    if memory.verdict is Verdict.BAD and not fresh:
        verdict, message = Verdict.BAD, f"It was found bad before. {message}"
        reason = BEFORE
    return Watched(
        replace(
            memory,
            verdict=verdict,
            reason=reason,
            message=message,
            at=memory.at if verdict is memory.verdict else now,
            settled=verdict is Verdict.PROMOTE and not seen.release.of(stable.name).pods,
        ),
        pairs,
        fresh,
    )


# ------------------------------------------------------------------ judging

Found = tuple[Verdict, str, str]


def _compared(seen: Seen, stable: Revision, candidate: Revision) -> Iterable[Comparison]:
    """Each objective that either revision has events of."""
    beside = {tally.what: tally for tally in stable.beside}
    rows = zip(seen.promised, candidate.tallies, stable.tallies, strict=True)
    found = [
        (row, new, near if (near := beside.get(row.what, old)).total >= seen.min_events else old)
        for row, new, old in rows
        if new.total or old.total
    ]
    for row, new, old in found:
        yield compare(new, old, row.allowed, len(found))


def _verdict(seen: Seen, stable: Revision, candidate: Revision, pairs: Sequence[Comparison]) -> Found:
    """The first rule that speaks; a revision of which none does is no worse."""
    case = _Case(seen, stable, candidate, pairs)
    if found := next((found for rule in RULES if (found := rule(case))), None):
        return found
    return Verdict.PROMOTE, "NoWorse", " ".join(_fine(c, stable, candidate) for c in case.judged)


class _Case(NamedTuple):
    """What a rule sees."""

    seen: Seen
    stable: Revision
    candidate: Revision
    pairs: Sequence[Comparison]

    @property
    def pods(self) -> Population:
        """Of the candidate."""
        return self.seen.release.of(self.candidate.name)

    @property
    def judged(self) -> list[Comparison]:
        """Comparisons with enough events on both sides."""
        return [c for c in self.pairs if min(c.new.total, c.old.total) >= self.seen.min_events]


def _not_ready(case: _Case) -> Found | None:
    pods = case.pods
    if not case.seen.release.failed or pods.ready >= pods.bound:
        return None
    text = (
        f"{pods.bound - pods.ready} of {pods.bound} pods of revision {case.candidate.name} that have a node"
        " are not Ready, and the progress deadline of the rollout is over."
    )
    return Verdict.BAD, "NotReady", text


def _not_known(case: _Case) -> Found | None:
    unknown = _unknown(case.seen, case.candidate, case.pods)
    return (Verdict.WAIT, "DataUnknown", unknown) if unknown else None


def _no_answers(case: _Case) -> Found | None:
    least = case.seen.min_events
    hung = next((c for c in case.pairs if _expected(c, case) >= least), None)
    return (Verdict.BAD, "NoAnswers", _hung(hung, case)) if hung else None


def _worse(case: _Case) -> Found | None:
    worse = [c for c in case.judged if c.worse]
    text = " ".join(_bad(c, case.stable, case.candidate, case.seen) for c in worse)
    return (Verdict.BAD, "Worse", text) if worse else None


def _few(case: _Case) -> Found | None:
    if case.pairs and len(case.judged) == len(case.pairs):
        return None
    return Verdict.WAIT, *_too_few(case.seen, case.stable, case.candidate, case.pairs)


def _undecided(case: _Case) -> Found | None:
    open_ = [c for c in case.judged if not c.fine]
    return (Verdict.WAIT, "Undecided", _open(open_[0], case.stable, case.candidate)) if open_ else None


RULES: Final = (_not_ready, _not_known, _no_answers, _worse, _few, _undecided)


# ------------------------------------------------------------------ words


def _unknown(seen: Seen, candidate: Revision, pods: Population) -> str:
    """What is not known of the candidate now; empty where all is."""
    if not pods.ready:
        return f"No pod of revision {candidate.name} is Ready yet ({pods.pods} are there)."
    readings = seen.readings.get(candidate.name, ())
    fine = GOOD_DATA | {SloState.UNSUPPORTED}
    for row, reading in zip(seen.promised, readings, strict=False):
        if reading.state not in fine:
            return f"{row.what} of revision {candidate.name} is {reading.state.value}: {reading.message}"
    return "" if readings else f"Nothing was read of revision {candidate.name} yet."


def _expected(found: Comparison, case: _Case) -> float:
    """Events that the old revision would have had while the new one was asked and gave none."""
    rate = found.old.total / found.old.seconds if found.old.seconds > 0 else 0.0
    share = min(1.0, case.pods.ready / max(1, case.seen.release.of(case.stable.name).pods))
    return rate * share * found.new.silent


def _hung(found: Comparison, case: _Case) -> str:
    return (
        f"{found.new.what}: for {_span(found.new.silent)} requests have been under way at revision"
        f" {case.candidate.name} and nothing came of any, where as many pods of {case.stable.name} had about"
        f" {_expected(found, case):.0f}. Fully rolled out it would keep no promise at all."
    )


def _too_few(
    seen: Seen, stable: Revision, candidate: Revision, pairs: Sequence[Comparison]
) -> tuple[str, str]:
    fewest = min(pairs, key=lambda c: min(c.new.total, c.old.total), default=None)
    if fewest is not None and fewest.new.silent:
        text = f"For {_span(fewest.new.silent)} nothing has come of requests that are under way."
        return "NoAnswers", text
    if fewest is None or not fewest.new.total:
        return "NoTraffic", f"Nobody has asked revision {candidate.name} yet."
    text = (
        f"{fewest.new.total:.0f} events of {fewest.new.what} at revision {candidate.name} and"
        f" {fewest.old.total:.0f} at {stable.name}: spec.minEvents asks for {seen.min_events} of both."
    )
    return "TooFewEvents", text


def _bad(found: Comparison, stable: Revision, candidate: Revision, seen: Seen) -> str:
    row = next(row for row in seen.promised if row.what == found.new.what)
    return (
        f"{_both(found, stable, candidate)} Fully rolled out, revision {candidate.name} would burn"
        f" {100 * found.burn:.0f} % of the error budget in a window of it, at least"
        f" {100 * found.least_burn:.0f} %{_gone(found, row, seen.window)}."
    )


def _gone(found: Comparison, row: Promised, window: float) -> str:
    """How soon what is left of the budget would be used up."""
    if row.left is None or row.left <= 0:
        return ", and none of it is left"
    return f": the {row.left:.0f} % that are left in {_span(window * row.left / 100 / found.burn)}"


def _open(found: Comparison, stable: Revision, candidate: Revision) -> str:
    return (
        f"{_both(found, stable, candidate)} It may be worse or not: more events tell. It is good enough below"
        f" {100 * found.enough:.3g} %."
    )


def _fine(found: Comparison, stable: Revision, candidate: Revision) -> str:
    return (
        f"{_both(found, stable, candidate)} Fully rolled out it would burn {100 * found.burn:.0f} % of the"
        f" error budget, at most {100 * found.new_bounds.high / found.allowed:.0f} %."
    )


def _both(found: Comparison, stable: Revision, candidate: Revision) -> str:
    new, old = found.new, found.old
    return (
        f"{new.what}: {_part(new)} bad at revision {candidate.name} ({_range(found.new_bounds)}),"
        f" {_part(old)} at {stable.name} ({_range(found.old_bounds)}), with {100 * CONFIDENCE:.0f} %"
        f" confidence; {100 * found.allowed:.3g} % may be."
    )


def _part(tally: Tally) -> str:
    return f"{tally.bad:.0f} of {tally.total:.0f}"


def _range(found: Bounds) -> str:
    return f"{100 * found.low:.3g} to {100 * found.high:.3g} %"


def _span(seconds: float) -> str:
    """A time in its largest unit."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"

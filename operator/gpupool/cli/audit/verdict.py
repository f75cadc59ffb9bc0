"""Rows judged: closed, documented, open, or not proven."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gpupool.cli.audit.attempts import Answer, Asker, By
from gpupool.cli.audit.rows import ROWS, Right, Row
from gpupool.cli.audit.stage import Stage

DOWNTIME, NEEDED = 20, range(1, 15)
"""The row about the operator's downtime follows from the rows it could matter to."""

NOBODY = "no pool enforces isolation"


class State(StrEnum):
    """What became of a row, the best first."""

    CLOSED = "closed"
    DOCUMENTED = "documented"
    UNPROVEN = "unproven"
    OPEN = "open"

    @property
    def good(self) -> bool:
        """Whether a cluster may stay like this."""
        return self in {State.CLOSED, State.DOCUMENTED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row, its state, and the answer in a few words."""

    row: Row
    state: State
    answer: str


async def run(stage: Stage, asker: Asker) -> list[Verdict]:
    """All rows, in order."""
    found: list[Verdict] = []
    for row in ROWS:
        found.append(_downtime(row, found) if row.number == DOWNTIME else await _judge(row, stage, asker))
    return found


def _downtime(row: Row, before: Iterable[Verdict]) -> Verdict:
    needed = [v for v in before if v.row.number in NEEDED]
    worst = max((v.state for v in needed), key=list(State).index, default=State.UNPROVEN)
    if worst.good:
        return Verdict(row, State.CLOSED, "rows 1 to 14 were answered by the API server alone")
    rows = ", ".join(str(v.row.number) for v in needed if not v.state.good)
    return Verdict(row, worst, f"see row {rows}")


async def _judge(row: Row, stage: Stage, asker: Asker) -> Verdict:
    attempts = [(g.pool.name, a) for g in stage.grounds for a in (row.tries(stage, g) if row.tries else ())]
    found = await asyncio.gather(*(asker.ask(attempt) for _, attempt in attempts))
    answers = [(pool, answer) for (pool, _), answer in zip(attempts, found, strict=True)]
    parts = [
        *([_tried(row, answers)] if answers else []),
        *([(State.OPEN, NOBODY)] if row.tries and not (row.beyond or stage.grounds) else []),
        *(_held(right, stage) for right in row.rights),
        *([_guarded(row.guard, stage)] if row.guard else []),
    ]
    if not parts:
        return Verdict(row, State.DOCUMENTED, _nothing(row))
    state = max((s for s, _ in parts), key=list(State).index)
    return Verdict(row, state, "; ".join(dict.fromkeys(text for s, text in parts if s is state)))


def _nothing(row: Row) -> str:
    return "nothing to try on these pools" if row.tries else "not for the API to see"


def _tried(row: Row, answers: Sequence[tuple[str, Answer]]) -> tuple[State, str]:
    opened = [f"{a.attempt.what} was accepted (pool {pool})" for pool, a in answers if a.open]
    if opened:
        return (State.DOCUMENTED, "accepted") if row.beyond else (State.OPEN, ", ".join(opened))
    doubtful = [f"{a.attempt.what}: {_doubt(a)}" for _, a in answers if not a.closed]
    if doubtful:
        return State.UNPROVEN, "; ".join(dict.fromkeys(doubtful))
    return State.CLOSED, "refused by " + ", ".join(dict.fromkeys(_who(a) for _, a in answers))


def _doubt(answer: Answer) -> str:
    match answer.by:
        case By.IMPERSONATION:
            return f"you may not impersonate {answer.attempt.who.said}"
        case By.RBAC:
            return f"RBAC refused {answer.attempt.who.said}, before any policy spoke"
        case By.ABSENT:
            return "there is nothing to try it on (the operator keeps a pod there; is it running?)"
        case _:
            return f"refused, but by {answer.by}: {answer.words}"


def _who(answer: Answer) -> str:
    if answer.harmless:
        return "injection"
    return answer.words if answer.by is By.POLICY else str(answer.by)


def _held(right: Right, stage: Stage) -> tuple[State, str]:
    if not stage.roles:
        return State.UNPROVEN, "you may not read the roles admin and edit"
    holding = [name for name, rules in stage.roles.items() if any(_grants(rule, right) for rule in rules)]
    if holding:
        return State.OPEN, f"role {' and '.join(holding)} may {right}"
    return State.CLOSED, "not a right of admin or edit"


def _grants(rule: dict[str, object], right: Right) -> bool:
    def has(part: str, *wanted: str) -> bool:
        values = rule.get(part)
        return isinstance(values, list) and any(v in values for v in (*wanted, "*"))

    subresource = right.resource.partition("/")[2]
    every = (f"*/{subresource}",) if subresource else ()
    return (
        has("verbs", *right.verbs)
        and has("apiGroups", right.group)
        and has("resources", right.resource, *every)
    )


def _guarded(ending: str, stage: Stage) -> tuple[State, str]:
    found = [name for name in stage.policies & stage.bindings if name.endswith(ending)]
    if found:
        return State.CLOSED, f"{found[0]} stands and denies (read, not tried)"
    return (
        State.OPEN,
        f"no policy *{ending} whose binding denies (chart value policies.enabled, `helm upgrade`)",
    )

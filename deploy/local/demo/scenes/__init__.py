"""The scenes of the story, in order."""

from collections.abc import Callable
from typing import Final

from demo.scenes import asking, enforcing, lending, opening, refusing, returning, rolling, serving
from demo.stage import Stage

Scene = Callable[[Stage], None]

FIRST_ACT: Final[tuple[Scene, ...]] = (
    opening.from_nothing,
    opening.running_teams,
    opening.six_lines,
    asking.promises_and_requests,
    enforcing.enforce,
    enforcing.bypasses,
    enforcing.operator_killed,
    lending.notice,
    lending.proof_and_loan,
    returning.demand_returns,
    returning.the_books,
)
"""GPUs among teams."""

SECOND_ACT: Final[tuple[Scene, ...]] = (
    serving.learned,
    serving.day_begins,
    refusing.useless_gpus,
    rolling.bad_rollout,
    serving.day_over,
)
"""What users of endpoints feel. Refusal and rollout are told while the day goes on."""

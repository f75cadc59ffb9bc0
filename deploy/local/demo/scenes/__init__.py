"""The scenes of the story, in order."""

from collections.abc import Callable
from typing import Final

from demo.scenes import asking, enforcing, lending, opening, returning
from demo.stage import Stage

Scene = Callable[[Stage], None]

SCENES: Final[tuple[Scene, ...]] = (
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
"""What follows once the cluster stands (`opening.from_nothing`)."""

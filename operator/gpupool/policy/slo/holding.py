"""Where the floor stands while it is not known how users fare: what `dataPolicy` decides."""

from __future__ import annotations

from typing import Final

from gpupool.model.steering import DataPolicy, Need

STANDS: Final = "as it was when the users were last seen"


def held(policy: DataPolicy, asked: Need, stands: int | None, low: int, known: Need | None) -> Need:
    """The floor; it never falls.

    Args:
        policy: of the owner.
        asked: what would be the floor if all were known.
        stands: what it is; None where nothing has one.
        low: the owner's own minimum, which needs no data.
        known: what is needed at least, by what is known.
    """
    if stands is None:
        found = [asked]
    else:
        found = [Need(stands, STANDS), Need(low, f"scaling.minReplicas {low}, which needs no data")]
    if policy is DataPolicy.UP_ONLY:
        found += [asked, *([] if known is None else [known])]
    return max(found, key=lambda need: need.replicas)

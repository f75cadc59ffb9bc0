"""What each purpose means: the defaults of reclaim and recall, printed in `status.effectivePolicy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from gpupool.model.pool import Purpose


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values a GpuPool gets where its spec is silent; percentages are 0 to 100."""

    window: timedelta
    lookback: timedelta
    threshold: int
    headroom: int
    coverage: int
    grace: timedelta
    release_after: timedelta
    startup_grace: timedelta
    within: timedelta
    notice: timedelta


_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

DEFAULTS: Mapping[Purpose, Defaults] = {
    # Production forgives: a week's peak is kept, and there are three days to object.
    Purpose.PRODUCTION: Defaults(
        window=_HOUR,
        lookback=7 * _DAY,
        threshold=100,
        headroom=20,
        coverage=95,
        grace=3 * _DAY,
        release_after=30 * _DAY,
        startup_grace=_HOUR,
        within=timedelta(minutes=15),
        notice=timedelta(minutes=5),
    ),
    Purpose.EXPERIMENTATION: Defaults(
        window=_HOUR,
        lookback=_DAY,
        threshold=100,
        headroom=10,
        coverage=90,
        grace=_DAY,
        release_after=7 * _DAY,
        startup_grace=timedelta(minutes=30),
        within=timedelta(minutes=15),
        notice=timedelta(minutes=5),
    ),
    # Batch load comes and goes within hours; what is not requested by then was not needed.
    Purpose.BATCH: Defaults(
        window=_HOUR,
        lookback=_DAY,
        threshold=100,
        headroom=0,
        coverage=90,
        grace=4 * _HOUR,
        release_after=7 * _DAY,
        startup_grace=_HOUR,
        within=timedelta(minutes=10),
        notice=timedelta(minutes=2),
    ),
}

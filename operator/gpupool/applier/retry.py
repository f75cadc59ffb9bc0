"""Trying a call again: which errors, how long a pause, and when to give up."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gpupool.errors import KubeError

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a call is; times in seconds.

    Attributes:
        within: no attempt begins later than this after the first; the last error is raised then.
        first: pause after the first failure; it doubles each time.
        longest: no pause of ours is longer (the server may ask for more).
    """

    within: float = 20.0
    first: float = 0.2
    longest: float = 5.0

    def pause(self, attempt: int, error: KubeError, spread: float) -> float:
        """Seconds to wait.

        Args:
            attempt: 1 after the first failure.
            error: what went wrong; what it asks for is the least that is waited.
            spread: 0.5 to 1, so that many callers do not return at once.
        """
        own = min(self.first * 2.0 ** min(attempt - 1, 16), self.longest) * spread
        return max(own, error.retry_after or 0.0)


async def retried(
    attempt: Callable[[], Awaitable[R]],
    policy: RetryPolicy,
    *,
    rng: random.Random,
    retryable: Callable[[KubeError], bool] = lambda error: error.retry,
) -> R:
    """Call until it succeeds, fails for good, or the time is used up.

    Args:
        attempt: the call; it must be safe to repeat.
        policy: pauses and the limit.
        rng: spreads the pauses.
        retryable: which errors are worth another attempt.

    Raises:
        KubeError: the last attempt's error; `unsure` if any of the attempts was.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + policy.within
    failures, unsure = 0, False
    while True:
        try:
            return await attempt()
        except KubeError as error:
            failures += 1
            error.unsure = unsure = unsure or error.unsure
            pause = policy.pause(failures, error, rng.uniform(0.5, 1.0))
            if not retryable(error) or clock() + pause > deadline:
                raise
        await asyncio.sleep(pause)

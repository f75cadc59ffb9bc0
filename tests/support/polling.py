"""Waiting for something to become true, with a limit, without holding the event loop."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], seconds: float = 15.0, what: str = "") -> None:
    """Poll until the condition holds.

    Args:
        condition: what must become true.
        seconds: the limit.
        what: said when it did not.

    Raises:
        AssertionError: the limit passed.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not condition():
        if clock() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what or condition}")
        await asyncio.sleep(0.02)

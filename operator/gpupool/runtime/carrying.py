"""Carrying out what was decided of endpoints: all at once, and what fails is told of whom it concerns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

from gpupool.errors import Conflict, KubeError, NotFound
from gpupool.model.objects import Key
from gpupool.model.plan import Notice

log = logging.getLogger(__name__)
Write = TypeVar("Write")


class About(NamedTuple):
    """What a write is about: its object in words and by key, and whose InferenceSLO is told if it fails."""

    name: str
    key: Key
    slo: Key | None


async def carry_out(
    writes: Iterable[Write],
    do: Callable[[Write], Awaitable[Iterable[Notice]]],
    about: Callable[[Write], About],
) -> tuple[dict[Key, str], list[Notice]]:
    """Carry out all writes.

    Args:
        writes: in any order.
        do: carries one out and returns what is told of it.
        about: what it is about.

    Returns:
        What failed, by InferenceSLO, and what is told.
    """
    failed: dict[Key, str] = {}
    notices: list[Notice] = []

    async def attempt(action: Write) -> None:
        what = about(action)
        try:
            notices.extend(await do(action))
        except (Conflict, NotFound) as error:  # changed meanwhile: the next look sees how
            log.info("not written yet", extra=_extra(what, error))
        except KubeError as error:
            log.warning("not written", extra=_extra(what, error))
            if what.slo is not None:
                failed[what.slo] = f"{what.name} was not written: {error}"

    await asyncio.gather(*map(attempt, writes))
    return failed, notices


def _extra(what: About, error: KubeError) -> dict[str, str]:
    return {"object": what.name, "namespace": what.key.namespace, "error": str(error)}

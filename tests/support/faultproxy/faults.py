"""What can go wrong between an operator and its API server, one class each."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.faultproxy.asked import Asked

Match = Callable[[Asked], bool]
REASONS = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}


class Cut(Exception):  # noqa: N818 - it is no error, it is what happens
    """The connection ends here, without an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the API server never gave."""

    status: int
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


def writes(asked: Asked) -> bool:
    """Matches every write of the product's state."""
    return asked.write


def endings(asked: Asked) -> bool:
    """Matches every write that ends a pod: an eviction, or a delete past its budgets."""
    return asked.write and (asked.method, asked.kind) in {("POST", "pods/eviction"), ("DELETE", "pods")}


def watches(asked: Asked) -> bool:
    """Matches every watch."""
    return asked.watch


@dataclass
class Fault:
    """Something that happens to requests that match.

    Attributes:
        match: which requests.
        hits: requests it happened to, in order.
    """

    match: Match
    hits: list[Asked] = field(default_factory=list)

    async def before(self, asked: Asked) -> Reply | None:
        """Before the API server sees it: answer in its place, wait, or raise Cut."""

    async def after(self, asked: Asked) -> None:
        """The API server has answered and nobody knows: wait, or raise Cut."""


@dataclass
class Refuse(Fault):
    """Answers in the API server's place.

    Attributes:
        status: of the answer.
        share: part of the matching requests that is refused.
        retry_after: seconds, in the header.
        limit: how many are refused at most.
    """

    status: int = 429
    share: float = 1.0
    retry_after: int | None = None
    limit: int = 1_000_000
    rng: random.Random = field(default_factory=lambda: random.Random(4))  # noqa: S311 - which ones, no secret

    async def before(self, asked: Asked) -> Reply | None:
        if len(self.hits) >= self.limit or self.rng.random() >= self.share:
            return None
        self.hits.append(asked)
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": self.status,
            "reason": REASONS.get(self.status, ""),
            "message": "refused by the test",
        }
        wait = () if self.retry_after is None else (("Retry-After", str(self.retry_after)),)
        return Reply(self.status, body, wait)


@dataclass
class Slow(Fault):
    """Answers late."""

    seconds: float = 1.0

    async def before(self, asked: Asked) -> Reply | None:
        self.hits.append(asked)
        await asyncio.sleep(self.seconds)
        return None


@dataclass
class Stroke(Fault):
    """Does something at a request, then lets its connection end: `act` decides, by its answer, whether.

    Attributes:
        ahead: called before the API server sees the request; True cuts it off, so it never arrives.
        behind: called when the write is stored and the answer is not yet on its way; True cuts.
    """

    ahead: Callable[[Asked], bool] = lambda _asked: False
    behind: Callable[[Asked], bool] = lambda _asked: False

    async def before(self, asked: Asked) -> Reply | None:
        await self._call(self.ahead, asked)
        return None

    async def after(self, asked: Asked) -> None:
        await self._call(self.behind, asked)

    async def _call(self, act: Callable[[Asked], bool], asked: Asked) -> None:
        if await asyncio.to_thread(act, asked):
            self.hits.append(asked)
            raise Cut

"""One pod of an engine: a replica, what holds requests up before it, and what it has counted."""

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Final

from gpupool.simulator.replica import Ask, Replica
from localplane.engines.annotations import Settings
from localplane.engines.book import Book, Share
from localplane.engines.causes import HEALTHY, Cause
from localplane.engines.dialects import dialect_of
from localplane.engines.objects import EnginePod

WINDOW_SECONDS: Final = 5.0
"""Of the world: over which the GPU's activity is a mean, as DCGM's is over its own interval."""

MARKS: Final = 600
MARK_SECONDS: Final = 0.05
BLOCK: Final = 16
"""Tokens of a block of the KV cache."""


class Pod:
    """Serves what it is offered. Its time is the engines' time.

    Args:
        fact: what the API server says of it.
        settings: what its annotations say.
        time: now.
    """

    def __init__(self, fact: EnginePod, settings: Settings, time: float) -> None:
        self.fact = fact
        self.settings = settings
        self.replica = Replica(settings.speed, time, keep_spans=True)
        self.dialect = dialect_of(settings)
        self.book = Book(self.dialect.histograms())
        self.cause = HEALTHY
        self.born = time
        self.since = time if fact.ready else None
        self._late: list[tuple[float, int, Ask]] = []
        self._numbers = count()
        self._defers, self._fails = Share(), Share()
        self._marks: deque[tuple[float, float, float]] = deque([(time, 0.0, 0.0)], MARKS)

    @property
    def waiting(self) -> int:
        """Requests that wait for a place, or for an adapter."""
        return self.replica.waiting + len(self._late)

    @property
    def busy(self) -> int:
        """Requests that it has."""
        return self.replica.running + self.waiting

    def change(self, fact: EnginePod, settings: Settings, time: float) -> None:
        """The pod, or what its annotations say, is another from now on."""
        self.fact = fact
        if fact.ready and self.since is None:
            self.since = time
        if settings == self.settings:
            return
        self.settings = settings
        if (dialect := dialect_of(settings)) is not self.dialect:  # an engine of other metrics begins at 0
            self.dialect = dialect
            self.book = Book(dialect.histograms())
        self.retune(self.cause)

    def retune(self, cause: Cause) -> None:
        """Work under a cause from now on."""
        self.cause = cause
        self.replica.retune(self.settings.speed_under(cause))

    def offer(self, ask: Ask) -> None:
        """Take a request that arrives now; refuse it where too many wait, or by the errors of the cause."""
        self.advance(ask.at)
        if self.waiting >= self.cause.patience or self._fails.takes(self.cause.errors / 2):
            self.book.refused()
            return
        self.book.asked(ask)
        share, seconds = self.cause.deferred
        if self._defers.takes(share):
            heappush(self._late, (ask.at + seconds, next(self._numbers), ask))
        else:
            self.replica.offer(ask)

    def advance(self, time: float) -> None:
        """Work until a moment."""
        while self._late and self._late[0][0] <= time:
            at, _, ask = heappop(self._late)
            self.replica.advance(at)
            self.replica.offer(ask, since=at)
        self.replica.advance(time)

    def settle(self, time: float) -> None:
        """Work until a moment and count what was done."""
        self.advance(time)
        served, spans = self.replica.take()
        for done in served:
            self.book.served(done, self.cause.errors / 2)
        self.book.worked(spans, self.replica.speed.delta * self.settings.batched_tokens)
        totals = self.book.totals
        if time - self._marks[-1][0] > MARK_SECONDS:
            ahead = max(0.0, self.replica.time - time)  # a prompt is counted whole where it begins
            self._marks.append((time, totals["seconds.prefill"] - ahead, totals["seconds.decode"]))

    def shares(self, seconds: float) -> tuple[float, float]:
        """Parts of the last seconds in which prompts were read, and in which tokens were written."""
        now, prefill, decode = self._marks[-1]
        then = next((mark for mark in reversed(self._marks) if now - mark[0] >= seconds), self._marks[0])
        if now <= then[0]:
            return 0.0, 0.0
        return (prefill - then[1]) / (now - then[0]), (decode - then[2]) / (now - then[0])

    def numbers(self) -> dict[str, float]:
        """Totals, and what holds now, by key."""
        replica, speed, late = self.replica, self.replica.speed, len(self._late)
        totals = self.book.totals
        blocks = speed.kv_tokens // BLOCK
        used = min(1.0, replica.context / speed.kv_tokens)
        return {
            **_zeros(),
            **totals,
            "running": replica.running,
            "waiting": self.waiting,
            "busy": self.busy,
            "block": BLOCK,
            "gpu.active": min(0.99, sum(self.shares(WINDOW_SECONDS)) * self.cause.side.active),
            "waiting.capacity": replica.waiting,
            "waiting.deferred": late,
            "kv": used,
            "kv.used": min(replica.context, speed.kv_tokens),
            "kv.tokens": speed.kv_tokens,
            "kv.blocks": blocks,
            "kv.blocks.used": round(blocks * used),
            "kv.blocks.free": blocks - round(blocks * used),
            "batch.tokens": replica.running + replica.context,
            "max.running": speed.max_seqs,
            "preempted": replica.preempted,
            "cache.rate": totals["cache.hits"] / (totals["cache.queries"] or 1),
            "asked": totals["done"] + totals["http.5xx"] + self.busy,
            "done.good": totals["done.stop"] + totals["done.length"],
            "tokens.rate": _rate(self, totals["generation"]),
            "one": 1,
        }


_KEYS: Final = (
    *(
        "cache.queries",
        "cache.hits",
        "http.2xx",
        "http.5xx",
        "done",
        "done.stop",
        "done.length",
        "done.abort",
    ),
    *("prompt", "prompt.cached", "prompt.computed", "generation", "steps", "none"),
    *("us.queue", "us.infer", "us.request", "seconds.prefill", "seconds.decode"),
)


def _zeros() -> dict[str, float]:
    return dict.fromkeys(_KEYS, 0.0)


def _rate(pod: Pod, tokens: float) -> float:
    """Tokens a second since the pod began to serve, while it serves."""
    lived = pod.replica.time - pod.born
    return tokens / lived if lived > 0 and pod.replica.running else 0.0


def by_name(pods: Iterable[Pod]) -> list[Pod]:
    """In the order of their names."""
    return sorted(pods, key=lambda pod: pod.fact.name)

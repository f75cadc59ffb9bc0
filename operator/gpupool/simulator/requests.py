"""Requests to a replica: as they arrive, and as they end."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PutBack:
    """What a request had, before its context did not fit any more.

    Attributes:
        placed: when it had a place the first time.
        admitted: when its prompt began to be read.
        first: when its first token was out.
        at: when it was put back.
        written: tokens that it had written; they are read again as a prompt.
        stood: seconds for which it stood still the times before.
    """

    placed: float
    admitted: float
    first: float
    at: float
    written: int
    stood: float


@dataclass(frozen=True, slots=True)
class Ask:
    """One request that arrives.

    Attributes:
        at: seconds, on the replica's clock.
        prompt: tokens that must be read; those found in a prefix cache are not among them.
        output: tokens to be written, at least 1.
        cached: prompt tokens found in the cache: they take room, and no time.
        put_back: what it had before, where it is asked again.
    """

    at: float
    prompt: int
    output: int
    cached: int = 0
    put_back: PutBack | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Served:
    """One request that ended; times in seconds on the replica's clock.

    Attributes:
        ask: what was asked.
        admitted: when its prompt began to be read.
        first: when its first token was out.
        ended: when its last one was.
        placed: when it had a place and room: what it waits from then on, it waits for prompts that are read
            before its own. Engines count this as prefill, and the time before as queue.
        stood: seconds for which it was put back after its first token: a gap between two of them.
    """

    ask: Ask
    admitted: float
    first: float
    ended: float
    placed: float = 0.0
    stood: float = 0.0

    @property
    def prompt(self) -> int:
        """Tokens that were asked to be read."""
        return self.ask.prompt - (self.ask.put_back.written if self.ask.put_back else 0)

    @property
    def output(self) -> int:
        """Tokens that were written."""
        return self.ask.output + (self.ask.put_back.written if self.ask.put_back else 0)

    @property
    def queue(self) -> float:
        """Seconds in the queue."""
        return self.admitted - self.ask.at

    @property
    def ttft(self) -> float:
        """Seconds to the first token, from the arrival."""
        return self.first - self.ask.at

    @property
    def tpot(self) -> float:
        """Mean seconds between its tokens; 0 for a single one."""
        return (self.ended - self.first) / (self.output - 1) if self.output > 1 else 0.0

"""Engine 1: the per-request replica of the simulator, reading prompts as engines do.

Prompts that arrive while others are read wait for the next step and are read together, up to a chunk of
tokens; between two readings every running sequence gets a token. For answers of a few tokens this decides:
they absorb whole foreign prompts.
"""

from collections.abc import Iterable
from heapq import heappush
from typing import Final

from typing_extensions import override

from gpupool.simulator.replica import Ask, Replica, Served, Speed, _Running

CHUNK: Final = 8_192
"""Prompt tokens that are read in one step."""
_NOTHING: Final = 1e-9


class Chunked(Replica):
    """A replica that reads prompts in chunks, with a step between two of them."""

    def __init__(self, speed: Speed) -> None:
        super().__init__(speed)
        self._owed = 0.0
        """Steps that must be done before the next prompts are read."""

    @override
    def offer(self, ask: Ask, since: float | None = None) -> None:
        if ask.prompt + ask.cached + ask.output > self.speed.kv_tokens:
            self.refused += 1
            return
        self._waiting.append(ask)
        if self.time <= ask.at:
            self._admit(ask.at if since is None else since)

    @override
    def advance(self, until: float) -> None:
        while self.time < until:
            self._admit(self.time)
            if not self._running:
                self.time = until
                return
            if self.time >= until:
                return
            steps = min(self._running[0].end - self._clock, self._room())
            if self._waiting and self._owed > _NOTHING:
                steps = min(steps, self._owed)
            seconds = self._seconds(steps)
            if self.time + seconds > until:
                steps = self._steps(until - self.time)
                self._owed -= steps
                self._decode(steps, until - self.time)
                return
            self._owed -= steps
            self._decode(steps, seconds)
            self._end_those_due()
            if len(self._running) > 1 and self._room() <= 0:
                self._preempt()

    @override
    def _admit(self, since: float) -> None:
        if self._owed > _NOTHING and self._running:
            return
        read: list[_Running] = []
        budget = CHUNK
        while self._waiting and len(self._running) < self.speed.max_seqs:
            ask = self._waiting[0]
            tokens = ask.prompt + ask.cached
            full = self._running and self._context + tokens + len(self._running) + 1 > self.speed.kv_tokens
            if full or (read and ask.prompt > budget):
                break
            self._waiting.popleft()
            budget -= ask.prompt
            stall = self.speed.delta * ask.prompt
            self._note(len(self._running), 0.0, stall)
            self._number += 1
            placed = max(ask.at, min(since, self.time))
            end = self._clock + ask.output
            sequence = _Running(end, self._number, ask, self.time, 0.0, placed, self._clock)
            self.time += stall
            self._context += tokens
            read.append(sequence)
            heappush(self._running, sequence)
        if read:
            self._owed = 1.0
        first = self.time + self.speed.step(len(self._running), self._context)
        for sequence in read:
            sequence.first = first


def serve(replica: Replica, asks: Iterable[Ask]) -> tuple[list[Served], float, float]:
    """Everything, until all have ended.

    Returns:
        What was served, the seconds until the last arrival, and how many of those the replica was busy.
    """
    last = 0.0
    for ask in asks:
        replica.advance(ask.at)
        replica.offer(ask)
        last = ask.at
    busy = min(replica.busy, last)
    replica.advance(last + 1e6)
    return replica.take()[0], last, busy

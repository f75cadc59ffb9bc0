"""One replica of an inference engine: continuous batching as a queue with four numbers and a KV limit.

One step with b running sequences, C tokens of context and p prompt tokens takes

    alpha + beta * b + gamma * C + delta * p

All running sequences advance by one token a step, so a request ends when the replica's token clock reaches
its start plus its output: one heap entry a request, closed-form time between events. A prompt is read at
admission and holds everybody up meanwhile. Against published vLLM measurements on H100 the model errs by 2 to
7 % in the time per token (facts/traces.md C.2); on newer GPUs it is not linear, and is not used here.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Final

from gpupool.simulator.requests import Ask, PutBack, Served
from gpupool.simulator.speeds import SPEEDS, Speed

__all__ = ["SPEEDS", "Ask", "Replica", "Served", "Span", "Speed"]

_NOTHING: Final = 1e-9
"""Steps that are none: sums of floats."""


@dataclass(frozen=True, slots=True)
class Span:
    """So many steps of so many sequences in so many seconds; 0 steps while a prompt is read."""

    running: int
    steps: float
    seconds: float
    context: float


@dataclass(slots=True, order=True)
class _Running:
    """A sequence that is written; ordered by the reading of the token clock at its end."""

    end: float
    number: int
    ask: Ask = field(compare=False)
    admitted: float = field(compare=False)
    first: float = field(compare=False)
    placed: float = field(compare=False)
    since: float = field(compare=False)


class Replica:
    """Serves requests in the order of their arrival. Time only moves forward, by `advance`.

    Args:
        speed: of the model on its GPUs.
        time: seconds at which it is ready.

    Attributes:
        served: requests that ended since somebody took them (`take`).
        spans: what was done since then, where it is kept.
        preempted: sequences that were put back because their context did not fit any more.
        refused: requests that could never fit.
        busy: seconds with at least one sequence running, since the beginning.
    """

    def __init__(self, speed: Speed, time: float = 0.0, *, keep_spans: bool = False) -> None:
        self.speed = speed
        self.time = time
        self.served: list[Served] = []
        self.spans: list[Span] = []
        self.preempted = 0
        self.refused = 0
        self.busy = 0.0
        self._keep_spans = keep_spans
        self._clock = 0.0
        self._context = 0.0
        self._running: list[_Running] = []
        self._waiting: deque[Ask] = deque()
        self._number = 0

    @property
    def running(self) -> int:
        """Sequences that are written now."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    @property
    def context(self) -> float:
        """Tokens of context in use."""
        return self._context

    def offer(self, ask: Ask, since: float | None = None) -> None:
        """Take a request that arrives now; `advance` to its arrival first.

        Args:
            ask: the request.
            since: when it could be taken, where something else held it up after its arrival.
        """
        if ask.prompt + ask.cached + ask.output > self.speed.kv_tokens:
            self.refused += 1
            return
        self._waiting.append(ask)
        self._admit(ask.at if since is None else since)

    def retune(self, speed: Speed) -> None:
        """Go on with other numbers; sequences that have no room any more are put back."""
        self.speed = speed
        while len(self._running) > 1 and (self._room() <= 0 or len(self._running) > speed.max_seqs):
            self._preempt()

    def take(self) -> tuple[list[Served], list[Span]]:
        """What was served and done since the last time."""
        found = self.served, self.spans
        self.served, self.spans = [], []
        return found

    def advance(self, until: float) -> None:
        """Work until a moment; what is under way then goes on later."""
        while self.time < until:
            self._admit(self.time)
            if not self._running:
                self.time = until
                return
            if self.time >= until:  # a prompt is being read
                return
            steps = min(self._running[0].end - self._clock, self._room())
            seconds = self._seconds(steps)
            if self.time + seconds > until:
                self._decode(self._steps(until - self.time), until - self.time)
                return
            self._decode(steps, seconds)
            self._end_those_due()
            if len(self._running) > 1 and self._room() <= 0:
                self._preempt()

    # ------------------------------------------------------------------ parts of it

    def _admit(self, since: float) -> None:
        """Read prompts while there is room; everybody who runs waits meanwhile.

        Args:
            since: when the room was there.
        """
        while self._waiting and len(self._running) < self.speed.max_seqs:
            ask = self._waiting[0]
            tokens = ask.prompt + ask.cached
            if self._running and self._context + tokens + len(self._running) + 1 > self.speed.kv_tokens:
                return
            self._waiting.popleft()
            stall = self.speed.delta * ask.prompt
            self._note(len(self._running), 0.0, stall)
            admitted, self.time = self.time, self.time + stall
            self._context += tokens
            self._number += 1
            first = self.time + self.speed.step(len(self._running) + 1, self._context)
            placed = max(ask.at, min(since, admitted))
            sequence = _Running(
                self._clock + ask.output, self._number, ask, admitted, first, placed, self._clock
            )
            heappush(self._running, sequence)

    def _decode(self, steps: float, seconds: float) -> None:
        self._note(len(self._running), steps, seconds)
        self._clock += steps
        self._context += steps * len(self._running)
        self.time += seconds

    def _end_those_due(self) -> None:
        while self._running and self._running[0].end <= self._clock + _NOTHING:
            done = heappop(self._running)
            self._context -= done.ask.prompt + done.ask.cached + (self._clock - done.since)
            ended, back = max(self.time, done.first), done.ask.put_back
            if back is None:
                self.served.append(Served(done.ask, done.admitted, done.first, ended, done.placed))
            else:
                stood = back.stood + done.first - back.at
                self.served.append(Served(done.ask, back.admitted, back.first, ended, back.placed, stood))
        if not self._running:
            self._context = 0.0

    def _preempt(self) -> None:
        """Put the youngest back at the head of the queue; what it has written is read again as a prompt."""
        youngest = max(self._running, key=lambda r: r.number)
        self._running.remove(youngest)
        self._running.sort()
        written = self._clock - youngest.since
        self._context -= youngest.ask.prompt + youngest.ask.cached + written
        self._waiting.appendleft(self._again(youngest, min(round(written), youngest.ask.output - 1)))
        self.preempted += 1

    def _again(self, stopped: _Running, written: int) -> Ask:
        """Its request, with what it has written as a part of the prompt, once its first token was out."""
        ask, back = stopped.ask, stopped.ask.put_back
        if not written or self.time < stopped.first:
            return ask
        if back is None:
            back = PutBack(stopped.placed, stopped.admitted, stopped.first, self.time, written, 0.0)
        else:
            stood = back.stood + stopped.first - back.at
            back = replace(back, at=self.time, written=back.written + written, stood=stood)
        return Ask(ask.at, ask.prompt + written, ask.output - written, ask.cached, put_back=back)

    def _room(self) -> float:
        """Steps until the context fills the KV cache; without end while a single sequence runs."""
        if len(self._running) == 1:
            return math.inf
        return (self.speed.kv_tokens - self._context) / len(self._running)

    def _seconds(self, steps: float) -> float:
        """Seconds of the next steps, the context growing with each."""
        running = len(self._running)
        growth = self.speed.gamma * running
        return steps * self.speed.step(running, self._context) + growth * steps * max(0.0, steps - 1) / 2

    def _steps(self, seconds: float) -> float:
        """The steps that fit into so many seconds: the inverse of `_seconds`, as a flow."""
        running = len(self._running)
        first, growth = self.speed.step(running, self._context), self.speed.gamma * running
        if growth * seconds < 1e-9 * first:
            return seconds / first
        b = first - growth / 2
        steps = (-b + math.sqrt(b * b + 2 * growth * seconds)) / growth
        return steps if steps > 1 else seconds / first

    def _note(self, running: int, steps: float, seconds: float) -> None:
        self.busy += seconds
        if self._keep_spans and seconds > 0:
            self.spans.append(Span(running, steps, seconds, self._context))

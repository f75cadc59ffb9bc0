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
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Speed:
    """A model on the GPUs of one replica.

    Attributes:
        alpha: seconds of a step, whatever runs: the weights are read once.
        beta: seconds of a step per running sequence.
        gamma: seconds of a step per token of context.
        delta: seconds per prompt token.
        kv_tokens: tokens of context that fit beside the weights.
        max_seqs: sequences that run at once.
        gpus: GPUs of a replica.
    """

    alpha: float
    beta: float
    gamma: float
    delta: float
    kv_tokens: int
    max_seqs: int = 256
    gpus: int = 1

    def step(self, running: int, context: float) -> float:
        """Seconds of one step that reads no prompt."""
        return self.alpha + self.beta * running + self.gamma * context

    def load(self, rate: float, prompt: float, output: float) -> float:
        """Part of the replica's capacity that a steady stream takes; from 1 on the queue grows.

        Args:
            rate: requests a second on this replica.
            prompt: mean prompt tokens that must be read.
            output: mean output tokens.
        """
        return rate * (self.delta * prompt + (self.beta + self.gamma * (prompt + output / 2)) * output)

    def per_token(self, rate: float, prompt: float, output: float) -> float:
        """Mean seconds between tokens under a steady stream; infinite where it cannot be carried."""
        load = self.load(rate, prompt, output)
        return self.alpha / (1 - load) if load < 1 else math.inf


def _fit(alpha: float, beta: float, gamma: float, delta: float, *, kv_tokens: int, gpus: int = 1) -> Speed:
    """A row of the published fits: milliseconds, and gamma per thousand tokens."""
    return Speed(alpha / 1e3, beta / 1e3, gamma / 1e6, delta / 1e3, kv_tokens, gpus=gpus)


SPEEDS: Final[Mapping[str, Speed]] = MappingProxyType(
    {
        "llama-70b-fp8/2xH100": _fit(17.3, 0.073, 0.0526, 0.023, kv_tokens=195_000, gpus=2),
        "llama-70b-fp8/4xH100": _fit(11.02, 0.0547, 0.0279, 0.0446, kv_tokens=616_000, gpus=4),
        "llama-70b-fp8/8xH100": _fit(8.82, 0.063, 0.0115, 0.0298, kv_tokens=1_460_000, gpus=8),
        "llama-70b-fp8/1xH200": _fit(20.7, 0.077, 0.0666, 0.106, kv_tokens=165_000),
        "llama-70b-fp8/2xH200": _fit(13.2, 0.038, 0.0376, 0.070, kv_tokens=550_000, gpus=2),
        "llama-70b-fp8/4xH200": _fit(9.18, 0.046, 0.0208, 0.042, kv_tokens=1_330_000, gpus=4),
        "llama-8b/1xH100": _fit(6.58, 0.0782, 0.0, 0.016, kv_tokens=400_000),
    }
)
"""By model and GPUs: facts/traces.md C.2; KV tokens from memory less weights, a tenth kept free."""


_NOTHING: Final = 1e-9
"""Steps that are none: sums of floats."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request that arrives.

    Attributes:
        at: seconds, on the replica's clock.
        prompt: tokens that must be read; those found in a prefix cache are not among them.
        output: tokens to be written, at least 1.
        cached: prompt tokens found in the cache: they take room, and no time.
    """

    at: float
    prompt: int
    output: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Served:
    """One request that ended; times in seconds on the replica's clock.

    Attributes:
        ask: what was asked.
        admitted: when it left the queue.
        first: when its first token was out.
        ended: when its last one was.
    """

    ask: Ask
    admitted: float
    first: float
    ended: float

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
        return (self.ended - self.first) / (self.ask.output - 1) if self.ask.output > 1 else 0.0


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

    def offer(self, ask: Ask) -> None:
        """Take a request that arrives now; `advance` to its arrival first."""
        if ask.prompt + ask.cached + ask.output > self.speed.kv_tokens:
            self.refused += 1
            return
        self._waiting.append(ask)
        self._admit()

    def take(self) -> tuple[list[Served], list[Span]]:
        """What was served and done since the last time."""
        found = self.served, self.spans
        self.served, self.spans = [], []
        return found

    def advance(self, until: float) -> None:
        """Work until a moment; what is under way then goes on later."""
        while self.time < until:
            self._admit()
            if not self._running:
                self.time = until
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

    def _admit(self) -> None:
        """Read prompts while there is room; everybody who runs waits meanwhile."""
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
            sequence = _Running(self._clock + ask.output, self._number, ask, admitted, first, self._clock)
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
            ended = max(self.time, done.first)
            self.served.append(Served(done.ask, done.admitted, done.first, ended))
        if not self._running:
            self._context = 0.0

    def _preempt(self) -> None:
        """Put the youngest back at the head of the queue; what it has written is read again as a prompt."""
        youngest = max(self._running, key=lambda r: r.number)
        self._running.remove(youngest)
        self._running.sort()
        written = self._clock - youngest.since
        self._context -= youngest.ask.prompt + youngest.ask.cached + written
        ask = youngest.ask
        again = Ask(ask.at, ask.prompt + round(written), max(1, ask.output - round(written)), ask.cached)
        self._waiting.appendleft(again)
        self.preempted += 1

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

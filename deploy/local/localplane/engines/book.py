"""What a pod's engine has counted: from what the replica did to totals and histograms."""

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Final

from gpupool.simulator.replica import Ask, Served, Span
from localplane.engines.histograms import Histogram

LONG_ANSWERS: Final = 0.1
"""Part of the answers that end at their limit of tokens."""

VALIDATION_SECONDS: Final = 0.0004
DETOKENIZE_SECONDS: Final = 0.0002


class Share:
    """Picks a part of a stream, evenly: of 0.25 every fourth."""

    def __init__(self) -> None:
        self._owed = 0.0

    def takes(self, share: float) -> bool:
        """Whether the next one belongs to the part."""
        self._owed += share
        if self._owed < 1 - 1e-9:
            return False
        self._owed -= 1
        return True


class Book:
    """Totals by key, and histograms by what they observe.

    Args:
        histograms: those of the pod's engine; what it has none for is not kept.
    """

    def __init__(self, histograms: dict[str, Histogram]) -> None:
        self.histograms = histograms
        self.totals: defaultdict[str, float] = defaultdict(float)
        self._aborts, self._long = Share(), Share()
        self._first = 0.0
        self._stalled: deque[tuple[float, float]] = deque()

    def asked(self, ask: Ask) -> None:
        """A request came in."""
        self.totals["cache.queries"] += ask.prompt + ask.cached
        self.totals["cache.hits"] += ask.cached

    def refused(self) -> None:
        """A request got an error before it reached the engine."""
        self.totals["http.5xx"] += 1

    def served(self, done: Served, errors: float) -> None:
        """A request ended; so many of all fail in the engine."""
        prompt = done.prompt + done.ask.cached
        reason = (
            "abort" if self._aborts.takes(errors) else "length" if self._long.takes(LONG_ANSWERS) else "stop"
        )
        self.totals[f"done.{reason}"] += 1
        self.totals["done"] += 1
        self.totals["http.2xx"] += 1
        self.totals["prompt"] += prompt
        self.totals["prompt.cached"] += done.ask.cached
        self.totals["prompt.computed"] += done.prompt
        queue, prefill, decode = done.placed - done.ask.at, done.first - done.placed, done.ended - done.first
        self.totals["us.queue"] += queue * 1e6
        self.totals["us.infer"] += (prefill + decode) * 1e6
        self.totals["us.request"] += (done.ended - done.ask.at) * 1e6
        seen = {
            "ttft": done.ttft,
            "ttft.ms": done.ttft * 1e3,
            "e2e": done.ended - done.ask.at,
            "queue": queue,
            "inference": prefill + decode,
            "prefill": prefill,
            "decode": decode,
            "prompt": prompt,
            "computed": done.prompt,
            "output": done.output,
            "max": done.output,
            "validation": VALIDATION_SECONDS,
            "one": 1,
            "none": 0,
            **({"tpot": done.tpot} if done.output > 1 else {}),
        }
        if done.stood:  # whoever is put back makes its client wait for the next token
            self._observe("itl", done.stood, 1)
        for key, value in seen.items():
            if key in self.histograms:
                self.histograms[key].observe(value)

    def worked(self, spans: Iterable[Span], chunk_seconds: float) -> None:
        """Steps were made; a prompt is read in chunks, between which those who run write a token each."""
        for span in spans:
            if span.steps:
                self._wrote(span)
                continue
            self.totals["seconds.prefill"] += span.seconds
            self._first += 1
            chunks = max(1, math.ceil(span.seconds / chunk_seconds))
            if span.running:
                self._stalled.append((span.running * chunks, span.seconds / chunks))

    def _wrote(self, span: Span) -> None:
        tokens, gap = span.running * span.steps, span.seconds / span.steps
        self.totals["seconds.decode"] += span.seconds
        self.totals["steps"] += span.steps
        self.totals["generation"] += tokens
        self._observe("step.tokens", span.running, span.steps)
        self._observe("step", gap, span.steps)
        self._observe("step.whole", gap + DETOKENIZE_SECONDS, span.steps)
        self._observe("step.rest", DETOKENIZE_SECONDS, span.steps)
        first = min(self._first, tokens)  # the first token of a request follows none
        self._first -= first
        tokens -= first
        while self._stalled and tokens > 0:
            owed, stall = self._stalled[0]
            part = min(owed, tokens)
            self._observe("itl", gap + stall, part)
            tokens -= part
            if part < owed:
                self._stalled[0] = (owed - part, stall)
            else:
                self._stalled.popleft()
        if tokens > 0:
            self._observe("itl", gap, tokens)

    def _observe(self, key: str, value: float, times: float) -> None:
        if key in self.histograms:
            self.histograms[key].observe(value, times)

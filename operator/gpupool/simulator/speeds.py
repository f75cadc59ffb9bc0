"""How fast a model is on the GPUs of one replica: four numbers and the room for context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
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

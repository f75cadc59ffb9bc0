"""What the operator says of an endpoint's GPUs: what they wrote, and what they cost."""

from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Timestamp

MAX_COUNTED = 16
Number = Annotated[float, Field(ge=0)]


class Counted(ApiModel):
    """What was counted in a stretch of the window."""

    at: Timestamp
    """When it began."""
    gpu_seconds: Number = 0
    """Held by the endpoint's pods."""
    told_seconds: Number = 0
    """Those of them in which the engine told its tokens."""
    tokens: Number = 0
    """Written."""
    tokens_at_slo: Number = 0
    """Of them, in proportion to the events that met the objective which fared worst."""
    joules: Number = 0
    """Of the GPUs, while all of them told their power."""
    metered_tokens: Number = 0
    """Written then."""


class EconomicsStatus(ApiModel):
    """GPU-hours, tokens, money and energy over the window. What is not known is absent."""

    since: Timestamp | None = None
    """From when on it was counted."""
    resource: Annotated[str, StringConstraints(max_length=128)] | None = None
    """Which GPUs."""
    gpu_hours: Number
    """GPU-hours that the pods held, busy or not."""
    tokens_per_gpu_hour: Number | None = None
    """Tokens written, by GPU-hour."""
    tokens_per_gpu_hour_at_slo: Number | None = None
    """The same, of tokens whose requests met the objectives."""
    cost: Number | None = None
    """Of the GPU-hours, at the pool's price as it stands; absent without one."""
    cost_per_million_tokens: Number | None = None
    """Of a million tokens written."""
    currency: Annotated[str, StringConstraints(max_length=3)] | None = None
    """Of both."""
    joules_per_token: Number | None = None
    """Energy of the GPUs by token written, where each of them tells its power."""
    counted: Annotated[tuple[Counted, ...], Field(max_length=MAX_COUNTED)] = Field(default_factory=tuple)
    """What it is computed from; it survives restarts."""

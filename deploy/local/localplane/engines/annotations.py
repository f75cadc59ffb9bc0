"""Annotations of engine pods, read into settings; the table is in the package's docstring."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from gpupool.simulator.replica import SPEEDS, Speed
from localplane.engines.causes import CAUSES, HEALTHY, Cause, Fault
from localplane.engines.lengths import Mix
from localplane.errors import PlaneError

PREFIX: Final = "fake.gpupool.dev/"
ENGINE: Final = f"{PREFIX}engine"
DEFAULT_MODEL: Final = "llama-70b-fp8/4xH100"
BATCHED_TOKENS: Final = 8192
MAX_RATE: Final = 10_000.0
UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_TRACE: Final = "trace:"

Value = TypeVar("Value")


class BadAnnotationError(PlaneError):
    """An annotation's value means nothing; the text names the annotation, the value and the fix."""


class Engine(StrEnum):
    """Whose metrics a pod serves."""

    VLLM = "vllm"
    VLLM_08 = "vllm-0.8"
    SGLANG = "sglang"
    TGI = "tgi"
    TRITON = "triton"
    NIM = "nim"


class Data(StrEnum):
    """What is wrong with a pod's page."""

    SILENT = "silent"
    NAN = "nan"
    FROZEN = "frozen"
    NO_HISTOGRAMS = "no-histograms"
    OLD_BUCKETS = "old-buckets"


class Expose(StrEnum):
    """What is off by default."""

    FIRST_RESPONSE = "first-response-histogram"
    SM_ACTIVE = "sm-active"
    CLOCK_EVENTS = "clock-events"


@dataclass(frozen=True, slots=True)
class Load:
    """Requests/s of the whole workload: a number, or a trace of them."""

    rate: float = 0.0
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the annotations of one pod say."""

    engine: Engine
    model: str
    speed: Speed
    load: Load
    mix: Mix
    given: frozenset[str] = frozenset()
    """Fields of the mix that are annotated: a fault leaves them."""

    fault: Fault | None = None
    fault_after: float = 0.0
    batched_tokens: int = BATCHED_TOKENS
    data: Data | None = None
    expose: frozenset[Expose] = frozenset()
    job: str = ""

    def cause(self, age: float) -> Cause:
        """What is wrong with a pod that has been Ready for so many seconds."""
        return HEALTHY if self.fault is None or age < self.fault_after else CAUSES[self.fault]

    def mix_under(self, cause: Cause) -> Mix:
        """The requests of a cause, with what is annotated left as it is."""
        if cause is HEALTHY:
            return self.mix
        return replace(cause.mix, **{name: getattr(self.mix, name) for name in self.given})

    def speed_under(self, cause: Cause) -> Speed:
        """The model's numbers under a cause."""
        slower, speed = cause.slower, self.speed
        return replace(
            speed,
            alpha=speed.alpha * slower.alpha * slower.all,
            beta=speed.beta * slower.beta * slower.all,
            gamma=speed.gamma * slower.gamma * slower.all,
            delta=speed.delta * slower.delta * slower.all,
            kv_tokens=cause.kv_tokens or speed.kv_tokens,
            max_seqs=cause.max_seqs or speed.max_seqs,
        )


def settings(annotations: Mapping[str, str]) -> Settings:
    """Read the annotations of a pod that has an engine.

    Raises:
        BadAnnotationError: The first value that means nothing.
    """
    read = _Reader(annotations)
    fault = read.one("fault", Fault)
    mix = Mix(
        prompt=read.number("prompt", 1000.0, low=1),
        output=read.number("output", 250.0, low=1),
        spread=read.number("spread", 0.5, high=2),
        cached=read.number("cache-hit", 0.0, high=1),
    )
    names = {"prompt": "prompt", "output": "output", "spread": "spread", "cache-hit": "cached"}
    model = read.text("model", DEFAULT_MODEL, SPEEDS)
    speed = SPEEDS[model]
    return Settings(
        engine=read.one("engine", Engine) or Engine.VLLM,
        model=model,
        speed=replace(
            speed,
            max_seqs=round(read.number("max-seqs", speed.max_seqs, low=1)),
            kv_tokens=round(read.number("kv-tokens", speed.kv_tokens, low=1)),
        ),
        load=read.load(CAUSES[fault].rate if fault else 0.0),
        mix=mix,
        given=frozenset(field for name, field in names.items() if f"{PREFIX}{name}" in annotations),
        fault=fault,
        fault_after=read.seconds("fault-after"),
        batched_tokens=round(read.number("batched-tokens", BATCHED_TOKENS, low=1)),
        data=read.one("data", Data),
        expose=read.several("expose", Expose),
        job=annotations.get(f"{PREFIX}job", ""),
    )


def load(text: str, name: str = "load") -> Load:
    """Read a load.

    Raises:
        BadAnnotationError: It is neither a number nor a trace.
    """
    if text.startswith(_TRACE) and (trace := text.removeprefix(_TRACE).strip()):
        return Load(trace=trace)
    return Load(_number(name, text, 0, MAX_RATE, ' or "trace:<name>"'))


class _Reader:
    """Looks values up, and says what is wrong with them."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations

    def get(self, name: str, default: Value, parse: Callable[[str], Value]) -> Value:
        found = self._annotations.get(f"{PREFIX}{name}")
        return default if found is None else parse(found.strip())

    def number(self, name: str, default: float, low: float = 0, high: float = 1e9) -> float:
        return self.get(name, default, lambda text: _number(name, text, low, high))

    def seconds(self, name: str) -> float:
        return self.get(name, 0.0, lambda text: _seconds(name, text))

    def load(self, default: float) -> Load:
        return self.get("load", Load(default), load)

    def text(self, name: str, default: str, known: Mapping[str, object]) -> str:
        return self.get(name, default, lambda text: _known(name, text, list(known)))

    def one(self, name: str, kind: Callable[[str], Value]) -> Value | None:
        return self.get(name, None, lambda text: kind(_known(name, text, _members(kind))))

    def several(self, name: str, kind: Callable[[str], Value]) -> frozenset[Value]:
        empty: list[str] = []
        parts = self.get(name, empty, lambda text: [part.strip() for part in text.split(",")])
        return frozenset(kind(_known(name, part, _members(kind))) for part in parts)


def _members(kind: object) -> list[str]:
    return [str(member) for member in kind]  # type: ignore[attr-defined]  # an enumeration of names


def _known(name: str, text: str, known: list[str]) -> str:
    if text not in known:
        raise BadAnnotationError(f"{PREFIX}{name}: {text!r} is not known; write one of {', '.join(known)}")
    return text


def _number(name: str, text: str, low: float, high: float, otherwise: str = "") -> float:
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not low <= found <= high:
        raise BadAnnotationError(
            f"{PREFIX}{name}: {text!r} does not fit; write a number from {low:g} to {high:g}{otherwise}"
        )
    return found


def _seconds(name: str, text: str) -> float:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadAnnotationError(f'{PREFIX}{name}: {text!r} is no duration; write "90s" or "1m30s"')
    return sum(float(number) * UNITS[unit] for number, unit in parts)

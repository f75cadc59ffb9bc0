"""What was read back from the cluster, beside what was expected of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from localplane.errors import PlaneError
from localplane.kube import KubeError

POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the cluster: the words for it, and whether it is what was expected."""

    text: str
    holds: bool


Look = Callable[[], Reading]
"""Reads once; it may raise what the API client or Prometheus' client raises."""


class ExpectationError(Exception):
    """The cluster is not what the story says; the demo ends.

    Attributes:
        what: The expectation in words.
        reading: What was read last.
        seconds: How long it was waited for.
    """

    def __init__(self, what: str, reading: Reading, seconds: float) -> None:
        super().__init__(f"{what}: read {reading.text} after {seconds:.0f} s")
        self.what = what
        self.reading = reading
        self.seconds = seconds


def facts(read: Callable[..., Mapping[str, Any]], /, *arguments: object, **expected: object) -> Look:
    """A look that compares named values and shows those that were read.

    Args:
        read: Returns the values.
        arguments: What `read` is called with.
        expected: Values by name.
    """

    def look() -> Reading:
        found = read(*arguments)
        missing = [name for name, value in expected.items() if found.get(name) != value]
        text = ", ".join(f"{name.replace('_', ' ')} {_plain(found.get(name))}" for name in expected)
        wanted = ", ".join(f"{name.replace('_', ' ')} {_plain(expected[name])}" for name in missing)
        return Reading(f"{text} (expected {wanted})" if missing else text, not missing)

    return look


def says(read: Callable[[], str], *parts: str) -> Look:
    """A look at a sentence that must contain all these parts; the whole sentence is shown."""

    def look() -> Reading:
        text = read()
        missing = [part for part in parts if part not in text]
        return Reading(
            f"{text or '(nothing)'} (expected: {'; '.join(missing)})" if missing else text, not missing
        )

    return look


def wait_for(what: str, look: Look, seconds: float, on_wait: Callable[[Reading], None]) -> Reading:
    """Look until the expectation holds.

    Args:
        what: The expectation in words.
        look: One look.
        seconds: The limit.
        on_wait: Told every reading that is not yet what is expected.

    Raises:
        ExpectationError: It did not hold within the limit.
    """
    deadline = time.monotonic() + seconds
    while True:
        reading = _try(look)
        if reading.holds:
            return reading
        if time.monotonic() >= deadline:
            raise ExpectationError(what, reading, seconds)
        on_wait(reading)
        time.sleep(POLL_SECONDS)


def _try(look: Look) -> Reading:
    try:
        return look()
    except KubeError as error:
        return Reading(f"the API server says: {error}", holds=False)
    except (httpx.HTTPError, PlaneError) as error:
        return Reading(f"no answer: {error}", holds=False)


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "nothing" if value is None else str(value)

"""Probes of one container: asked on time in a thread, judged by thresholds."""

from collections.abc import Callable
from concurrent.futures import Executor, Future

import httpx

from localplane.runner.podspec import Probe


class Prober:
    """One probe of one run of a container."""

    def __init__(self, probe: Probe, port: int, executor: Executor, now: float) -> None:
        self._probe = probe
        self._url = f"http://127.0.0.1:{port}/{probe.path.lstrip('/')}"
        self._executor = executor
        self._due = now + probe.initial_delay
        self._answer: Future[bool] | None = None
        self._good = 0
        self._bad = 0

    @property
    def passed(self) -> bool:
        """Whether enough answers in a row were good, and not too many bad since."""
        return self._good >= self._probe.successes

    @property
    def failed(self) -> bool:
        """Whether too many answers in a row were bad."""
        return self._bad >= self._probe.failures

    def step(self, now: float) -> None:
        """Take in an answer that came, and ask again when it is time."""
        if self._answer is not None and self._answer.done():
            self._count(good=self._answer.result())
            self._answer = None
            self._due = max(self._due + self._probe.period, now)
        if self._answer is None and now >= self._due:
            self._answer = self._executor.submit(ask, self._url, self._probe.timeout)

    def forget_failures(self) -> None:
        """Start counting anew: what a frozen process could not answer is not held against it."""
        self._bad = 0

    def _count(self, *, good: bool) -> None:
        if good:
            self._good, self._bad = self._good + 1, 0
            return
        self._bad += 1
        if self.failed:
            self._good = 0


def ask(url: str, timeout: float, get: Callable[..., httpx.Response] = httpx.get) -> bool:
    """Whether an HTTP GET answers with a status from 200 to 399 in time."""
    try:
        status = get(url, timeout=timeout, trust_env=False).status_code
    except httpx.HTTPError:
        return False
    return httpx.codes.OK <= status < httpx.codes.BAD_REQUEST

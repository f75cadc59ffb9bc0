"""What is tried again, how long a pause is, and when it ends."""

import asyncio
import random

import pytest

from gpupool.applier.retry import RetryPolicy, retried
from gpupool.errors import Failure, KubeError, kube_error

POLICY = RetryPolicy(within=5.0, first=0.01, longest=0.02)


class Calls:
    """A call that fails in the ways given, then succeeds."""

    def __init__(self, *failures: Failure) -> None:
        self.failures = list(failures)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise kube_error("GET /x", self.failures.pop(0))
        return "done"


async def tried(calls: Calls, policy: RetryPolicy = POLICY) -> str:
    return await retried(calls, policy, rng=random.Random(1))  # noqa: S311 - a fixed spread


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    calls = Calls(Failure(status), Failure(status))
    assert await tried(calls) == "done"
    assert calls.made == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
async def test_a_refusal_is_not_tried_again(status: int) -> None:
    calls = Calls(Failure(status))
    with pytest.raises(KubeError):
        await tried(calls)
    assert calls.made == 1


async def test_a_pause_that_would_pass_the_deadline_ends_it_at_once() -> None:
    calls, clock = Calls(Failure(429, retry_after=60.0)), asyncio.get_running_loop().time
    began = clock()
    with pytest.raises(KubeError):
        await tried(calls)
    assert calls.made == 1
    assert clock() - began < 1


async def test_the_server_s_pause_is_kept() -> None:
    calls, clock = Calls(Failure(429, retry_after=0.3)), asyncio.get_running_loop().time
    began = clock()
    assert await tried(calls) == "done"
    assert clock() - began >= 0.3


def test_pauses_double_up_to_the_longest() -> None:
    policy, error = RetryPolicy(first=0.2, longest=5.0), kube_error("GET /x", Failure(500))
    pauses = [policy.pause(attempt, error, 1.0) for attempt in (1, 2, 3, 4, 5, 6, 7, 1000)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("failures", "unsure"),
    [((409,), False), ((429, 409), False), ((0, 409), True), ((503, 429, 422), True), ((0,) * 9, True)],
)
async def test_an_error_says_whether_an_attempt_may_have_been_carried_out(
    failures: tuple[int, ...], *, unsure: bool
) -> None:
    calls = Calls(*(Failure(status) for status in failures))
    with pytest.raises(KubeError) as caught:
        await tried(calls, RetryPolicy(within=0.2, first=0.01, longest=0.05))
    assert caught.value.unsure is unsure

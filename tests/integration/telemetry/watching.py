"""Words of the telemetry scenarios: a pod, what exporters say of it, and what is made of that."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace

from gpupool.model.objects import Key
from gpupool.model.reasons import DataState
from gpupool.model.usage import PodUsage, Usage
from gpupool.policy.attribution import attribute
from gpupool.policy.measure import measure
from localplane.cluster import Cluster
from support.usage import Place, page, scraped

LIMIT = 90.0
ENGINE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"


class Watch(Place):
    """A place whose reader is asked again and again until it says what the scenario tells."""

    def believe(self, *jobs: str) -> None:
        """Let the pool believe these jobs alone."""
        self.pool = replace(self.pool, jobs=jobs)

    def line(
        self, pod: str, value: float | str = 0.0, *, name: str = ENGINE, holder: str = "", **labels: str
    ) -> str:
        """One series about a GPU of a pod, as an exporter writes it; `holder` names the labels of the pod."""
        own = {
            "UUID": f"GPU-{pod}",
            "gpu": "0",
            "hostname": self.node,
            f"{holder}namespace": self.namespace,
            f"{holder}pod": pod,
            **labels,
        }
        text = ",".join(f'{key}="{value}"' for key, value in own.items() if value)
        return f"{name}{{{text}}} {value}\n"

    async def until(self, says: Callable[[Usage], bool], what: str, seconds: float = LIMIT) -> Usage:
        """Read until the use is as told."""
        found: list[Usage] = []

        async def look() -> bool:
            found[:] = [await self.usage()]
            return says(found[0])

        await eventually(look, lambda: f"{what}: {found}", seconds)
        return found[0]

    async def until_state(
        self, state: DataState, seconds: float = LIMIT, *, says: Callable[[Usage], bool] = lambda _: True
    ) -> Usage:
        """Read until the namespace's data is called so, and the same answer says what else is wanted."""
        found: list[tuple[DataState, Usage]] = []

        async def look() -> bool:
            usage = await self.usage()
            snapshot = self.snapshot(usage)
            found[:] = [(measure(snapshot, attribute(snapshot)).around(self.namespace).state, usage)]
            return says(usage) and found[0][0] is state

        await eventually(look, lambda: f"the data is {state}: {found}", seconds)
        return found[0][1]

    async def until_gone(self, pod: str, seconds: float = LIMIT) -> None:
        """Delete a pod and wait until it is gone."""
        self.end(pod)

        async def gone() -> bool:
            return not self.kube.exists(f"{self.path}/{pod}")

        await eventually(gone, lambda: f"{pod} is gone", seconds)

    async def until_seen(self, pod: str, seconds: float = 5, *, busy: bool | None = None) -> PodUsage:
        """Read until a pod was seen for so many seconds, doing something or nothing."""

        def enough(usage: Usage) -> bool:
            own = used(usage, Key(self.namespace, pod))
            told = own is not None and own.seen_seconds >= seconds
            return told and (busy is None or own is None or (own.busy_seconds > 0) is busy)

        usage = await self.until(enough, f"{pod} is seen")
        own = used(usage, Key(self.namespace, pod))
        assert own is not None
        return own


def finds(told: str) -> Callable[[Usage], bool]:
    """Whether a sentence is among the findings."""
    return lambda usage: told in " ".join(usage.findings)


def fresh(usage: Usage) -> bool:
    """Whether use was measured freshly: one late scrape, and it was not."""
    return usage.fresh


def used(usage: Usage, key: Key) -> PodUsage | None:
    """The use of one pod."""
    return next((u for u in usage.pods if u.key == key), None)


async def eventually(
    ask: Callable[[], Awaitable[bool]], what: Callable[[], str], seconds: float = LIMIT
) -> None:
    """Poll until it holds; fails with what was seen last."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not await ask():
        assert clock() < deadline, f"not within {seconds:.0f} s: {what()}"
        await asyncio.sleep(0.2)


class Exporters(ExitStack):
    """Exporters that a test makes, scraped by the plane's real Prometheus until the block ends."""

    def __init__(self, plane: Cluster, prefix: str) -> None:
        super().__init__()
        self._plane, self._prefix, self._count = plane, prefix, 0

    def add(self, job: str, text: Callable[[], str], **labels: str) -> int:
        """Have a page scraped under a job with labels of its target; returns its port."""
        self._count += 1
        port = self.enter_context(page(text))
        self.enter_context(scraped(self._plane, f"{self._prefix}-{self._count}", port, job, **labels))
        return port

"""What the API server does for anybody: the two writes of a decision, by nothing but a client.

They go to a copy of our kind under another name: the same schema and rules, but no operator that puts its
status right, and no policy that guards it.
"""

import asyncio
import json
import time
from typing import Final

import yaml

from benchmarks.things import namespace
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import EVENTS, Json, Resource
from localplane.kube import Kube, KubeError
from localplane.processes import wait_until
from support.manifests import CRDS

KIND: Final = Resource("bench.example", "v1alpha1", "barerequests", "BareRequest")
SPACE: Final = "bench-bare"
SERVED_SECONDS: Final = 30.0
AT_ONCE: Final = 16
WORDS: Final = "What a decision says, in as many words as it takes to say it. " * 2


def install(kube: Kube) -> None:
    """Serve the copy of our kind.

    Raises:
        TimeoutError: it is not served in time.
    """
    text = json.dumps(yaml.safe_load((CRDS / "gpupool.dev_capacityrequests.yaml").read_text()))
    crd = json.loads(text.replace("gpupool.dev/v1alpha1", "bench.example/v1alpha1"))
    crd["metadata"] = {"name": f"{KIND.plural}.{KIND.group}"}
    crd["spec"]["group"] = KIND.group
    crd["spec"]["names"] = {"kind": KIND.kind, "plural": KIND.plural, "singular": "barerequest"}
    kube.create(crd, path="/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    namespace(kube, SPACE)
    if not wait_until(lambda: _served(kube), SERVED_SECONDS):
        raise TimeoutError(f"{KIND.plural} are not served within {SERVED_SECONDS:.0f} s")


def _served(kube: Kube) -> bool:
    """For a moment after its CRD a kind says 404, then 429."""
    try:
        return kube.exists(KIND.collection(SPACE))
    except KubeError:
        return False


class Bare:
    """Writes pairs: the status of a request, and an Event about it.

    Args:
        client: an admin's.
        sample: a request as the operator has decided it.
    """

    def __init__(self, client: KubeClient, sample: Json) -> None:
        self._client = client
        self._spec = sample["spec"]
        self._status = sample["status"]
        self._there = 0

    async def pairs(self, count: int, per_second: float = 0.0) -> tuple[list[float], float]:
        """Write so many pairs, each on a new object.

        Args:
            count: how many.
            per_second: pairs a second; 0 for as many as go.

        Returns:
            Seconds of each pair, and of all; making the objects is not counted.
        """
        names = self._names(count)
        creates, turns, took = iter(names), iter(enumerate(names)), list[float]()

        async def make() -> None:
            for name in creates:
                await self._create(name)

        await asyncio.gather(*(make() for _ in range(AT_ONCE)))
        began = time.monotonic()

        async def work() -> None:
            for number, name in turns:
                if per_second:
                    await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
                first = time.monotonic()
                await self._pair(name)
                took.append(time.monotonic() - first)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return took, time.monotonic() - began

    async def burst(self, count: int) -> float:
        """Make so many objects and write the pair of each, as fast as it goes; returns the seconds of all."""
        names = iter(self._names(count))
        began = time.monotonic()

        async def work() -> None:
            for name in names:
                await self._create(name)
                await self._pair(name)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return time.monotonic() - began

    def _names(self, count: int) -> list[str]:
        names = [f"bare-{self._there + number}" for number in range(count)]
        self._there += count
        return names

    async def _create(self, name: str) -> None:
        body = {"apiVersion": KIND.api_version, "kind": KIND.kind, "spec": self._spec}
        await self._client.create(KIND, body | {"metadata": {"name": name, "namespace": SPACE}})

    async def _pair(self, name: str) -> None:
        metadata = {"name": name, "namespace": SPACE}
        body = {"metadata": metadata, "status": self._status}
        await self._client.apply(KIND, body, force=True, subresource="status")
        event = {
            "metadata": {"name": f"{name}.{time.time_ns():x}", "namespace": SPACE},
            "involvedObject": {"apiVersion": KIND.api_version, "kind": KIND.kind, **metadata},
            "reason": "Bare",
            "message": WORDS,
            "type": "Normal",
            "source": {"component": "bench"},
            "reportingComponent": "bench",
        }
        await self._client.create(EVENTS, event)

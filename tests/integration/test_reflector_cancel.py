"""A client that is cancelled at any moment leaves no socket behind."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gpupool.kube.auth import from_kubeconfig
from gpupool.kube.client import KubeClient
from localplane.cluster import Cluster


@pytest.fixture
def clean_heap() -> Iterator[None]:
    """Collect before and after, so that a warning about a socket is this test's own."""
    gc.collect()
    yield
    gc.collect()


@pytest.mark.usefixtures("clean_heap")
async def test_a_call_cancelled_during_its_handshake_closes_its_socket(plane: Cluster) -> None:
    credentials = from_kubeconfig(str(plane.kubeconfig))
    for steps in range(
        40
    ):  # cancelled a little later each time: resolving, connecting, shaking hands, waiting
        async with KubeClient(credentials) as client:
            call = asyncio.create_task(client.get_path("/version"))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
    gc.collect()

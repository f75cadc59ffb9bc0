"""How long 10,000 objects take to be mirrored, and a busy watch to be followed. Printed, not asserted."""

import asyncio
import resource
import time
from collections.abc import Callable

from gpupool.collector.reflector import Reflector
from gpupool.kube.auth import from_kubeconfig
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Selection
from localplane.cluster import Cluster
from support.mirroring import CONFIG_MAPS, shown
from support.polling import eventually
from support.writing import config_map, writer_of

OBJECTS = 10_000


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def test_listing_ten_thousand_objects(plane: Cluster, namespace: Callable[..., str]) -> None:
    home = namespace("bench")
    async with KubeClient(from_kubeconfig(str(plane.kubeconfig))) as client:
        writer, _ = writer_of(client, within=60)
        bodies = [config_map(home, f"m{number:05}", v="x" * 800) for number in range(OBJECTS)]
        began = time.perf_counter()
        for start in range(0, OBJECTS, 500):
            await asyncio.gather(
                *(writer.apply(CONFIG_MAPS, body, epoch=1) for body in bodies[start : start + 500])
            )
        written, before = time.perf_counter(), megabytes()
        reflector = Reflector(client, Selection(CONFIG_MAPS, home), shown, lambda _: None)
        task = asyncio.create_task(reflector.run())
        try:
            await asyncio.wait_for(reflector.synced.wait(), 120)
            listed = time.perf_counter()
            assert reflector.store.objects >= OBJECTS
            for start in range(0, 1000, 500):
                changed = [config_map(home, f"m{n:05}", v="y") for n in range(start, start + 500)]
                await asyncio.gather(*(writer.apply(CONFIG_MAPS, body, epoch=1) for body in changed))
            await eventually(lambda: reflector.counters.events >= 1000, 60)
            followed = time.perf_counter()
        finally:
            task.cancel()
            await asyncio.wait([task])
    print(f"\n{OBJECTS} objects of 1 kB through one process")
    print(f"  written by server-side apply   {written - began:7.1f} s  {OBJECTS / (written - began):6.0f}/s")
    print(f"  listed, projected and compared {listed - written:7.2f} s")
    print(f"  1,000 written and seen by watch {followed - listed:6.2f} s")
    print(f"  peak memory, before and after  {before:7.0f} MB {megabytes():.0f} MB")

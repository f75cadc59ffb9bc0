"""The cluster-wide set: written once, seen when changed, and a kept pod for each pool that enforces."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from gpupool.applier.admission import AdmissionObjects
from gpupool.applier.outsiderset import OutsiderSet
from gpupool.applier.policies.outside_probe import kept_name, outsider_probes
from gpupool.applier.policies.outsider_policies import NO_POOL, OutsiderSpec
from gpupool.applier.policyset import PolicyContext
from gpupool.applier.serverside import Deletion, Writer
from gpupool.errors import Conflict, Failure
from gpupool.kube.client import KubeClient
from gpupool.model.objects import Key, Pod
from gpupool.model.outsiders import OutsiderPool, SetOutsiders
from support.builders import GPU, a_pool
from support.notedwriter import NotedWriter, Write

CONTEXT = PolicyContext(("monitoring",), "sre", "gpupool-probe")
POOL = a_pool()
ASKED = SetOutsiders(deny=True, pools=(OutsiderPool("lab", "uid-lab", (GPU,), cpu_pods=False, counts=True),))


class Rig:
    """A set whose writes stand at once in what is present."""

    def __init__(self) -> None:
        self.present: dict[tuple[str, str], str] = {}
        self.writer = NotedWriter(on_write=self._stand)
        standing = AdmissionObjects(cast("KubeClient", self), cast("Writer", self.writer), self._under)
        self.pods = Pods()
        self.set = OutsiderSet(standing, cast("Writer", self.pods), CONTEXT)

    def _under(self, pool: str) -> dict[tuple[str, str], str]:
        assert pool == NO_POOL
        return dict(self.present)

    def _stand(self, write: Write) -> None:
        if write.verb == "delete":
            self.present.pop((write.kind, write.name))
        else:
            self.present[write.kind, write.name] = str(self.writer.version + 1)

    async def create(self, *_: Any, **__: Any) -> None:
        """Let every dry run through."""


class Pods:
    """Notes what is done to pods."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.there = False

    async def create(self, _: Any, body: Mapping[str, Any], *, epoch: int) -> None:
        assert epoch == 3
        if self.there:
            raise Conflict("POST /pods", Failure(409))
        self.done.append(f"create {body['metadata']['name']}")

    async def delete(self, _: Any, key: Any, *, epoch: int, options: Any) -> Deletion:
        assert (epoch, options.uid) == (3, "uid-1")
        self.done.append(f"delete {key.name}")
        return Deletion.GOING


async def test_it_is_written_once_and_a_change_by_anybody_is_seen() -> None:
    rig = Rig()
    assert await rig.set.ensure(ASKED, epoch=3)
    assert not await rig.set.ensure(ASKED, epoch=3)
    rig.present.pop(next(iter(rig.present)))
    assert not rig.set.current(ASKED)
    assert await rig.set.ensure(ASKED, epoch=3)
    assert rig.set.current(ASKED)


async def test_what_nobody_wants_is_taken_back_bindings_first() -> None:
    rig = Rig()
    await rig.set.ensure(ASKED, epoch=3)
    rig.writer.writes.clear()
    await rig.set.ensure(None, epoch=3)
    assert rig.present == {}
    bindings = [w.kind.endswith("Binding") for w in rig.writer.writes]
    assert bindings == sorted(bindings, reverse=True)


async def test_what_is_not_refused_is_named() -> None:
    names = tuple(p.name for p in outsider_probes(OutsiderSpec(ASKED)) if p.expect_denied)
    assert await Rig().set.probe(ASKED) == names


def _pod(**more: Any) -> Pod:
    return Pod(key=Key("gpupool-probe", kept_name("lab")), uid="uid-1", gpus={GPU: 1}, **more)


async def test_a_pool_that_enforces_has_its_pod_and_others_have_none() -> None:
    rig = Rig()
    await rig.set.keep_pods([POOL], {}, epoch=3)
    await rig.set.keep_pods([POOL], {"kept-for-lab": _pod()}, epoch=3)
    assert rig.pods.done == ["create kept-for-lab"]
    await rig.set.keep_pods([], {"kept-for-lab": _pod()}, epoch=3)
    assert rig.pods.done[1:] == ["delete kept-for-lab"]


async def test_a_pod_that_asks_for_other_resources_is_made_anew() -> None:
    rig = Rig()
    more = replace(POOL, resources=(GPU, "amd.com/gpu"))
    await rig.set.keep_pods([more], {"kept-for-lab": _pod()}, epoch=3)
    assert rig.pods.done == ["delete kept-for-lab"], "the next turn makes the other"


async def test_a_pod_that_is_there_already_is_no_failure() -> None:
    rig = Rig()
    rig.pods.there = True
    await rig.set.keep_pods([POOL], {}, epoch=3)
    assert rig.pods.done == []

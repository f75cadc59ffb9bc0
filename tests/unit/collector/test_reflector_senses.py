"""What a mirror says of its own knowledge: how old it is, and what of it could not be read."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.collector.reflector import Pace, Reflector
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import EventKind
from gpupool.kube.resources import PODS, Json, ObjectKey, Selection
from gpupool.model.senses import Unread

PACE = Pace(inactivity=70.0, pause=(0.5, 30.0))


def raw(name: str, version: int, spec: Any = None) -> Json:
    meta = {"namespace": "vision", "name": name, "uid": name, "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {} if spec is None else spec}


class Server:
    """Lists in two pages, of which the second may fail."""

    def __init__(self, *objects: Json) -> None:
        self.objects, self.breaks = objects, False

    async def list_pages(self, _selection: Selection, *, limit: int) -> AsyncIterator[Any]:
        assert limit > 0
        yield SimpleNamespace(first=True, items=self.objects, version=9)
        if self.breaks:
            raise ConnectionError("the rest of the list")
        yield SimpleNamespace(first=False, items=(), version=9)


def read(found: Json) -> str:
    if "odd" in found["metadata"]["name"]:
        raise LookupError("no such field")
    return str(found["metadata"]["name"])


class Rig:
    """A mirror with a clock that is set by hand."""

    def __init__(self, *objects: Json) -> None:
        self.now = 1000.0
        self.server = Server(*objects)
        client = cast("KubeClient", self.server)
        self.mirror = Reflector(
            client, Selection(PODS), read, lambda _: None, pace=PACE, monotonic=lambda: self.now
        )

    def tell(self, kind: EventKind, obj: Json) -> None:
        self.mirror._take(cast("Any", SimpleNamespace(kind=kind, obj=obj)))


@pytest.mark.parametrize(("silence", "overdue"), [(0.0, False), (142.0, False), (171.0, True)])
def test_a_mirror_that_hears_nothing_for_longer_than_it_takes_to_find_out_is_overdue(
    silence: float, *, overdue: bool
) -> None:
    rig = Rig()
    rig.now += silence
    assert rig.mirror.overdue() is overdue
    rig.tell(EventKind.BOOKMARK, raw("", 10))
    assert not rig.mirror.overdue()


async def test_half_a_list_is_no_sign_that_the_store_is_current() -> None:
    rig = Rig(raw("a", 5))
    rig.now += 200
    rig.server.breaks = True
    with pytest.raises(ConnectionError):
        await rig.mirror._list()
    assert rig.mirror.overdue()
    rig.server.breaks = False
    await rig.mirror._list()
    assert not rig.mirror.overdue()
    assert rig.mirror.store.values() == ("a",)


async def test_what_cannot_be_read_is_named_until_it_can_or_is_gone() -> None:
    rig = Rig(raw("a", 5), raw("odd", 6, {"nodeName": "node-1"}), raw("odder", 7, "no spec"))
    await rig.mirror._list()
    odd, odder = Unread("pods", "odd", "vision", "node-1"), Unread("pods", "odder", "vision")
    assert rig.mirror.unread() == (odd, odder)
    rig.tell(EventKind.DELETED, raw("odd", 10))
    assert rig.mirror.unread() == (odder,)
    assert rig.mirror.store.version_of(ObjectKey("vision", "odder")) == 7
    rig.mirror._guard._project = lambda _: "mended"
    rig.tell(EventKind.MODIFIED, raw("odder", 11))
    assert rig.mirror.unread() == ()
    assert "mended" in rig.mirror.store.values()
